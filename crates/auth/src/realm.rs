//! The realm of a Bearer challenge as the URL of a token server. Checks it; whether credentials may go there is
//! `token_request`'s decision.

use crate::encode::push_escape;
use crate::host::{Host, HostFault};

/// A realm that a request can be sent to: absolute, http or https, without user information and fragment, and escaped
/// so that every character may stand in a URL.
pub(crate) struct Realm {
    pub(crate) url: String,
    pub(crate) is_https: bool,
    /// What must stand between the URL and a parameter that is added to its query.
    pub(crate) separator: &'static str,
}

/// Why a realm is no URL of a token server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealmFault {
    /// It does not begin with `http://` or `https://`.
    #[error("it is not an absolute http or https URL")]
    Scheme,
    /// No host can be read in it.
    #[error("it does not name a host")]
    Host(#[source] HostFault),
    /// It brings a user name or password of its own, which no token server needs.
    #[error("it has user information in it")]
    UserInformation,
    /// It has a control character.
    #[error("it has a control character in it")]
    Control,
}

impl Realm {
    pub(crate) fn parse(text: &str) -> Result<Realm, RealmFault> {
        if text.chars().any(char::is_control) {
            return Err(RealmFault::Control);
        }
        let (scheme, rest) = text.split_once("://").ok_or(RealmFault::Scheme)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(RealmFault::Scheme);
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(RealmFault::UserInformation);
        }
        // The authority is kept as it is written once a host and port were read from it: those leave nothing to escape.
        // An empty port is the default one (RFC 3986, section 3.2.3), but not every HTTP client reads it.
        Host::parse(authority).map_err(RealmFault::Host)?;
        let authority = authority.trim_end_matches(':');
        let mut url = format!("{}://{authority}", if is_https { "https" } else { "http" });
        if !tail.starts_with('/') {
            url.push('/');
        }
        push_tail(&mut url, tail);
        let separator = match tail.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        Ok(Realm { url, is_https, separator })
    }
}

/// Appends path and query. What is escaped already stays so; spaces, non-ASCII letters and the characters that RFC 3986
/// leaves out of both are escaped here, as browsers and Go do with a sloppy URL.
fn push_tail(url: &mut String, tail: &str) {
    let bytes = tail.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let is_escape = byte == b'%'
            && bytes.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if is_escape || byte.is_ascii_alphanumeric() || b"-._~/?:@!$&'()*+,;=".contains(&byte) {
            url.push(char::from(byte));
        } else {
            push_escape(url, byte);
        }
    }
}
