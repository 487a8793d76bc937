//! A secret put into every input, valid and broken, must not come out of any `Debug`, `Display` or chain of causes.

use std::error::Error;
use std::fmt::Debug;
use std::time::Instant;

use auth::{
    AuthConfig, CREDENTIAL_BYTES_MAX, Credential, Credentials, DockerConfig, HelperRequest, Lookup, ScopeSet,
    Secret, Token, TokenKey, TokenRequest, TokenRequestOptions, parse_challenges,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::{chain, challenge_of};

const CANARY: &str = "canary7Kq2Vx";

/// Fails if any part of the canary longer than a coincidence is in a text, plain, in base64, or as its bytes.
#[track_caller]
fn assert_silent(text: &str) {
    let packed = STANDARD.encode(CANARY);
    for start in 0..=CANARY.len() - 6 {
        let part = &CANARY[start..start + 6];
        assert!(!text.contains(part), "`{part}` in: {text}");
    }
    assert!(!text.contains(&packed[..8]), "base64 in: {text}");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.contains(&hex[..10]), "hexadecimal in: {text}");
    let list = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    assert!(!text.contains(&list[..16]), "a list of bytes in: {text}");
}

#[track_caller]
fn assert_value_silent(value: &impl Debug) {
    assert_silent(&format!("{value:?}"));
    assert_silent(&format!("{value:#?}"));
}

#[track_caller]
fn assert_result_silent<T: Debug, E: Error>(result: &Result<T, E>) {
    assert_value_silent(result);
    if let Err(error) = result {
        assert_silent(&chain(error));
    }
}

/// Texts that hold the canary and break one parser or another.
fn carriers() -> Vec<String> {
    let long = CANARY.repeat(CREDENTIAL_BYTES_MAX / CANARY.len() + 1);
    vec![
        CANARY.to_owned(),
        format!("user:{CANARY}"),
        STANDARD.encode(CANARY),
        STANDARD.encode(format!("user:{CANARY}")),
        STANDARD.encode([CANARY.as_bytes(), b":\xff"].concat()),
        format!("{}?", STANDARD.encode(CANARY)),
        format!("{CANARY}\r\n{CANARY}"),
        format!("https://user:{CANARY}@quay.io/"),
        format!("https://user:{CANARY}@ quay.io:port/"),
        format!("http://user:{CANARY}@[::1"),
        format!("{CANARY} {CANARY}"),
        format!("\"{CANARY}"),
        format!("ä{CANARY}"),
        long,
    ]
}

fn origin() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin to count from; nothing waits for it")]
    Instant::now()
}

#[test]
fn messages_and_credentials_are_silent() {
    for text in carriers() {
        for field in 0..5 {
            let mut message = AuthConfig { server_address: "quay.io", ..AuthConfig::default() };
            match field {
                0 => (message.username, message.password) = ("user", &text),
                1 => message.auth = &text,
                2 => message.identity_token = &text,
                3 => message.registry_token = &text,
                _ => (message.username, message.server_address) = ("user", &text),
            }
            // A host is shown, so it must not be the canary itself.
            if field == 4 && !text.contains('@') {
                continue;
            }
            assert_value_silent(&message);
            let credentials = Credentials::from_auth_config(&message, "quay.io");
            assert_result_silent(&credentials);
            let Ok(credentials) = credentials else { continue };
            if let Some(credential) = credentials.for_host("quay.io") {
                assert_value_silent(credential);
                assert_value_silent(&credential.authorization());
            }
        }
        assert_result_silent(&Credentials::from_auth_config(
            &crate::password_message(),
            &format!("user:{text}@"),
        ));
        assert_result_silent(&Credentials::anonymous().with(&format!("user:{text}@"), crate::basic(&text)));
    }
}

#[test]
fn requests_are_silent() {
    let credentials = [
        crate::basic(CANARY),
        Credential::IdentityToken(Secret::from(CANARY)),
        Credential::RegistryToken(Secret::from(CANARY)),
    ];
    let realm = format!("https://user:{CANARY}@auth.example/");
    for credential in &credentials {
        for realm in ["https://auth.example/token", "http://auth.example", &realm, CANARY] {
            for post_password in [false, true] {
                let options =
                    TokenRequestOptions { post_password, offline: true, account: true, ..Default::default() };
                let mut challenge = challenge_of(realm);
                let request = TokenRequest::new(&challenge, [], Some(credential), &options);
                assert_result_silent(&request);
                if let Ok(request) = request {
                    assert_silent(&request.url);
                }
                "https://auth.example".clone_into(&mut challenge.realm);
                assert_value_silent(&TokenKey::new(&challenge, &ScopeSet::new(), Some(credential)));
            }
        }
    }
}

