//! Token requests: what goes where, and what must not go at all.

use std::fmt::Write as _;

use auth::{
    BearerChallenge, Credential, Scope, ScopeSet, Secret, TokenMethod, TokenRequest, TokenRequestError,
    TokenRequestOptions,
};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{basic, chain, challenge_of};

const OPTIONS: TokenRequestOptions<'_> = TokenRequestOptions {
    client_id: "client",
    offline: false,
    account: false,
    post_password: false,
    plain_http: false,
};

fn challenge() -> BearerChallenge {
    BearerChallenge {
        service: Some("registry.example".to_owned()),
        scope: ScopeSet::parse("repository:a/b:pull,push repository:c:pull").expect("scopes"),
        ..challenge_of("https://auth.example/token")
    }
}

#[track_caller]
fn check(
    challenge: &BearerChallenge,
    credential: Option<&Credential>,
    options: &TokenRequestOptions<'_>,
    expected: Expect,
) {
    let request = TokenRequest::new(challenge, &challenge.scope, credential, options);
    expected.assert_eq(
        &request.map_or_else(|error| format!("error: {}", chain(&error)), |request| shown(&request)),
    );
}

fn shown(request: &TokenRequest) -> String {
    let mut shown = format!("{:?} {}\n", request.method, request.url);
    for (name, secret) in [("authorization", &request.authorization), ("form", &request.form)] {
        if let Some(secret) = secret {
            writeln!(shown, "{name}: {}", secret.expose()).expect("a string takes everything");
        }
    }
    shown
}

