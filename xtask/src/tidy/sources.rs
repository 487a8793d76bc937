//! Rules for source files.

use super::Finding;

/// Words that say that something is unfinished, and attributes that hide a test. In two parts each, for this very file.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    ("TO", "DO", "say what is, or file an issue"),
    ("FIX", "ME", "fix it, or file an issue"),
    ("#[ign", "ore", "a test that does not run proves nothing"),
];

/// No file is longer: past this it holds more than one noun or verb.
const LINES_MAX: usize = 500;

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{path}:1: a file opens with `//!`: what it owns, relies on, never does"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{path}: {lines} lines, at most {LINES_MAX}: split it by noun or verb"));
    }
    for (number, line) in text.lines().enumerate() {
        for (head, tail, advice) in FORBIDDEN {
            if line.contains(&format!("{head}{tail}")) {
                findings.push(format!("{path}:{}: `{head}{tail}`: {advice}", number + 1));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn each_rule_is_noticed() {
        assert!(check("a.rs", "//! a\nfn main() {}\n").is_empty());
        assert_eq!(check("a.rs", "fn main() {}\n").len(), 1);
        assert_eq!(check("a.rs", &format!("//! a\n// {}{}: later\n", "TO", "DO")).len(), 1);
        assert_eq!(check("a.rs", &format!("//! a\n{}", "\n".repeat(600))).len(), 1);
    }
}