#[test]
fn answers_are_silent() {
    for text in carriers() {
        let string = serde_json::Value::from(text.clone());
        for body in [
            text.clone(),
            format!(r#"{{"token":{string}}}"#),
            format!(r#"{{"token":"a","refresh_token":{string}}}"#),
            format!(r#"{{"token":"a","expires_in":{string},"issued_at":{string}}}"#),
            format!(r#"{{"token":[{string}]}}"#),
            format!(r#"{{"access_token":{{"a":{string}}}}}"#),
            format!(r#"{{"token":"{CANARY}"#),
            format!(r#"["{CANARY}"]"#),
            string.to_string(),
        ] {
            let token = Token::parse(body.as_bytes(), origin());
            assert_result_silent(&token);
            if let Ok(token) = token {
                assert_value_silent(&token.authorization());
            }
        }
    }
}

#[test]
fn files_and_helpers_are_silent() {
    for text in carriers() {
        let string = serde_json::Value::from(text.clone());
        for body in [
            text.clone(),
            string.to_string(),
            format!(r#"{{"auths":{string}}}"#),
            format!(r#"{{"auths":{{"quay.io":{string}}}}}"#),
            format!(r#"{{"auths":{{"quay.io":{{"auth":{string}}}}}}}"#),
            format!(r#"{{"auths":{{"quay.io":{{"auth":[{string}]}}}}}}"#),
            format!(r#"{{"auths":{{"quay.io":{{"identitytoken":{string}}}}}}}"#),
            format!(r#"{{"auths":{{"quay.io":{{"registrytoken":{string}}}}}}}"#),
            format!(r#"{{"auths":{{"quay.io":{{"username":"user","password":{string}}}}}}}"#),
            format!(r#"{{"auths":{{"https://user:{CANARY}@quay.io":{{"auth":{string}}}}}}}"#),
            format!(r#"{{"credsStore":{string}, "auths":{{}}}}"#),
        ] {
            let config = DockerConfig::parse(body.as_bytes());
            assert_result_silent(&config);
            let Ok(config) = config else { continue };
            let lookup = config.lookup("quay.io/app");
            // A helper's name is shown as part of the program, and is no secret.
            if !matches!(lookup, Ok(Lookup::Helper(_))) {
                assert_result_silent(&lookup);
            }
        }
        let request = HelperRequest::new("pass", "quay.io").expect("a helper and a host");
        for answer in [
            text.clone(),
            string.to_string(),
            format!(r#"{{"Username":"user","Secret":{string}}}"#),
            format!(r#"{{"Username":"<token>","Secret":{string}}}"#),
            format!(r#"{{"Username":"user","Secret":[{string}]}}"#),
        ] {
            assert_result_silent(&request.answer(true, answer.as_bytes()));
            assert_result_silent(&request.answer(false, answer.as_bytes()));
        }
    }
}

#[test]
fn errors_of_headers_do_not_repeat_them() {
    for header in [
        format!("Basic realm=\"{CANARY}"),
        format!("Basic {CANARY} {CANARY}"),
        format!("Basic realm=\"x\" {CANARY}"),
        format!("\"{CANARY}"),
        format!("Bearer realm=\"https://x/\",scope=\"{CANARY}\\\\\""),
        format!("Bearer realm=x,realm={CANARY}"),
        format!("Bearer service={CANARY}"),
    ] {
        let challenges = parse_challenges([&header[..]]);
        assert!(challenges.is_err(), "{header}");
        assert_result_silent(&challenges);
    }
}

proptest! {
    #[test]
    fn a_broken_input_around_the_canary_is_silent(before in ".{0,8}", after in ".{0,8}") {
        let text = format!("{before}{CANARY}{after}");
        assert_result_silent(&Token::parse(text.as_bytes(), origin()));
        assert_result_silent(&DockerConfig::parse(text.as_bytes()));
        for message in [
            AuthConfig { auth: &text, ..AuthConfig::default() },
            AuthConfig { identity_token: &text, ..AuthConfig::default() },
            AuthConfig { registry_token: &text, ..AuthConfig::default() },
        ] {
            assert_value_silent(&message);
            assert_result_silent(&Credentials::from_auth_config(&message, "quay.io"));
        }
    }
}
