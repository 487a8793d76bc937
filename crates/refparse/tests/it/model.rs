//! The whole grammar as one regular expression, the way the Go module does it: slow, plain, and written without a look
//! at the parser. Random inputs near the grammar must have the same outcome in both.

use std::sync::LazyLock;

use proptest::prelude::*;
use refparse::Reference;
use regex::Regex;

use crate::round_trip::near_reference;

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
    let registry = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let component = "[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*";
    let repository = format!("{component}(?:/{component})*");
    let tag = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
    let digest = "sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}";
    Regex::new(&format!(r"\A(?:({registry})/)?({repository})(?::({tag}))?(?:@({digest}))?\z"))
        .expect("the expression is one")
});

/// The normalized form by the naive way.
fn model(input: &str) -> Option<String> {
    if input.len() == 64 && input.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return None;
    }
    let whole = match input.split_once('/') {
        None => format!("docker.io/library/{input}"),
        Some((first, rest)) => {
            let first = if first == "index.docker.io" { "docker.io" } else { first };
            let is_host = first == "localhost" || first.contains(['.', ':']) || first != first.to_lowercase();
            match (is_host, first, rest.contains('/')) {
                (false, _, _) => format!("docker.io/{input}"),
                (true, "docker.io", false) => format!("docker.io/library/{rest}"),
                (true, _, _) => format!("{first}/{rest}"),
            }
        }
    };
    let captures = REFERENCE.captures(&whole)?;
    if captures[2].len() > 255 {
        return None;
    }
    let name = match captures.get(1) {
        Some(registry) => format!("{}/{}", registry.as_str(), &captures[2]),
        None => captures[2].to_owned(),
    };
    Some(match (captures.get(4), captures.get(3)) {
        (Some(digest), _) => format!("{name}@{}", digest.as_str()),
        (None, Some(tag)) => format!("{name}:{}", tag.as_str()),
        (None, None) => format!("{name}:latest"),
    })
}

#[track_caller]
fn check(input: &str) {
    let parsed = Reference::parse(input).ok().map(String::from);
    assert_eq!(parsed, model(input), "{input:?}");
}

#[test]
fn lengths_around_the_limits() {
    for prefix in
        ["", "docker.io/", "index.docker.io/", "a/", "x.io/", "x.io/a/", "my_host.io/", "docker.io/a/"]
    {
        for length in 230..260 {
            check(&format!("{prefix}{}", "a".repeat(length)));
            check(&format!("{prefix}{}:v1", "a".repeat(length)));
        }
    }
    for length in 120..135 {
        check(&format!("app:{}", "T".repeat(length)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn parser_and_model_agree(input in near_reference()) {
        check(&input);
    }

    #[test]
    fn parser_and_model_agree_on_any_string(input in any::<String>()) {
        check(&input);
    }
}
