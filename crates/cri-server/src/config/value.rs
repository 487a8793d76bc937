//! Turns the text of a value into what it means, or says why it cannot.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use auth::Host;
use registry::{ClientConfig, ProxySetting, ProxyUrl};

use super::BadValue;

/// Room in `sockaddr_un.sun_path` (unix(7)) without the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// containerd's own bound on identifiers, namespaces and snapshotter names included (pkg/identifiers of v2.3.4).
const IDENTIFIER_BYTES_MAX: usize = 76;

pub(super) fn socket_path(text: &str) -> Result<PathBuf, BadValue> {
    // As endpoints are written everywhere else around a kubelet.
    let path = absolute_path(text.strip_prefix("unix://").unwrap_or(text))?;
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(BadValue::TooLong { bytes_max: SOCKET_PATH_BYTES_MAX });
    }
    Ok(path)
}

/// Paths with `:` between them; empty text is no path.
pub(super) fn path_list(text: &str) -> Result<Vec<PathBuf>, BadValue> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(':').map(absolute_path).collect()
}

/// An identifier as containerd accepts it: letters and digits with single separators between them.
pub(super) fn identifier(text: &str) -> Result<String, BadValue> {
    if text.len() > IDENTIFIER_BYTES_MAX {
        return Err(BadValue::TooLong { bytes_max: IDENTIFIER_BYTES_MAX });
    }
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.split(['-', '_', '.']).all(is_word) { Ok(text.to_owned()) } else { Err(BadValue::NotIdentifier) }
}

/// An address that only this machine reaches; empty text is none.
pub(super) fn loopback_address(text: &str) -> Result<Option<SocketAddr>, BadValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = text.parse().map_err(|_| BadValue::NotSocketAddress)?;
    if address.ip().is_loopback() { Ok(Some(address)) } else { Err(BadValue::NotLoopback) }
}

/// What the word stands for.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, BadValue> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| BadValue::NotOneOf(words.iter().map(|(word, _)| *word).collect()))
}

/// Pieces of work at a time; zero stands for as many as there are processors.
pub(super) fn workers(text: &str) -> Result<Option<NonZeroUsize>, BadValue> {
    const MAX: usize = 1024;
    match text.parse::<usize>() {
        Ok(count) if count <= MAX => Ok(NonZeroUsize::new(count)),
        _ => Err(BadValue::NotInRange { min: 0, max: MAX }),
    }
}

/// A duration as Go writes it; zero stands for none.
pub(super) fn duration(text: &str) -> Result<Duration, BadValue> {
    ClientConfig::parse_duration(text).ok_or(BadValue::NotDuration)
}

/// A duration that is no longer than `max`.
pub(super) fn duration_to(text: &str, max: Duration) -> Result<Duration, BadValue> {
    let within = ClientConfig::parse_duration(text).filter(|within| *within <= max);
    within.ok_or(BadValue::NotDurationTo { hours: max.as_secs() / 3600 })
}

/// A count that is not zero.
pub(super) fn count(text: &str, max: usize) -> Result<NonZeroUsize, BadValue> {
    let count = text.parse::<NonZeroUsize>().ok().filter(|count| count.get() <= max);
    count.ok_or(BadValue::NotInRange { min: 1, max })
}

/// Bytes that have to come within a time; zero stands for any.
pub(super) fn stall_bytes(text: &str) -> Result<u64, BadValue> {
    const MAX: usize = 1 << 30;
    match text.parse::<u64>() {
        Ok(bytes) if bytes <= MAX as u64 => Ok(bytes),
        _ => Err(BadValue::NotInRange { min: 0, max: MAX }),
    }
}

/// How far a thread stands back, never how far it pushes ahead.
pub(super) fn niceness(text: &str) -> Result<i32, BadValue> {
    match text.parse::<i32>() {
        Ok(niceness @ 0..=19) => Ok(niceness),
        _ => Err(BadValue::NotInRange { min: 0, max: 19 }),
    }
}

/// A registry or mirror. A single word is none: it is what an unquoted `registry.example` begins with.
pub(super) fn host(text: &str) -> Result<Host, BadValue> {
    let is_host = (text.contains(['.', ':']) || text == "localhost") && !text.contains('/');
    if is_host { Host::parse(text).map_err(|_| BadValue::NotHost) } else { Err(BadValue::NotHost) }
}

/// The URL of a proxy, or `none`.
pub(super) fn proxy(text: &str) -> Result<ProxySetting, BadValue> {
    if text == "none" {
        return Ok(ProxySetting::Direct);
    }
    ProxyUrl::parse(text).map(ProxySetting::Through).map_err(BadValue::NotProxy)
}

/// The name of a credential helper.
pub(super) fn helper(text: &str) -> Result<String, BadValue> {
    // Any registry will do: only the name is looked at.
    let request = auth::HelperRequest::new(text, "localhost");
    request.map(|_| text.to_owned()).map_err(|_| BadValue::NotHelper)
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, BadValue> {
    if !text.starts_with('/') {
        return Err(BadValue::NotAbsolute);
    }
    if text.contains('\0') {
        return Err(BadValue::Nul);
    }
    Ok(text.into())
}
