//! One endpoint of a registry as the pull will use it.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;

use super::capability::Capabilities;
use super::file::ClientPair;
use crate::tls::TlsSettings;
use crate::url::{RedactedUrl, UrlError};

/// How to talk to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// TLS only.
    Https,
    /// Plain only.
    Http,
    /// TLS, and plain http once the host has shown that it speaks no TLS: loopback registries, and `http` hosts with
    /// TLS settings.
    HttpsThenHttp,
}

/// One endpoint of a registry: where it is and what it may be asked for.
///
/// `Debug` shows no header values and no keys.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) scheme: Scheme,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) header: HeaderMap,
    pub(crate) tls: TlsSettings,
    /// The files that `tls` was read from.
    pub(crate) ca: Vec<PathBuf>,
    pub(crate) client: Vec<ClientPair>,
    pub(crate) dial_timeout: Option<Duration>,
    /// The registry that a mirror is asked for (`?ns=`); `None` for the registry's own host.
    pub(crate) mirror_of: Option<String>,
    /// The one thing to be had there, for a host that is no registry: a URL of a foreign layer.
    pub(crate) foreign: Option<RedactedUrl>,
}

impl Host {
    /// `host` or `host:port` as dialled.
    pub fn name(&self) -> &str {
        &self.authority
    }

    /// What the host may be asked for.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The base of every request, `https://host/v2`; the scheme is the first one tried.
    pub fn base(&self) -> String {
        let scheme = if self.scheme == Scheme::Http { "http" } else { "https" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }

    /// The URL for `path` (`library/busybox/manifests/latest`).
    pub(crate) fn url(&self, path: &str, plain: bool) -> Result<RedactedUrl, UrlError> {
        if let Some(url) = &self.foreign {
            return Ok(url.clone());
        }
        let scheme = if plain || self.scheme == Scheme::Http { "http" } else { "https" };
        let namespace = self.mirror_of.as_ref().map(|registry| format!("?ns={}", percent_encoded(registry)));
        let query = namespace.unwrap_or_default();
        RedactedUrl::parse(&format!("{scheme}://{}{}/{path}{query}", self.authority, self.path))
    }
}

/// Percent-encodes what is not unreserved in RFC 3986, section 2.3; of a registry name that is the colon of a port and
/// the brackets of an IPv6 address.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
