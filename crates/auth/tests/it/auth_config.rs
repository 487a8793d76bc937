//! The CRI message: each form, their order, and what cannot be read.

use auth::{AuthConfig, CREDENTIAL_BYTES_MAX, Credentials};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{chain, shown};

const REGISTRY: &str = "registry.example";

#[track_caller]
fn check(auth: AuthConfig<'_>, expected: Expect) {
    expected.assert_eq(&read(&auth));
}

fn read(auth: &AuthConfig<'_>) -> String {
    match Credentials::from_auth_config(auth, REGISTRY) {
        Ok(credentials) => shown(credentials.for_host(REGISTRY)),
        Err(error) => format!("error: {}", chain(&error)),
    }
}

fn auth(text: &str) -> AuthConfig<'_> {
    AuthConfig { auth: text, ..AuthConfig::default() }
}

#[test]
fn an_empty_message_is_anonymous() {
    check(AuthConfig::default(), expect!["anonymous"]);
    let nothing =
        Credentials::from_auth_config(&AuthConfig::default(), "not a host").expect("nothing to bind");
    assert!(nothing.is_anonymous() && nothing == Credentials::anonymous());
}

#[test]
fn a_server_address_alone_is_anonymous() {
    check(AuthConfig { server_address: REGISTRY, ..AuthConfig::default() }, expect!["anonymous"]);
}

