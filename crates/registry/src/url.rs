//! URLs that cannot leak: parsing, joining with a `Location`, and a printed form without user info and query.
//!
//! Signed redirects carry their signature in the query and operators write passwords into mirror URLs; both would
//! otherwise reach a log line, an event of the kubelet and the pod's status. Never makes a request.

use std::fmt;

use http::Uri;
use http::uri::{Authority, Scheme};

/// Longest URL accepted from a peer, in bytes. Signed URLs of the large clouds stay under 4 KiB.
pub(crate) const URL_BYTES_MAX: usize = 16 * 1024;

/// An absolute `http` or `https` URL whose `Debug` and `Display` show neither user info nor query.
///
/// ```
/// use registry::RedactedUrl;
///
/// let url = RedactedUrl::parse("https://bucket.example/blob/1?X-Signature=abc")?;
/// assert_eq!(url.to_string(), "https://bucket.example/blob/1?<redacted>");
/// assert!(!format!("{url:?}").contains("abc"));
/// # Ok::<(), registry::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl {
    uri: Uri,
}

/// Why a text is no URL that a request can be sent to. The text itself is left out: it may hold a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Longer than any honest URL.
    #[error("URL of more than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Not in the form of RFC 3986, section 3.
    #[error("malformed URL")]
    Malformed,
    /// A scheme other than `http` and `https`.
    #[error("URL scheme is neither http nor https")]
    Scheme,
    /// No host part.
    #[error("URL without a host")]
    NoHost,
}

/// Scheme, host and port: what decides whether a credential may follow a redirect (RFC 6454, section 4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    host: String,
    port: u16,
}

impl RedactedUrl {
    /// Parses an absolute URL; user info and fragment are dropped.
    ///
    /// # Errors
    /// [`UrlError`], which never contains the text.
    pub fn parse(text: &str) -> Result<RedactedUrl, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let mut parts = uri.into_parts();
        let scheme = parts.scheme.as_ref().ok_or(UrlError::Malformed)?;
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(UrlError::Scheme);
        }
        let authority = parts.authority.as_ref().ok_or(UrlError::NoHost)?;
        if authority.host().is_empty() {
            return Err(UrlError::NoHost);
        }
        if let Some((_user_info, host)) = authority.as_str().rsplit_once('@') {
            parts.authority = Some(host.parse::<Authority>().map_err(|_| UrlError::Malformed)?);
        }
        let uri = Uri::from_parts(parts).map_err(|_| UrlError::Malformed)?;
        Ok(RedactedUrl { uri })
    }

    /// The whole URL, query included: for the request only.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// `host` or `host:port`, the port only where it is not the scheme's own.
    pub fn host_port(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        match self.uri.port_u16() {
            Some(port) if port != self.default_port() => format!("{host}:{port}"),
            Some(_) | None => host.to_owned(),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            https: self.is_https(),
            host: self.uri.host().unwrap_or_default().to_ascii_lowercase(),
            port: self.uri.port_u16().unwrap_or(self.default_port()),
        }
    }

    fn default_port(&self) -> u16 {
        if self.is_https() { 443 } else { 80 }
    }

    /// Resolves the `Location` of a redirect against this URL (RFC 3986, section 5.2; RFC 9110, section 10.2.2).
    pub(crate) fn join(&self, location: &str) -> Result<RedactedUrl, UrlError> {
        if location.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let location = location.split('#').next().unwrap_or_default();
        if has_scheme(location) {
            return RedactedUrl::parse(location);
        }
        let scheme = self.uri.scheme_str().unwrap_or_default();
        if location.starts_with("//") {
            return RedactedUrl::parse(&format!("{scheme}:{location}"));
        }
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location, None),
        };
        let base = self.uri.path();
        let path = if path.is_empty() {
            base.to_owned()
        } else if path.starts_with('/') {
            without_dots(path)
        } else {
            let directory = base.rsplit_once('/').map_or("", |(directory, _)| directory);
            without_dots(&format!("{directory}/{path}"))
        };
        let authority = self.uri.authority().map_or("", Authority::as_str);
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        RedactedUrl::parse(&format!("{scheme}://{authority}{path}{query}"))
    }
}

/// A scheme is a letter and then letters, digits, `+`, `-`, `.` up to the first colon (RFC 3986, section 3.1).
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Removes `.` and `..` segments (RFC 3986, section 5.2.4); the path starts with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.trim_start_matches('/').split('/');
    let mut ends_in_directory = false;
    for segment in segments {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if ends_in_directory {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", Authority::as_str);
        write!(f, "{scheme}://{authority}{}", self.uri.path())?;
        if self.uri.query().is_some() {
            f.write_str("?<redacted>")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_join(base: &str, location: &str, expected: &str) {
        let joined = RedactedUrl::parse(base).unwrap().join(location).unwrap();
        assert_eq!(joined.uri().to_string(), expected);
    }

    #[test]
    fn a_location_is_resolved_as_rfc_3986_says() {
        let base = "https://r.example/v2/a/blobs/x?q=1";
        check_join(base, "https://b.example/1?s=2#frag", "https://b.example/1?s=2");
        check_join(base, "//b.example/1", "https://b.example/1");
        check_join(base, "/other", "https://r.example/other");
        check_join(base, "y", "https://r.example/v2/a/blobs/y");
        check_join(base, "../../y?z", "https://r.example/v2/y?z");
        check_join(base, "?z=3", "https://r.example/v2/a/blobs/x?z=3");
        check_join("http://r.example:5000", "a/..", "http://r.example:5000/");
        check_join(base, "/../..", "https://r.example/");
    }

    #[test]
    fn only_absolute_http_urls_with_a_host_are_urls() {
        let parse = |text: &str| RedactedUrl::parse(text).map(|url| url.to_string());
        assert_eq!(parse("ftp://a/b"), Err(UrlError::Scheme));
        assert_eq!(parse("/just/a/path"), Err(UrlError::Malformed));
        assert_eq!(parse("https://"), Err(UrlError::Malformed));
        assert_eq!(parse(&format!("https://a/{}", "x".repeat(URL_BYTES_MAX))), Err(UrlError::TooLong));
        assert_eq!(RedactedUrl::parse("https://a/").unwrap().join("https://a b/"), Err(UrlError::Malformed));
        assert_eq!(
            RedactedUrl::parse("https://a/").unwrap().join("file:///etc/passwd"),
            Err(UrlError::Malformed)
        );
    }

    #[test]
    fn neither_user_info_nor_query_is_printed() {
        let url = RedactedUrl::parse("https://user:hunter2@r.example:8443/p?sig=hunter2").unwrap();
        assert_eq!(url.to_string(), "https://r.example:8443/p?<redacted>");
        assert_eq!(format!("{url:?}"), "RedactedUrl(https://r.example:8443/p?<redacted>)");
        // The user info does not even reach the request.
        assert_eq!(url.uri().to_string(), "https://r.example:8443/p?sig=hunter2");
    }

    #[test]
    fn origins_compare_by_scheme_host_and_effective_port() {
        let origin = |text: &str| RedactedUrl::parse(text).unwrap().origin();
        assert_eq!(origin("https://R.example/a"), origin("https://r.example:443/b"));
        assert_ne!(origin("https://r.example/"), origin("http://r.example/"));
        assert_ne!(origin("https://r.example/"), origin("https://r.example:5000/"));
        assert_eq!(RedactedUrl::parse("https://r.example:443/").unwrap().host_port(), "r.example");
        assert_eq!(RedactedUrl::parse("http://[::1]:5000/").unwrap().host_port(), "[::1]:5000");
    }
}
