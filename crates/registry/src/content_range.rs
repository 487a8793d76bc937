//! `Content-Range` of a partial response (RFC 9110, section 14.4).

use http::{HeaderMap, header};

/// The bytes that a partial response holds: first and last position, and the whole size where it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Position of the first byte.
    pub first: u64,
    /// Position of the last byte, never before the first.
    pub last: u64,
    /// Number of bytes in the whole, more than `last`.
    pub size: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(headers: &HeaderMap) -> Option<ContentRange> {
        ContentRange::parse(headers.get(header::CONTENT_RANGE)?.to_str().ok()?)
    }

    /// Reads a header's value; `None` for anything but a range of bytes that can be.
    pub fn parse(text: &str) -> Option<ContentRange> {
        let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let size = if size == "*" { None } else { Some(number(size)?) };
        let range = ContentRange { first: number(first)?, last: number(last)?, size };
        (range.first <= range.last && range.size.is_none_or(|size| range.last < size)).then_some(range)
    }
}

/// Digits only: `u64::from_str` would take a plus sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_ranges_are_read() {
        let range = |first, last, size| Some(ContentRange { first, last, size });
        assert_eq!(ContentRange::parse("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(ContentRange::parse("bytes 0-0/*"), range(0, 0, None));
        for text in [
            "bytes 5-4/10",
            "bytes 5-10/10",
            "bytes */10",
            "bytes 5-/10",
            "items 5-9/10",
            "bytes +5-9/10",
            "5-9/10",
            "",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
