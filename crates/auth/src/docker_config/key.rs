//! The keys of a configuration file and which of them is for an image.

use std::collections::BTreeMap;
use std::fmt;

use crate::host::Host;

/// A key: a host, and the path in it that the entry is limited to.
pub(super) struct Key<'a> {
    host: Host,
    path: &'a str,
    is_url: bool,
}

impl<'a> Key<'a> {
    /// `None` for a text without a host, which is for no image.
    pub(super) fn parse(text: &'a str) -> Option<Key<'a>> {
        let host = Host::parse(text).ok()?;
        let is_url = text.contains("://");
        let path = match text.split_once('/') {
            // A docker login wrote the URL of an API, whose path is that of no repository.
            Some((_, path)) if !is_url => match path.trim_end_matches('/') {
                "v1" | "v2" => "",
                path => path,
            },
            _ => "",
        };
        Some(Key { host, path, is_url })
    }

    /// Whether a repository path lies at or below the key's.
    fn contains(&self, path: &str) -> bool {
        self.path.is_empty()
            || path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The entry whose key fits `path` on `host` best: by the longest path, then a plain host before a URL, then by order.
pub(super) fn best<'a, T>(
    entries: &'a BTreeMap<String, T>,
    host: &Host,
    path: &str,
) -> Option<(&'a str, &'a T)> {
    entries
        .iter()
        .filter_map(|(text, entry)| Some((Key::parse(text)?, text, entry)))
        .filter(|(key, ..)| key.host == *host && key.contains(path))
        .min_by_key(|(key, ..)| (std::cmp::Reverse(key.path.len()), key.is_url))
        .map(|(_, text, entry)| (text.as_str(), entry))
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.host)?;
        if !self.path.is_empty() {
            write!(formatter, "/{}", self.path.escape_debug())?;
        }
        Ok(())
    }
}
