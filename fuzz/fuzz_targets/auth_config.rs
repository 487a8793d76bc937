//! The registry and any CRI message's six fields, with U+0001 between them: reading never panics, credentials are for
//! the host that they are bound to, and nothing secret is printed.
#![no_main]

use auth::{AuthConfig, Credential, Credentials};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut fields = input.split('\u{1}');
    let mut field = || fields.next().unwrap_or_default();
    let registry = field();
    let message = AuthConfig {
        username: field(),
        password: field(),
        auth: field(),
        server_address: field(),
        identity_token: field(),
        registry_token: field(),
    };
    let credentials = match Credentials::from_auth_config(&message, registry) {
        Ok(credentials) => credentials,
        Err(error) => {
            // Everything that an error may show is known beforehand: it holds none of the input.
            assert!(error.to_string().starts_with("credential field `"), "names the field");
            return;
        }
    };
    let bound = if message.server_address.is_empty() { registry } else { message.server_address };
    let credential = credentials.for_host(bound);
    assert_eq!(credential.is_none(), credentials.is_anonymous(), "shown to the host it is bound to");
    assert!(
        credentials.for_host("elsewhere.invalid").is_none() || bound.to_lowercase().contains("elsewhere")
    );
    match credential {
        Some(Credential::Basic { username, .. }) => assert!(!username.is_empty(), "a user name"),
        Some(Credential::IdentityToken(token) | Credential::RegistryToken(token)) => {
            assert!(!token.is_empty(), "a token");
            assert!(format!("{credential:?}").ends_with("Token(Secret(****)))"), "masked");
        }
        _ => {}
    }
    if let Some(value) = credential.and_then(Credential::authorization) {
        assert!(
            value.expose().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
            "fits into a header"
        );
    }
});