#[test]
fn user_name_and_password_are_taken_as_they_are() {
    let of = |username, password| AuthConfig { username, password, ..AuthConfig::default() };
    check(of("user", "password"), expect![[r#"basic "user" "password""#]]);
    check(of("user", ""), expect![[r#"basic "user" """#]]);
    check(of(" user ", " pass\n"), expect![[r#"basic " user " " pass\n""#]]);
    check(of("üser", "pässword"), expect![[r#"basic "üser" "pässword""#]]);
    check(of("user", "a:b:c"), expect![[r#"basic "user" "a:b:c""#]]);
    check(of("", "password without user"), expect!["anonymous"]);
}

#[test]
fn tokens_are_taken_as_they_are() {
    check(
        AuthConfig { identity_token: "refresh me", ..AuthConfig::default() },
        expect![[r#"identity token "refresh me""#]],
    );
    check(
        AuthConfig { registry_token: "bearer.me", ..AuthConfig::default() },
        expect![[r#"registry token "bearer.me""#]],
    );
}

#[test]
fn a_registry_token_must_fit_into_a_header() {
    check(
        AuthConfig { registry_token: "token\r\nHost: evil", ..AuthConfig::default() },
        expect![
            "error: credential field `registry_token` has a character that cannot be sent in an HTTP header"
        ],
    );
    check(
        AuthConfig { registry_token: "token ", ..AuthConfig::default() },
        expect![
            "error: credential field `registry_token` has a character that cannot be sent in an HTTP header"
        ],
    );
}

#[test]
fn auth_is_a_pair_in_base64() {
    check(auth("dXNlcjpwYXNzd29yZA=="), expect![[r#"basic "user" "password""#]]);
    check(auth("dXNlcjphOmI6Yw=="), expect![[r#"basic "user" "a:b:c""#]]);
    check(auth("dXNlcjo="), expect![[r#"basic "user" """#]]);
    check(auth("Og=="), expect!["anonymous"]);
    check(auth("OnRva2Vu"), expect![[r#"identity token "token""#]]);
}

#[test]
fn auth_may_be_wrapped_and_have_loose_bits() {
    check(auth("dXNlcjpw\r\nYXNzd29y\nZA=\r\n=\n"), expect![[r#"basic "user" "password""#]]);
    // `B` leaves bits after the last byte that are not zero.
    check(auth("dXNlcjpwYXNzd29yZB=="), expect![[r#"basic "user" "password""#]]);
}

#[test]
fn zero_bytes_are_trimmed_around_the_password_only() {
    // "user:\0\0pass\0word\0"
    check(auth("dXNlcjoAAHBhc3MAd29yZAA="), expect![[r#"basic "user" "pass\0word""#]]);
    // "\0user:password"
    check(auth("AHVzZXI6cGFzc3dvcmQ="), expect![[r#"basic "\0user" "password""#]]);
    // "user:\0"
    check(auth("dXNlcjoA"), expect![[r#"basic "user" """#]]);
}

#[test]
fn undecodable_auth_is_an_error_that_names_the_field() {
    check(
        auth("dXNlcjpwYXNzd29yZA"),
        expect!["error: credential field `auth` is not padded base64 of the standard alphabet"],
    );
    check(
        auth("dXNlcjpwYXNzd29yZA==x"),
        expect!["error: credential field `auth` is not padded base64 of the standard alphabet"],
    );
    check(
        auth("dXNlcjpw YXNz"),
        expect!["error: credential field `auth` is not padded base64 of the standard alphabet"],
    );
    check(
        auth("_-_-"),
        expect!["error: credential field `auth` is not padded base64 of the standard alphabet"],
    );
    check(
        auth("\n"),
        expect!["error: credential field `auth` has no colon between user name and password once decoded"],
    );
    check(
        auth("aHVudGVyMg=="),
        expect!["error: credential field `auth` has no colon between user name and password once decoded"],
    );
    check(auth("dXNlcjr/"), expect!["error: credential field `auth` does not decode to UTF-8 text"]);
}

#[test]
fn of_several_forms_one_counts() {
    let all = AuthConfig {
        username: "user",
        password: "password",
        auth: "YXV0aDphdXRo",
        server_address: "",
        identity_token: "identity",
        registry_token: "registry",
    };
    check(all, expect![[r#"basic "user" "password""#]]);
    check(AuthConfig { username: "", ..all }, expect![[r#"identity token "identity""#]]);
    check(AuthConfig { username: "", identity_token: "", ..all }, expect![[r#"basic "auth" "auth""#]]);
    check(
        AuthConfig { username: "", identity_token: "", auth: "", ..all },
        expect![[r#"registry token "registry""#]],
    );
    // What does not count is not decoded either.
    check(AuthConfig { auth: "?", ..all }, expect![[r#"basic "user" "password""#]]);
    // An `auth` of nothing counts too: containerd looks no further once the field is there.
    check(AuthConfig { username: "", identity_token: "", auth: "Og==", ..all }, expect!["anonymous"]);
}

#[test]
fn the_server_address_says_where_credentials_may_go() {
    let at = |server_address| AuthConfig { server_address, ..crate::password_message() };
    for same in [
        "registry.example",
        "REGISTRY.example",
        "registry.example/",
        "registry.example:443",
        "registry.example:80",
        "https://registry.example",
        "HTTPS://Registry.Example:443/v2/",
        "http://registry.example/v1/",
        "http://registry.example:80",
        "https://user:secret@registry.example",
        "https://registry.example/path@elsewhere.example",
        "//registry.example",
        "registry.example?query",
    ] {
        assert_eq!(read(&at(same)), r#"basic "user" "password""#, "{same}");
    }
    for other in [
        "other.example",
        "registry.example.evil.example",
        "https://registry.example@evil.example",
        "https://evil.example/registry.example",
        "https://evil.example#registry.example",
        "https://evil.example?@registry.example",
        "registry.example:5000",
        "https://registry.example:80",
        "http://registry.example:443",
        "example",
        "[::1]",
    ] {
        assert_eq!(read(&at(other)), "anonymous", "{other}");
    }
}

#[test]
fn an_unreadable_server_address_is_an_error() {
    let at = |server_address| AuthConfig { server_address, ..crate::password_message() };
    check(
        at("https://"),
        expect!["error: credential field `server_address` does not name a host: there is no host in it"],
    );
    check(
        at("/v1/"),
        expect!["error: credential field `server_address` does not name a host: there is no host in it"],
    );
    check(
        at(" registry.example"),
        expect![
            "error: credential field `server_address` does not name a host: a character is not allowed in a host"
        ],
    );
    check(
        at("registry.example:port"),
        expect![
            "error: credential field `server_address` does not name a host: the port is not a number up to 65535"
        ],
    );
    check(
        at("registry.example:70000"),
        expect![
            "error: credential field `server_address` does not name a host: the port is not a number up to 65535"
        ],
    );
    check(
        at("[::1"),
        expect![
            "error: credential field `server_address` does not name a host: the part in brackets is not an IPv6 address"
        ],
    );
    check(
        at("[::1]5000"),
        expect![
            "error: credential field `server_address` does not name a host: a character is not allowed in a host"
        ],
    );
    check(
        at("a:b:c"),
        expect![
            "error: credential field `server_address` does not name a host: the port is not a number up to 65535"
        ],
    );
}

#[test]
fn overlong_fields_are_refused() {
    let long = "x".repeat(CREDENTIAL_BYTES_MAX + 1);
    check(
        AuthConfig { username: &long, ..AuthConfig::default() },
        expect!["error: credential field `username` has 65537 bytes, more than the 65536 that are read"],
    );
    check(
        AuthConfig { registry_token: &long, ..AuthConfig::default() },
        expect![
            "error: credential field `registry_token` has 65537 bytes, more than the 65536 that are read"
        ],
    );
    let longest = &long[1..];
    assert!(read(&AuthConfig { password: longest, ..crate::password_message() }).ends_with("xxx\""));
}

/// Go's `base64.StdEncoding.Decode` of a whole text, bit by bit.
fn model_decode(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let packed: Vec<char> = text.chars().filter(|character| !"\r\n".contains(*character)).collect();
    if !packed.len().is_multiple_of(4) {
        return None;
    }
    let padding = packed.iter().rev().take_while(|&&character| character == '=').count();
    if padding > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for character in &packed[..packed.len() - padding] {
        let value = ALPHABET.find(*character)?;
        bits.extend((0..6).rev().map(|bit| u8::from(value >> bit & 1 == 1)));
    }
    Some(bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect())
}

/// What the message's documentation says about `auth`, from the bytes it decodes to.
fn model(auth: &str) -> String {
    if auth.is_empty() {
        return "anonymous".to_owned();
    }
    let Some(bytes) = model_decode(auth) else { return "error".to_owned() };
    let Ok(text) = String::from_utf8(bytes) else { return "error".to_owned() };
    let Some(colon) = text.find(':') else { return "error".to_owned() };
    let (username, mut password) = (&text[..colon], &text[colon + 1..]);
    while let Some(rest) = password.strip_prefix('\0') {
        password = rest;
    }
    while let Some(rest) = password.strip_suffix('\0') {
        password = rest;
    }
    match (username, password) {
        ("", "") => "anonymous".to_owned(),
        ("", password) => format!("identity token {password:?}"),
        (username, password) => format!("basic {username:?} {password:?}"),
    }
}

proptest! {
    #[test]
    fn auth_reads_as_its_model(text in "[A-Za-z0-9+/=\r\n]{0,24}|([A-Za-z0-9+/]{4}){0,6}([AOQgw]{2}==|[A-Z]{3}=)?|.{0,12}") {
        let read = read(&auth(&text));
        let read = if read.starts_with("error") { "error".to_owned() } else { read };
        prop_assert_eq!(read, model(&text));
    }

    #[test]
    fn any_pair_reads_back(username in "[^:]{0,12}", password in ".{0,12}", wrap in 1usize..9) {
        let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{username}:{password}"));
        let wrapped: String = packed.as_bytes().chunks(wrap).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
        prop_assert_eq!(read(&auth(&wrapped)), model(&packed));
    }

    #[test]
    fn any_message_is_read_or_refused(fields in prop::array::uniform6(".{0,16}"), registry in ".{0,16}") {
        let [username, password, auth, server_address, identity_token, registry_token] = &fields;
        let message = AuthConfig { username, password, auth, server_address, identity_token, registry_token };
        if let Ok(credentials) = Credentials::from_auth_config(&message, &registry) {
            let bound = if server_address.is_empty() { &registry } else { server_address };
            prop_assert_eq!(credentials.for_host(bound).is_none(), credentials.is_anonymous());
        }
    }
}
