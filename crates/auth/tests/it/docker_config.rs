//! Docker's and podman's configuration files: which entry counts, and what is in it.

use auth::{DOCKER_CONFIG_BYTES_MAX, DockerConfig, DockerConfigError, Lookup};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::{chain, shown};

#[track_caller]
fn check(config: &str, name: &str, expected: Expect) {
    expected.assert_eq(&look_up(config, name));
}

fn look_up(config: &str, name: &str) -> String {
    let host = name.split('/').next().unwrap_or_default();
    match DockerConfig::parse(config.as_bytes()).and_then(|config| config.lookup(name)) {
        Ok(Lookup::Credentials(credentials)) => shown(credentials.for_host(host)),
        Ok(Lookup::Helper(request)) => {
            format!("{} {} < {}", request.program(), request.argument(), request.stdin())
        }
        Ok(Lookup::None) => "none".to_owned(),
        Err(error) => format!("error: {}", chain(&error)),
    }
}

#[test]
fn an_empty_file_says_nothing() {
    check("{}", "quay.io", expect!["none"]);
    check(
        r#"{"auths":null,"credHelpers":null,"credsStore":null,"HttpHeaders":{"a":"b"}}"#,
        "quay.io",
        expect!["none"],
    );
}

#[test]
fn an_entry_in_each_form() {
    let one = |entry: &str| format!(r#"{{"auths":{{"quay.io":{entry}}}}}"#);
    check(&one(r#"{"auth":"dXNlcjpwYXNzd29yZA=="}"#), "quay.io", expect![[r#"basic "user" "password""#]]);
    check(
        &one(r#"{"username":"user","password":"pass","email":"a@b"}"#),
        "quay.io",
        expect![[r#"basic "user" "pass""#]],
    );
    check(&one(r#"{"registrytoken":"bearer"}"#), "quay.io", expect![[r#"registry token "bearer""#]]);
    // As `az acr login` writes it: the user name is a placeholder.
    check(
        &one(r#"{"auth":"MDAwMC0wMDAwOg==","identitytoken":"refresh"}"#),
        "quay.io",
        expect![[r#"identity token "refresh""#]],
    );
    check(
        &one(r#"{"auth":"YTpi","username":"user","password":"pass"}"#),
        "quay.io",
        expect![[r#"basic "a" "b""#]],
    );
    check(&one("{}"), "quay.io", expect!["anonymous"]);
    check(&one("null"), "quay.io", expect!["anonymous"]);
    check(&one(r#"{"auth":null,"identitytoken":null}"#), "quay.io", expect!["anonymous"]);
}

#[test]
fn docker_hub_under_any_key() {
    let config = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"YTpi"}}}}}}"#);
    for key in [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "index.docker.io/v1/",
        "docker.io",
        "registry-1.docker.io",
    ] {
        assert_eq!(look_up(&config(key), "docker.io/library/busybox"), r#"basic "a" "b""#, "{key}");
    }
}

#[test]
fn the_longest_path_that_contains_the_name_counts() {
    let config = r#"{"auths":{
        "quay.io":{"auth":"YTow"},
        "quay.io/team":{"auth":"YTox"},
        "quay.io/team/app":{"auth":"YToy"},
        "https://quay.io/team/app/deep":{"auth":"YToz"}
    }}"#;
    check(config, "quay.io", expect![[r#"basic "a" "0""#]]);
    check(config, "quay.io/other", expect![[r#"basic "a" "0""#]]);
    check(config, "quay.io/team", expect![[r#"basic "a" "1""#]]);
    check(config, "quay.io/teams/app", expect![[r#"basic "a" "0""#]]);
    check(config, "quay.io/team/other", expect![[r#"basic "a" "1""#]]);
    check(config, "quay.io/team/app/deep", expect![[r#"basic "a" "2""#]]);
    check(config, "quay.io:5000/team/app", expect!["none"]);
    check(config, "team/app", expect!["none"]);
}

#[test]
fn a_plain_host_goes_before_a_url_of_it() {
    check(
        r#"{"auths":{"https://a.example":{"auth":"YTow"},"a.example":{"auth":"YTox"}}}"#,
        "a.example",
        expect![[r#"basic "a" "1""#]],
    );
    check(
        r#"{"auths":{"http://a.example/v2/":{"auth":"YTow"}}}"#,
        "a.example/app",
        expect![[r#"basic "a" "0""#]],
    );
    check(r#"{"auths":{"a.example/v2":{"auth":"YTow"}}}"#, "a.example/app", expect![[r#"basic "a" "0""#]]);
}

#[test]
fn helpers_go_before_the_store_and_the_store_before_entries() {
    let config = r#"{
        "auths":{"quay.io":{"auth":"YTow"},"ghcr.io":{"auth":"YTox"}},
        "credHelpers":{"quay.io":"pass","ghcr.io":"","https://gcr.io/v2/":"gcloud","docker.io":"hub"},
        "credsStore":"desktop"
    }"#;
    check(config, "quay.io/app", expect!["docker-credential-pass get < quay.io"]);
    check(config, "ghcr.io/app", expect![[r#"basic "a" "1""#]]);
    check(config, "gcr.io/app", expect!["docker-credential-gcloud get < gcr.io"]);
    check(
        config,
        "docker.io/library/busybox",
        expect!["docker-credential-hub get < https://index.docker.io/v1/"],
    );
    check(config, "localhost:5000/app", expect!["docker-credential-desktop get < localhost:5000"]);
}

#[test]
fn faults_name_the_entry_and_not_its_content() {
    check(
        r#"{"auths":{"quay.io/team":{"auth":"aHVudGVyMg=="}}}"#,
        "quay.io/team/app",
        expect![
            "error: the docker configuration's entry `quay.io/team` cannot be read: credential field `auth` has no colon between user name and password once decoded"
        ],
    );
    check(
        r#"{"auths":{"https://u:hunter2@quay.io":{"auth":"?"}}}"#,
        "quay.io",
        expect![
            "error: the docker configuration's entry `quay.io` cannot be read: credential field `auth` is not padded base64 of the standard alphabet"
        ],
    );
    check(
        r#"{"credHelpers":{"quay.io":"../evil"}}"#,
        "quay.io",
        expect![
            "error: the docker configuration's credential helper for `quay.io` cannot be used: a credential helper's name has up to 64 letters, digits, `-`, `_` and `.` only"
        ],
    );
    check(
        r#"{"credsStore":"a b"}"#,
        "quay.io",
        expect![
            "error: the docker configuration's credential helper for `quay.io` cannot be used: a credential helper's name has up to 64 letters, digits, `-`, `_` and `.` only"
        ],
    );
    check(
        r#"{"auths":{"quay.io":{"auth":5}}}"#,
        "quay.io",
        expect!["error: the docker configuration is not the expected JSON at line 1, column 29"],
    );
    check(
        "{\n\"auths\": \"hunter2\"}",
        "quay.io",
        expect!["error: the docker configuration is not the expected JSON at line 2, column 18"],
    );
    check(
        "",
        "quay.io",
        expect!["error: the docker configuration is not the expected JSON at line 1, column 0"],
    );
    check(
        "{}",
        "",
        expect!["error: the name to look up does not begin with a registry: there is no host in it"],
    );
    check(
        r#"{"auths":{"quay.io":["YTpi"]}}"#,
        "quay.io",
        expect!["error: the docker configuration is not the expected JSON at line 1, column 20"],
    );
    // A broken entry for another registry is no matter.
    check(
        r#"{"auths":{"a.example":{"auth":"?"},"quay.io":{"auth":"YTow"},"":{"auth":"?"}}}"#,
        "quay.io",
        expect![[r#"basic "a" "0""#]],
    );
}

#[test]
fn the_size_is_bounded() {
    let spaces = " ".repeat(DOCKER_CONFIG_BYTES_MAX - 2);
    assert!(DockerConfig::parse(format!("{{}}{spaces}").as_bytes()).is_ok());
    let error = DockerConfig::parse(format!("{{}}{spaces} ").as_bytes()).expect_err("over the bound");
    assert_eq!(error, DockerConfigError::Length { bytes: DOCKER_CONFIG_BYTES_MAX + 1 });
}

#[test]
fn debug_shows_which_registries_are_in_it() {
    let config =
        r#"{"auths":{"https://u:hunter2@quay.io/x":{"auth":"YTow"}},"credHelpers":{"gcr.io":"gcloud"}}"#;
    let config = DockerConfig::parse(config.as_bytes()).expect("a configuration");
    expect![[r#"DockerConfig { auths: ["quay.io"], cred_helpers: ["gcr.io"], .. }"#]]
        .assert_eq(&format!("{config:?}"));
}

/// A key without scheme, and the password that tells its entry.
fn keys() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab]\\.io(/[ab]{1,2}){0,3}", 1..6)
}

proptest! {
    #[test]
    fn the_longest_prefix_of_components_counts(mut keys in keys(), name in "[ab]\\.io(/[ab]{1,2}){0,4}") {
        keys.sort();
        keys.dedup();
        let entries: Vec<String> = keys.iter().map(|key| format!(r#""{key}":{{"username":"{key}"}}"#)).collect();
        let config = format!(r#"{{"auths":{{{}}}}}"#, entries.join(","));
        let best = keys.iter().filter(|key| format!("{name}/").starts_with(&format!("{key}/"))).max_by_key(|key| key.len());
        let expected = best.map_or_else(|| "none".to_owned(), |key| format!("basic {key:?} \"\""));
        prop_assert_eq!(look_up(&config, &name), expected);
    }

    #[test]
    fn any_file_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), name in ".{0,16}") {
        if let Ok(config) = DockerConfig::parse(&bytes) {
            let _ = config.lookup(&name);
        }
    }

    #[test]
    fn any_strings_in_a_file_are_read_or_refused(key in ".{0,16}", auth in ".{0,16}", helper in ".{0,8}", name in ".{0,16}") {
        let config = serde_json::json!({
            "auths": { key.clone(): { "auth": auth } }, "credHelpers": { key.clone(): helper.clone() }, "credsStore": helper,
        });
        let config = DockerConfig::parse(config.to_string().as_bytes()).expect("of the right shape");
        let _ = (config.lookup(&name), config.lookup(&key), format!("{config:?}"));
    }
}
