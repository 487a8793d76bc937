//! Token answers, and until when a token is used.

use std::time::{Duration, Instant, SystemTime};

use auth::{TOKEN_ANSWER_BYTES_MAX, Token, TokenError};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::chain;

/// The one clock that these tests need: any instant to count from.
#[expect(clippy::disallowed_methods, reason = "an origin to count from; nothing waits for it")]
fn origin() -> Instant {
    Instant::now()
}

/// For how long a token is used, in milliseconds.
fn used_for_ms(token: &Token, requested_at: Instant) -> u128 {
    token.expires_at().duration_since(requested_at).as_millis()
}

#[track_caller]
fn check(body: &str, expected: Expect) {
    let requested_at = origin();
    expected.assert_eq(&match Token::parse(body.as_bytes(), requested_at) {
        Ok(token) => format!(
            "{} for {} ms, refresh {:?}",
            token.secret().expose(),
            used_for_ms(&token, requested_at),
            token.refresh_token().map(auth::Secret::expose)
        ),
        Err(error) => format!("error: {}", chain(&error)),
    });
}

#[test]
fn either_name_of_the_token_does() {
    check(r#"{"token":"a"}"#, expect!["a for 50000 ms, refresh None"]);
    check(
        r#"{"access_token":"b","scope":"x","token_type":"Bearer"}"#,
        expect!["b for 50000 ms, refresh None"],
    );
    check(r#"{"token":"a","access_token":"b"}"#, expect!["b for 50000 ms, refresh None"]);
    check(r#"{"token":"a","access_token":"","refresh_token":""}"#, expect!["a for 50000 ms, refresh None"]);
    check(
        r#"{"token":null,"access_token":"b","refresh_token":"r"}"#,
        expect![[r#"b for 50000 ms, refresh Some("r")"#]],
    );
}

#[test]
fn a_life_is_read_leniently() {
    for (expires_in, used_for_ms_expected) in [
        ("300", 290_000),
        ("300.5", 290_500),
        ("\"300\"", 290_000),
        ("\" 3e2 \"", 290_000),
        ("40", 30_000),
        ("20", 15_000),
        ("1", 750),
        ("0", 50_000),
        ("-5", 50_000),
        ("1e-20", 50_000),
        ("null", 50_000),
        ("\"soon\"", 50_000),
        ("\"NaN\"", 50_000),
        ("[300]", 50_000),
        ("{}", 50_000),
        ("86400", 86_390_000),
        ("86401", 86_390_000),
        ("1e300", 86_390_000),
        ("\"inf\"", 86_390_000),
        ("99999999999999999999999999", 86_390_000),
    ] {
        let requested_at = origin();
        let body = format!(r#"{{"token":"a","expires_in":{expires_in}}}"#);
        let token = Token::parse(body.as_bytes(), requested_at).expect("a token");
        assert_eq!(used_for_ms(&token, requested_at), used_for_ms_expected, "{expires_in}");
    }
}

#[test]
fn a_token_is_valid_until_it_expires() {
    let requested_at = origin();
    let token = Token::parse(br#"{"token":"a"}"#, requested_at).expect("a token");
    assert!(token.is_valid_at(requested_at));
    assert!(token.is_valid_at(requested_at + Duration::from_millis(49_999)));
    assert!(!token.is_valid_at(requested_at + Duration::from_secs(50)));
    assert_eq!(token.authorization().expose(), "Bearer a");
}

#[test]
fn a_token_issued_earlier_lives_shorter() {
    let requested_at = origin();
    // 2026-11-24T18:00:00Z.
    let issued_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_543_200);
    let body = br#"{"token":"a","expires_in":300,"issued_at":"2026-11-24T20:00:00.123456789+02:00"}"#;
    let token = Token::parse(body, requested_at).expect("a token");
    assert_eq!(token.issued_at(), Some(issued_at));
    let used_for_at = |answered_at| used_for_ms(&token.clone().aged(answered_at), requested_at);
    assert_eq!(used_for_at(issued_at), 290_000);
    assert_eq!(used_for_at(issued_at - Duration::from_secs(5)), 290_000);
    assert_eq!(used_for_at(issued_at + Duration::from_secs(100)), 190_000);
    assert_eq!(used_for_at(issued_at + Duration::from_secs(301)), 0);

    let unknown = Token::parse(br#"{"token":"a","issued_at":5}"#, requested_at).expect("a token");
    assert_eq!(unknown.issued_at(), None);
    assert_eq!(unknown.clone().aged(issued_at), unknown);
}

#[test]
fn answers_without_a_usable_token_are_refused() {
    check("", expect!["error: the token answer is not the expected JSON at line 1, column 0"]);
    check("<html>", expect!["error: the token answer is not the expected JSON at line 1, column 1"]);
    check(
        "{\n\"token\": 5}",
        expect!["error: the token answer is not the expected JSON at line 2, column 10"],
    );
    check(r#"["a"]"#, expect!["error: the token answer is not the expected JSON at line 1, column 0"]);
    check("[]", expect!["error: the token answer is not the expected JSON at line 1, column 0"]);
    check("{}", expect!["error: the token answer has no token"]);
    check(r#"{"token":"","access_token":null}"#, expect!["error: the token answer has no token"]);
    check(
        r#"{"token":"a\r\nb"}"#,
        expect!["error: the token answer's token has a character that cannot be sent in an HTTP header"],
    );
    check(
        r#"{"token":"ä"}"#,
        expect!["error: the token answer's token has a character that cannot be sent in an HTTP header"],
    );
    check(
        r#"{"token":"a"} {}"#,
        expect!["error: the token answer is not the expected JSON at line 1, column 15"],
    );
}

#[test]
fn the_size_is_bounded() {
    let body = |bytes: usize| format!(r#"{{"token":"{}"}}"#, "x".repeat(bytes - 12));
    assert!(Token::parse(body(TOKEN_ANSWER_BYTES_MAX).as_bytes(), origin()).is_ok());
    let bytes = TOKEN_ANSWER_BYTES_MAX + 1;
    assert_eq!(Token::parse(body(bytes).as_bytes(), origin()), Err(TokenError::Length { bytes }));
}

proptest! {
    #[test]
    fn validity_follows_its_model(expires_in in 1u64..200_000, asked_ms in 0u64..200_000_000, age in 0u64..200_000) {
        let requested_at = origin();
        let body = format!(r#"{{"token":"a","expires_in":{expires_in},"issued_at":"2026-11-24T18:00:00Z"}}"#);
        let token = Token::parse(body.as_bytes(), requested_at).expect("a token");
        let token = token.aged(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_543_200 + age));
        // A quarter of the life up to ten seconds is kept back, in milliseconds.
        let life_ms = expires_in.min(86_400).saturating_sub(age) * 1_000;
        let used_for_ms = life_ms - (life_ms / 4).min(10_000);
        prop_assert_eq!(token.is_valid_at(requested_at + Duration::from_millis(asked_ms)), asked_ms < used_for_ms);
    }

    #[test]
    fn any_answer_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Token::parse(&body, origin());
    }

    #[test]
    fn any_value_of_any_field_is_read_or_refused(
        fields in prop::collection::vec((
            prop::sample::select(&["token", "access_token", "expires_in", "issued_at", "refresh_token"][..]),
            "null|true|-?[0-9]{1,30}(\\.[0-9]{1,3})?|\"[0-9TZ:+-]{0,24}\"|\"[a-z]{0,4}\"|\\[\\]|\\{\\}",
        ), 0..6),
    ) {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let requested_at = origin();
        if let Ok(token) = Token::parse(format!("{{{}}}", body.join(",")).as_bytes(), requested_at) {
            prop_assert!(!token.secret().is_empty());
            prop_assert!(token.expires_at() > requested_at);
        }
    }
}
