//! `WWW-Authenticate`: what registries send, what RFC 9110 allows, and what is refused.

use auth::{CHALLENGE_COUNT_MAX, CHALLENGE_HEADER_BYTES_MAX, Challenge, ChallengeError, parse_challenges};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::chain;

#[track_caller]
fn check(headers: &[&str], expected: Expect) {
    expected.assert_eq(&match parse_challenges(headers.iter().copied()) {
        Ok(challenges) => challenges.iter().map(|challenge| format!("{}\n", shown(challenge))).collect(),
        Err(error) => format!("error: {}", chain(&error)),
    });
}

fn shown(challenge: &Challenge) -> String {
    match challenge {
        Challenge::Basic { realm } => format!("basic {realm:?}"),
        Challenge::Bearer(bearer) => format!(
            "bearer {:?} service {:?} scope {} error {:?}",
            bearer.realm, bearer.service, bearer.scope, bearer.error
        ),
        other => panic!("a scheme that the tests do not know: {other:?}"),
    }
}

#[test]
fn as_registries_send_them() {
    // Docker Hub.
    check(
        &[
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull""#,
        ],
        expect![[r#"
            bearer "https://auth.docker.io/token" service Some("registry.docker.io") scope repository:library/busybox:pull error None
        "#]],
    );
    // A rejected token, and two scopes in one.
    check(
        &[
            r#"Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope""#,
        ],
        expect![[r#"
            bearer "https://quay.io/v2/auth" service Some("quay.io") scope repository:a/b:pull,push repository:c:pull error Some("insufficient_scope")
        "#]],
    );
    check(
        &[r#"Basic realm="Registry Realm""#],
        expect![[r#"
        basic "Registry Realm"
    "#]],
    );
    check(
        &[r#"BASIC realm="Sonatype Nexus Repository Manager""#, r#"bearer Realm="https://nexus/token""#],
        expect![[r#"
            basic "Sonatype Nexus Repository Manager"
            bearer "https://nexus/token" service None scope  error None
        "#]],
    );
    // Without quotes, and a URL where a token should be.
    check(
        &["Bearer realm=https://auth.example/token?a=b,service=registry"],
        expect![[r#"
        bearer "https://auth.example/token?a=b" service Some("registry") scope  error None
    "#]],
    );
}

#[test]
fn several_in_one_header() {
    check(
        &[
            r#"Negotiate, Basic realm="a, b", NTLM abc==, Bearer realm="https://x/t" , scope="s" ,, Digest realm="d", nonce="n""#,
        ],
        expect![[r#"
            basic "a, b"
            bearer "https://x/t" service None scope s error None
        "#]],
    );
    check(
        &[r#"Negotiate YIIBe==,Basic realm="x""#],
        expect![[r#"
        basic "x"
    "#]],
    );
    check(
        &[r#"Basic,Bearer realm="https://x/t""#],
        expect![[r#"
        basic ""
        bearer "https://x/t" service None scope  error None
    "#]],
    );
    check(
        &[r#", ,Basic realm=a,, Basic realm=b, ,"#],
        expect![[r#"
        basic "a"
        basic "b"
    "#]],
    );
}

#[test]
fn quoted_strings_with_escapes_and_space() {
    check(
        &[r#"Basic realm="a \"quoted\" \\ back\slash, = Bearer realm=\"x\"""#],
        expect![[r#"
        basic "a \"quoted\" \\ backslash, = Bearer realm=\"x\""
    "#]],
    );
    check(
        &["Basic realm\t= \t\"münchen\""],
        expect![[r#"
        basic "münchen"
    "#]],
    );
    check(
        &[r#"Basic realm="""#],
        expect![[r#"
        basic ""
    "#]],
    );
}

#[test]
fn basic_needs_no_realm_and_bearer_does() {
    check(
        &["Basic"],
        expect![[r#"
        basic ""
    "#]],
    );
    // A token68 may look like a parameter without value.
    check(
        &["Basic realm="],
        expect![[r#"
        basic ""
    "#]],
    );
    check(
        &["Basic abc=="],
        expect![[r#"
        basic ""
    "#]],
    );
    check(&["Bearer"], expect!["error: a bearer challenge has no realm"]);
    check(&[r#"Bearer service="x""#], expect!["error: a bearer challenge has no realm"]);
}

#[test]
fn no_header_and_no_known_scheme_are_no_error() {
    check(&[], expect![[""]]);
    check(&["", " , "], expect![[""]]);
    check(&["Negotiate", r#"Digest realm="x", nonce="y""#, "AWS4-HMAC-SHA256"], expect![[""]]);
}

#[test]
fn broken_headers_are_refused() {
    check(&["="], expect!["error: a www-authenticate header has no authentication scheme at byte 0"]);
    check(
        &[r#"Basic"realm""#],
        expect!["error: a www-authenticate header has no space after the authentication scheme at byte 5"],
    );
    check(
        &[r#"Basic realm="x"#],
        expect!["error: a www-authenticate header has a quoted string without end at byte 12"],
    );
    check(
        &[r#"Basic realm="x\"#],
        expect!["error: a www-authenticate header has a quoted string without end at byte 12"],
    );
    check(
        &["Basic realm=,x=y"],
        expect!["error: a www-authenticate header has no space after the authentication scheme at byte 14"],
    );
    check(
        &[r#"Basic realm="x" y="z""#],
        expect!["error: a www-authenticate header has no comma after a parameter at byte 16"],
    );
    check(
        &[r#"Basic realm="x", "y""#],
        expect!["error: a www-authenticate header has no authentication scheme at byte 17"],
    );
    check(
        &[r#"Bearer realm="https://a/", REALM="https://b/""#],
        expect!["error: the www-authenticate parameter `realm` occurs twice in one challenge"],
    );
    check(
        &[r#"Bearer realm="https://a/", scope="a"b"#],
        expect!["error: a www-authenticate header has no comma after a parameter at byte 36"],
    );
    check(
        &[r#"Bearer realm="https://a/", scope="ä""#],
        expect![
            "error: a bearer challenge has a scope that cannot be read: a scope has a character that is not allowed at byte 0"
        ],
    );
    check(&["Basic realm=ä"], expect!["error: a www-authenticate header has no parameter value at byte 12"]);
}

#[test]
fn a_broken_header_does_not_hide_a_good_one() {
    check(
        &["Basic realm=\"x", r#"Bearer realm="https://x/t""#, "?"],
        expect![[r#"
            bearer "https://x/t" service None scope  error None
        "#]],
    );
    check(
        &["Negotiate", "Basic realm=\"x", "="],
        expect!["error: a www-authenticate header has a quoted string without end at byte 12"],
    );
}

#[test]
fn sizes_are_bounded() {
    let refusal = |headers: &[&str]| parse_challenges(headers.iter().copied()).expect_err("over the bound");
    let realm = "x".repeat(CHALLENGE_HEADER_BYTES_MAX);
    let bytes = realm.len() + 6;
    assert_eq!(refusal(&[&format!("Basic {realm}")]), ChallengeError::Length { bytes });
    assert!(parse_challenges([&realm[..]]).expect("at the bound").is_empty());

    let many = "a,".repeat(CHALLENGE_COUNT_MAX);
    assert!(parse_challenges([&many[..]]).expect("at the bound").is_empty());
    assert_eq!(refusal(&[&many, "Basic"]), ChallengeError::ChallengeCount);
    assert_eq!(refusal(&[&format!("{many}a")]), ChallengeError::ChallengeCount);
    assert!(parse_challenges([""; CHALLENGE_COUNT_MAX]).expect("at the bound").is_empty());
    assert_eq!(refusal(&[""; CHALLENGE_COUNT_MAX + 1]), ChallengeError::ChallengeCount);

    let parameters =
        |count: usize| format!("Basic {}", (0..count).map(|n| format!("p{n}=x,")).collect::<String>());
    assert!(parse_challenges([&parameters(32)[..]]).is_ok());
    assert_eq!(refusal(&[&parameters(33)]), ChallengeError::ParameterCount);

    let scopes = |count: usize| {
        let scopes: String = (0..count).map(|n| format!("repository:r{n}:pull ")).collect();
        format!("Bearer realm=\"https://x/\",scope=\"{scopes}\"")
    };
    assert!(parse_challenges([&scopes(64)[..]]).is_ok());
    assert_eq!(refusal(&[&scopes(65)]), ChallengeError::ScopeCount);
    let scope = format!("Bearer realm=x,scope={}", "x".repeat(1025));
    assert!(matches!(refusal(&[&scope]), ChallengeError::Scope(_)));
}

/// A challenge of a scheme that is skipped, or what `shown` prints of one that is read; and how it is written.
type Written = (Option<String>, String);

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", " ", "\t", "  "][..])
}

/// A value and a spelling of it: quoted with needless escapes, or bare where that is allowed.
fn value() -> impl Strategy<Value = (String, String)> {
    let text = prop_oneof!["[a-z:/.]{1,8}", "[ -~]{0,8}", "[ -~äß€]{0,6}"];
    (text, any::<bool>(), any::<u64>()).prop_map(|(text, bare, escapes)| {
        // A value of `=` alone would look like the padding of a token68.
        let is_bare = |character: char| character.is_ascii_graphic() && !",\"=".contains(character);
        if bare && !text.is_empty() && text.chars().all(is_bare) {
            return (text.clone(), text);
        }
        let escaped = text.chars().enumerate().map(|(index, character)| {
            let needs = "\"\\".contains(character) || escapes >> index & 1 == 1;
            if needs { format!("\\{character}") } else { character.to_string() }
        });
        (text.clone(), format!("\"{}\"", escaped.collect::<String>()))
    })
}

fn parameter(name: &'static str) -> impl Strategy<Value = (String, String)> {
    (value(), space(), space(), any::<bool>()).prop_map(move |((text, spelt), before, after, upper)| {
        let name = if upper { name.to_uppercase() } else { name.to_owned() };
        (text, format!("{name}{before}={after}{spelt}"))
    })
}

fn written() -> impl Strategy<Value = Written> {
    let comma = || {
        (space(), space(), any::<bool>())
            .prop_map(|(a, b, twice)| format!("{a},{}{b}", if twice { "," } else { "" }))
    };
    prop_oneof![
        prop::sample::select(&["Negotiate", "NTLM abc==", "Negotiate a/b+c=", "x-y  z"][..])
            .prop_map(|text| (None, text.to_owned())),
        (parameter("nonce"), parameter("realm"), comma())
            .prop_map(|((_, nonce), (_, realm), comma)| (None, format!("Digest {nonce}{comma}{realm}"))),
        parameter("realm")
            .prop_map(|(realm, spelt)| (Some(format!("basic {realm:?}")), format!("baSic {spelt}"))),
        (
            parameter("realm"),
            prop::option::of(parameter("service")),
            parameter("error"),
            comma(),
            any::<bool>()
        )
            .prop_map(|((realm, realm_spelt), service, (error, error_spelt), comma, swap)| {
                let service_spelt =
                    service.as_ref().map(|(_, spelt)| format!("{comma}{spelt}")).unwrap_or_default();
                let service = service.map(|(service, _)| service);
                let shown = format!("bearer {realm:?} service {service:?} scope  error {:?}", Some(error));
                let (first, second) =
                    if swap { (&error_spelt, &realm_spelt) } else { (&realm_spelt, &error_spelt) };
                (Some(shown), format!("Bearer {first}{comma}{second}{service_spelt}"))
            }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        challenges in prop::collection::vec((written(), space(), any::<bool>()), 0..6),
    ) {
        let mut headers = vec![String::new()];
        for ((_, text), space, starts_header) in &challenges {
            if *starts_header {
                headers.push(String::new());
            }
            let header = headers.last_mut().expect("one at least");
            if !header.is_empty() {
                header.push_str(space);
                header.push(',');
            }
            header.push_str(space);
            header.push_str(text);
        }
        let read = parse_challenges(headers.iter().map(String::as_str)).map(|challenges| challenges.iter().map(shown).collect::<Vec<_>>());
        let expected: Vec<String> = challenges.into_iter().filter_map(|((shown, _), ..)| shown).collect();
        prop_assert_eq!(read, Ok(expected), "{:?}", headers);
    }

    #[test]
    fn any_header_is_read_or_refused(headers in prop::collection::vec(".{0,40}|[a-z=\", \\\\\t]{0,24}", 0..4)) {
        let longest = headers.iter().map(String::len).max().unwrap_or(0);
        if let Err(ChallengeError::Syntax { offset, .. } | ChallengeError::OpenQuote { offset }) =
            parse_challenges(headers.iter().map(String::as_str))
        {
            prop_assert!(offset <= longest);
        }
    }
}
