//! What a registry gives as its reason: the error body of the distribution specification 1.1, "Error Codes".
//!
//! Peer text on its way to a log line and a pod's event: bounded, on one line, and without the caller's own secrets.

use std::fmt;

use serde::Deserialize;

/// Most bytes read of an error body.
pub(crate) const ERROR_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Most characters shown of a server's reason.
const SHOWN_CHARS_MAX: usize = 256;

/// A server's own words about a failure; empty when it gave none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerSays(String);

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
    // Docker Hub's token server answers `{"details": "..."}`; OAuth2 servers `{"error": "..."}` (RFC 6749, section 5.2).
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ServerSays {
    /// Reads an error body of any kind; what is no registry error says nothing (an HTML page helps nobody here).
    ///
    /// `secrets` are what was sent: a server that echoes one back is silenced.
    pub(crate) fn parse(body: &[u8], secrets: &[&str]) -> ServerSays {
        let Ok(parsed) = serde_json::from_slice::<Body>(body) else { return ServerSays::default() };
        let said = match parsed.errors.into_iter().next() {
            Some(Entry { code, message }) => [code, message]
                .into_iter()
                .flatten()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(": "),
            None => parsed.details.or(parsed.error).unwrap_or_default(),
        };
        if secrets.iter().any(|secret| !secret.is_empty() && said.contains(secret)) {
            return ServerSays::default();
        }
        let one_line =
            said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX).collect();
        ServerSays(one_line)
    }

    /// The text, without surrounding punctuation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// ` (text)`, or nothing: made to follow what happened.
impl fmt::Display for ServerSays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

impl fmt::Debug for ServerSays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(ServerSays::parse(body.as_bytes(), &["hunter2"]).to_string(), expected);
    }

    #[test]
    fn the_first_error_is_shown_on_one_line() {
        check(r#"{"errors":[{"code":"DENIED","message":"no\nentry"},{"code":"X"}]}"#, " (DENIED: no entry)");
        check(r#"{"errors":[{"code":"DENIED"}]}"#, " (DENIED)");
        check(r#"{"details":"incorrect username or password"}"#, " (incorrect username or password)");
        check(r#"{"error":"invalid_grant"}"#, " (invalid_grant)");
    }

    #[test]
    fn what_is_no_registry_error_says_nothing() {
        check("<html>502</html>", "");
        check(r#"{"errors":[]}"#, "");
        check("", "");
    }

    #[test]
    fn a_server_that_echoes_a_secret_is_silenced() {
        check(r#"{"errors":[{"code":"DENIED","message":"bad password hunter2"}]}"#, "");
    }

    #[test]
    fn a_long_reason_is_cut() {
        let body = format!(r#"{{"errors":[{{"code":"{}"}}]}}"#, "x".repeat(10_000));
        assert_eq!(ServerSays::parse(body.as_bytes(), &[]).as_str().len(), SHOWN_CHARS_MAX);
    }
}
