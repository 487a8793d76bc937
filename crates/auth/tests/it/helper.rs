//! The protocol of credential helpers.

use auth::{HELPER_ANSWER_BYTES_MAX, HelperError, HelperRequest};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{chain, shown};

fn request() -> HelperRequest {
    HelperRequest::new("pass", "quay.io").expect("a helper and a host")
}

#[track_caller]
fn check(succeeded: bool, stdout: &str, expected: Expect) {
    expected.assert_eq(&match request().answer(succeeded, stdout.as_bytes()) {
        Ok(credentials) => shown(credentials.for_host("quay.io")),
        Err(error) => format!("error: {}", chain(&error)),
    });
}

#[test]
fn the_question_is_the_registry_as_docker_asks_for_it() {
    for (registry, stdin) in [
        ("quay.io", "quay.io"),
        ("QUAY.io:443", "quay.io"),
        ("localhost:5000", "localhost:5000"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("registry-1.docker.io", "https://index.docker.io/v1/"),
        ("[::1]:5000", "[::1]:5000"),
    ] {
        let request = HelperRequest::new("ecr-login", registry).expect("a host");
        assert_eq!(request.stdin(), stdin);
        assert_eq!((request.program(), request.argument()), ("docker-credential-ecr-login", "get"));
    }
}

#[test]
fn a_helpers_name_cannot_lead_elsewhere() {
    let long = "x".repeat(65);
    for name in ["", "/bin/sh", "../x", "a/b", "a b", "a\0", "a;b", "a\\b", "ä", "$(x)", &long] {
        assert_eq!(HelperRequest::new(name, "quay.io"), Err(HelperError::Name), "{name}");
    }
    for name in ["pass", "ecr-login", "osxkeychain", "gcr_2.0", &long[1..]] {
        assert!(HelperRequest::new(name, "quay.io").is_ok(), "{name}");
    }
    assert!(matches!(HelperRequest::new("pass", "no host"), Err(HelperError::Registry(_))));
}

#[test]
fn an_answer_has_user_and_secret() {
    check(
        true,
        r#"{"ServerURL":"https://evil.example","Username":"user","Secret":"pass"}"#,
        expect![[r#"basic "user" "pass""#]],
    );
    check(
        true,
        "{\"Username\":\"<token>\",\"Secret\":\"refresh\"}\n",
        expect![[r#"identity token "refresh""#]],
    );
    check(true, r#"{"Username":"user","Secret":""}"#, expect![[r#"basic "user" """#]]);
    check(true, r#"{"Username":"","Secret":"refresh"}"#, expect![[r#"identity token "refresh""#]]);
}

#[test]
fn no_credentials_are_anonymous() {
    check(false, "credentials not found in native keychain\n", expect!["anonymous"]);
    check(false, " Credentials not found", expect!["anonymous"]);
    check(true, r#"{"Username":"<token>","Secret":""}"#, expect!["anonymous"]);
    check(true, r#"{"Username":"","Secret":""}"#, expect!["anonymous"]);
    check(true, r#"{"Username":null,"Secret":null}"#, expect!["anonymous"]);
}

#[test]
fn failures_name_the_program_and_not_its_output() {
    check(
        false,
        "hunter2: boom",
        expect!["error: `docker-credential-pass` failed to get the credentials for `quay.io`"],
    );
    check(false, "", expect!["error: `docker-credential-pass` failed to get the credentials for `quay.io`"]);
    check(
        true,
        "",
        expect![
            "error: `docker-credential-pass` wrote something else than the expected JSON at line 1, column 0"
        ],
    );
    check(
        true,
        r#"{"Username":"user","Secret":{"hunter2":1}}"#,
        expect![
            "error: `docker-credential-pass` wrote something else than the expected JSON at line 1, column 28"
        ],
    );
    check(
        true,
        "credentials not found",
        expect![
            "error: `docker-credential-pass` wrote something else than the expected JSON at line 1, column 1"
        ],
    );
    let longest = request().answer(true, "x".repeat(HELPER_ANSWER_BYTES_MAX).as_bytes());
    assert!(!matches!(longest, Ok(_) | Err(HelperError::Length { .. })), "read, and no answer: {longest:?}");
    check(
        true,
        &"x".repeat(HELPER_ANSWER_BYTES_MAX + 1),
        expect!["error: `docker-credential-pass` wrote 131073 bytes, more than the 131072 that are read"],
    );
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(succeeded: bool, stdout in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = request().answer(succeeded, &stdout);
    }

    #[test]
    fn any_strings_in_an_answer_are_read(username in "(?s).{0,12}|<token>", secret in "(?s).{0,12}|") {
        let answer = serde_json::json!({ "ServerURL": "quay.io", "Username": username, "Secret": secret }).to_string();
        let credentials = request().answer(true, answer.as_bytes()).expect("of the right shape");
        let expected = match (username.as_str(), secret.as_str()) {
            ("" | "<token>", "") => "anonymous".to_owned(),
            ("" | "<token>", secret) => format!("identity token {secret:?}"),
            (username, secret) => format!("basic {username:?} {secret:?}"),
        };
        prop_assert_eq!(shown(credentials.for_host("quay.io")), expected);
    }

    #[test]
    fn any_name_is_one_word_or_refused(name in ".{0,12}", registry in ".{0,12}") {
        if let Ok(request) = HelperRequest::new(&name, &registry) {
            prop_assert_eq!(request.program(), format!("docker-credential-{name}"));
            prop_assert!(!request.program().contains(['/', '\\', ' ']));
        }
    }
}
