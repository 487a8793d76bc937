//! Any body as a token server's answer: reading never panics, and what reads is a token that fits into a header and is
//! used for a bounded time.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use auth::Token;
use libfuzzer_sys::fuzz_target;

/// One instant for the whole run, so that an input behaves the same whenever it is run.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|body: &[u8]| {
    let Ok(token) = Token::parse(body, *ORIGIN) else { return };
    assert!(!token.secret().is_empty(), "a token");
    assert!(token.secret().expose().bytes().all(|byte| byte.is_ascii_graphic()), "fits into a header");
    assert!(!token.refresh_token().is_some_and(auth::Secret::is_empty), "no empty refresh token");
    assert!(token.expires_at() > *ORIGIN, "used for a while");
    assert!(!token.is_valid_at(*ORIGIN + Duration::from_secs(24 * 60 * 60)), "used for a day at most");
    let expires_at = token.expires_at();
    assert!(
        token.aged(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).expires_at() <= expires_at
    );
});
