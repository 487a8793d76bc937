//! The rule for SPECIFICATION.md: each promise names what holds it, and that is there.

use std::collections::BTreeSet;

use super::Finding;

pub(super) const FILE: &str = "SPECIFICATION.md";

/// Names of all functions, those of the end-to-end tests apart.
#[derive(Debug, Default)]
pub(super) struct Functions {
    all: BTreeSet<String>,
    end_to_end: BTreeSet<String>,
}

impl Functions {
    /// Takes the functions of one source.
    pub(super) fn read(&mut self, path: &str, text: &str) {
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("fn ") else { continue };
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let names =
                if path.starts_with("tests/tests/e2e/") { &mut self.end_to_end } else { &mut self.all };
            names.insert(name);
        }
    }
}

pub(super) fn check(specification: &str, functions: &Functions) -> Vec<Finding> {
    let mut findings = Vec::new();
    for promise in promises(specification) {
        let number = promise.split('.').next().unwrap_or_default();
        let named: Vec<&str> =
            promise.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).collect();
        if named.is_empty() && !promise.contains("bench `") {
            findings.push(format!("{FILE}: promise {number} names no test and no bench"));
        }
        for name in named {
            let is_there = match name.strip_prefix("e2e::") {
                Some(name) => functions.end_to_end.contains(name),
                None => functions.all.contains(name),
            };
            if !is_there {
                findings.push(format!("{FILE}: promise {number} names `{name}`, which is not there"));
            }
        }
    }
    findings
}

/// The numbered paragraphs, each as one line.
fn promises(specification: &str) -> Vec<String> {
    let mut promises: Vec<String> = Vec::new();
    for line in specification.lines() {
        let number = line.split('.').next().unwrap_or_default();
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            promises.push(line.to_owned());
        } else if let (Some(promise), true) = (promises.last_mut(), line.starts_with(' ')) {
            promise.push_str(line);
        }
    }
    promises
}

/// Tests are named as sentences, which tells them from the code words of a promise.
fn is_test_name(name: &str) -> bool {
    let plain = name.strip_prefix("e2e::");
    let is_word =
        |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain.is_some_and(is_word) || (is_word(name) && name.matches('_').count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, expected: &[&str]) {
        let mut functions = Functions::default();
        functions.read("crates/a/src/lib.rs", "    fn it_is_so() {");
        functions.read("tests/tests/e2e/pull.rs", "pub(crate) async fn runs(version: Version) {");
        assert_eq!(check(text, &functions), expected);
    }

    #[test]
    fn a_promise_names_what_is_there() {
        check_text("1. So:\n   `it_is_so`, `e2e::runs`.\n2. Fast: bench `refparse`.\n", &[]);
        check_text("3. Only `AuthConfig`.\n", &["SPECIFICATION.md: promise 3 names no test and no bench"]);
        check_text(
            "4. So:\n   `it_was_so`.\n",
            &["SPECIFICATION.md: promise 4 names `it_was_so`, which is not there"],
        );
        check_text(
            "5. So: `e2e::it_is_so`.",
            &["SPECIFICATION.md: promise 5 names `e2e::it_is_so`, which is not there"],
        );
    }
}