#[test]
fn anonymous_is_a_get_without_authorization() {
    check(
        &challenge(),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=client
    "#]],
    );
    check(
        &challenge_of("https://auth.example"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/?client_id=client
    "#]],
    );
}

#[test]
fn a_password_goes_by_basic_authorization() {
    check(
        &challenge(),
        Some(&basic("pass:wörd")),
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=client
        authorization: Basic dXNlcjpwYXNzOnfDtnJk
    "#]],
    );
    check(
        &challenge(),
        Some(&basic("")),
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=client
        authorization: Basic dXNlcjo=
    "#]],
    );
    let options = TokenRequestOptions { offline: true, account: true, ..OPTIONS };
    check(
        &challenge(),
        Some(&basic("password")),
        &options,
        expect![[r#"
        Get https://auth.example/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=client&account=user&offline_token=true
        authorization: Basic dXNlcjpwYXNzd29yZA==
    "#]],
    );
}

#[test]
fn a_password_may_go_by_form() {
    let options = TokenRequestOptions { post_password: true, offline: true, ..OPTIONS };
    check(
        &challenge(),
        Some(&basic("p&a=s s+%w\nörd")),
        &options,
        expect![[r#"
        Post https://auth.example/token
        form: grant_type=password&username=user&password=p%26a%3Ds%20s%2B%25w%0A%C3%B6rd&service=registry.example&client_id=client&scope=repository%3Aa%2Fb%3Apull%2Cpush%20repository%3Ac%3Apull&access_type=offline
    "#]],
    );
    // Without a password there is nothing to post.
    check(
        &challenge(),
        None,
        &options,
        expect![[r#"
        Get https://auth.example/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=client&offline_token=true
    "#]],
    );
}

#[test]
fn an_identity_token_goes_by_form() {
    let token = Credential::IdentityToken(Secret::from("refresh&me"));
    check(
        &challenge(),
        Some(&token),
        &OPTIONS,
        expect![[r#"
        Post https://auth.example/token
        form: grant_type=refresh_token&refresh_token=refresh%26me&service=registry.example&client_id=client&scope=repository%3Aa%2Fb%3Apull%2Cpush%20repository%3Ac%3Apull
    "#]],
    );
    let options = TokenRequestOptions { offline: true, ..OPTIONS };
    check(
        &challenge_of("https://auth.example/oauth2/token"),
        Some(&token),
        &options,
        expect![[r#"
        Post https://auth.example/oauth2/token
        form: grant_type=refresh_token&refresh_token=refresh%26me&client_id=client&access_type=offline
    "#]],
    );
}

#[test]
fn a_registry_token_is_not_exchanged() {
    let token = Credential::RegistryToken(Secret::from("bearer"));
    check(
        &challenge(),
        Some(&token),
        &OPTIONS,
        expect![
            "error: a registry token is for the registry itself and cannot be exchanged for another token"
        ],
    );
}

#[test]
fn the_realms_own_query_is_kept() {
    check(
        &challenge_of("https://auth.example/token?tenant=a%20b&x"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?tenant=a%20b&x&client_id=client
    "#]],
    );
    check(
        &challenge_of("https://auth.example?"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/?client_id=client
    "#]],
    );
    check(
        &challenge_of("https://auth.example/token?a=b&#fragment"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?a=b&client_id=client
    "#]],
    );
    check(
        &challenge_of("https://auth.example/token?a=?"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://auth.example/token?a=?&client_id=client
    "#]],
    );
    let token = Credential::IdentityToken(Secret::from("refresh"));
    check(
        &challenge_of("https://auth.example/token?tenant=a#fragment"),
        Some(&token),
        &OPTIONS,
        expect![[r#"
            Post https://auth.example/token?tenant=a
            form: grant_type=refresh_token&refresh_token=refresh&client_id=client
        "#]],
    );
}

#[test]
fn sloppy_realms_are_escaped() {
    check(
        &challenge_of("HTTPS://Auth.example:8443/tök en/%7e%zz/\"<>"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://Auth.example:8443/t%C3%B6k%20en/%7e%25zz/%22%3C%3E?client_id=client
    "#]],
    );
    check(
        &challenge_of("https://[::1]:/token"),
        None,
        &OPTIONS,
        expect![[r#"
        Get https://[::1]/token?client_id=client
    "#]],
    );
}

#[test]
fn realms_that_are_no_token_server_are_refused() {
    check(
        &challenge_of(""),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it is not an absolute http or https URL"
        ],
    );
    check(
        &challenge_of("auth.example/token"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it is not an absolute http or https URL"
        ],
    );
    check(
        &challenge_of("/token"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it is not an absolute http or https URL"
        ],
    );
    check(
        &challenge_of("file:///etc/passwd"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it is not an absolute http or https URL"
        ],
    );
    check(
        &challenge_of("https:///token"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it does not name a host: there is no host in it"
        ],
    );
    check(
        &challenge_of("https://user:secret@auth.example/"),
        None,
        &OPTIONS,
        expect!["error: the realm of the registry's challenge cannot be used: it has user information in it"],
    );
    check(
        &challenge_of("https://auth.example/\r\nX: y"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it has a control character in it"
        ],
    );
    check(
        &challenge_of("https://auth.example:port/"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it does not name a host: the port is not a number up to 65535"
        ],
    );
    check(
        &challenge_of("https://a uth.example/"),
        None,
        &OPTIONS,
        expect![
            "error: the realm of the registry's challenge cannot be used: it does not name a host: a character is not allowed in a host"
        ],
    );
    check(
        &challenge_of("https://auth.example\\@evil.example/"),
        None,
        &OPTIONS,
        expect!["error: the realm of the registry's challenge cannot be used: it has user information in it"],
    );
}

#[test]
fn credentials_from_https_do_not_go_to_an_http_realm() {
    let challenge = challenge_of("http://auth.example/token");
    let forms = [basic("password"), Credential::IdentityToken(Secret::from("refresh"))];
    for credential in &forms {
        let refused = TokenRequest::new(&challenge, &challenge.scope, Some(credential), &OPTIONS);
        assert_eq!(refused, Err(TokenRequestError::Downgrade));
        let plain = TokenRequestOptions { plain_http: true, ..OPTIONS };
        let request = TokenRequest::new(&challenge, &challenge.scope, Some(credential), &plain)
            .expect("http as before");
        assert!(request.url.starts_with("http://auth.example/token"));
    }
    let anonymous = TokenRequest::new(&challenge, &challenge.scope, None, &OPTIONS).expect("nothing to lose");
    assert_eq!(anonymous.authorization, None);
}

/// The parameters in a query or form, as every server decodes them.
fn decode(encoded: &str) -> Vec<(String, String)> {
    let text = |part: &str| {
        let mut bytes = Vec::new();
        let mut rest = part.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                    u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
                }
                b'+' => b' ',
                byte => byte,
            });
        }
        String::from_utf8(bytes).expect("what was encoded")
    };
    encoded
        .split('&')
        .map(|parameter| parameter.split_once('=').expect("name and value"))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn sorted(mut parameters: Vec<(String, String)>) -> Vec<(String, String)> {
    parameters.sort();
    parameters
}

fn pairs(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

proptest! {
    #[test]
    fn servers_decode_what_was_meant(
        service in prop::option::of(".{0,8}"),
        names in prop::collection::btree_set("[!#-9;-\\[\\]-~]{1,8}", 0..3),
        username in "[^\0]{1,8}",
        password in "(?s).{0,16}",
        client_id in ".{1,8}",
        form in 0..4,
    ) {
        let scopes: Vec<Scope> = names.iter().map(|name| Scope::repository_pull(name)).collect();
        let challenge = BearerChallenge { service: service.clone(), ..challenge_of("https://auth.example/token") };
        let credential = match form {
            0 => None,
            1 | 2 => Some(Credential::Basic { username: username.clone(), password: Secret::from(&password[..]) }),
            _ => Some(Credential::IdentityToken(Secret::from(&password[..]))),
        };
        let options = TokenRequestOptions { client_id: &client_id, post_password: form == 2, account: true, ..OPTIONS };
        let request = TokenRequest::new(&challenge, &scopes, credential.as_ref(), &options).expect("a good realm");

        let mut expected = pairs(&[("client_id", &client_id)]);
        expected.extend(service.map(|service| ("service".to_owned(), service)));
        let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        prop_assert!(request.url.bytes().all(|byte| byte.is_ascii_graphic()));
        if form < 2 {
            expected.extend(scopes.into_iter().map(|scope| ("scope".to_owned(), scope)));
            prop_assert_eq!(request.method, TokenMethod::Get);
            prop_assert!(request.form.is_none());
            if form == 1 {
                expected.extend(pairs(&[("account", &username)]));
                let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{username}:{password}"));
                let authorization = request.authorization.as_ref().map(Secret::expose);
                prop_assert_eq!(authorization, Some(&format!("Basic {pair}")[..]));
            }
            let query = request.url.strip_prefix("https://auth.example/token?").expect("the realm");
            prop_assert_eq!(sorted(decode(query)), sorted(expected));
        } else {
            if !scopes.is_empty() {
                expected.extend(pairs(&[("scope", &scopes.join(" "))]));
            }
            expected.extend(if form == 2 {
                pairs(&[("grant_type", "password"), ("username", &username), ("password", &password)])
            } else {
                pairs(&[("grant_type", "refresh_token"), ("refresh_token", &password)])
            });
            prop_assert_eq!(request.method, TokenMethod::Post);
            prop_assert_eq!(request.url, "https://auth.example/token");
            prop_assert!(request.authorization.is_none());
            let form = request.form.expect("a form");
            prop_assert_eq!(sorted(decode(form.expose())), sorted(expected));
        }
    }

    #[test]
    fn any_realm_is_a_url_or_refused(realm in "(https?://)?.{0,32}|https?://[a-z:/?#@%\\[\\]. \\\\]{0,24}") {
        if let Ok(request) = TokenRequest::new(&challenge_of(&realm), [], None, &OPTIONS) {
            let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
            prop_assert!(request.url.bytes().all(is_allowed), "{}", request.url);
            let realm = request.url.strip_suffix("client_id=client").expect("the parameter at the end");
            let (_, query) = realm.split_once('?').expect("a query");
            prop_assert!(query.is_empty() || query.ends_with('&'), "{}", request.url);
            // Reading the result again changes nothing but to add the parameters once more.
            let again = TokenRequest::new(&challenge_of(&request.url), [], None, &OPTIONS).expect("a URL now");
            prop_assert_eq!(again.url, format!("{}&client_id=client", request.url));
        }
    }
}
