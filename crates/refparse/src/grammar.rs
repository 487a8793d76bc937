//! The parts that have a grammar of their own, scanned byte by byte; never the way they are put together.
//!
//! Each scanner takes exactly the text of one part, and answers where and why that is not one. Offsets are within that
//! text. All legal characters are ASCII, so whatever stands before a fault is, and the fault is on a character boundary.

use crate::ParseErrorKind;
use crate::ParseErrorKind as Kind;
use crate::error::Fault;

/// The longest repository after normalization (distribution/reference v0.6.0, `RepositoryNameTotalLengthMax`).
pub(crate) const REPOSITORY_BYTES_MAX: usize = 255;
/// The longest tag (distribution/reference v0.6.0, grammar).
pub(crate) const TAG_BYTES_MAX: usize = 128;

type Scan = Result<(), Fault<ParseErrorKind>>;

/// Checks a registry: a host, and perhaps a port.
pub(crate) fn registry(text: &str) -> Scan {
    let host_end = if text.starts_with('[') { address(text)? } else { domain(text)? };
    match text.as_bytes().split_at_checked(host_end) {
        None | Some((_, [])) => Ok(()),
        Some((_, [b':', port @ ..])) => {
            let digits = run(port, u8::is_ascii_digit);
            let whole = digits > 0 && digits == port.len();
            if whole { Ok(()) } else { fault(Kind::RegistryPort, host_end + 1 + digits) }
        }
        Some(_) => fault(Kind::RegistryCharacter(char_at(text, host_end)), host_end),
    }
}

/// Checks the labels of a domain; answers where it ends, which is at a colon or at the end of the text.
fn domain(text: &str) -> Result<usize, Fault<ParseErrorKind>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        let label = bytes.get(start..).unwrap_or_default();
        let length = run(label, |byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        let end = start + length;
        let next = bytes.get(end);
        if !matches!(next, None | Some(b'.' | b':')) {
            return fault(Kind::RegistryCharacter(char_at(text, end)), end);
        }
        match label.get(..length) {
            Some([b'-', ..]) => return fault(Kind::RegistryLabelHyphen, start),
            Some([.., b'-']) => return fault(Kind::RegistryLabelHyphen, end - 1),
            Some([_, ..]) => {}
            _ if end == 0 && next != Some(&b'.') => return fault(Kind::RegistryHostEmpty, 0),
            _ => return fault(Kind::RegistryLabelEmpty, end),
        }
        if next != Some(&b'.') {
            return Ok(end);
        }
        at = end + 1;
    }
}

/// Checks an IPv6 address with its brackets; answers where it ends.
fn address(text: &str) -> Result<usize, Fault<ParseErrorKind>> {
    let inside = text.as_bytes().get(1..).unwrap_or_default();
    let length = run(inside, |byte| byte.is_ascii_hexdigit() || *byte == b':');
    match inside.get(length) {
        Some(b']') if length > 0 => Ok(1 + length + 1),
        _ => fault(Kind::RegistryAddress, 1 + length),
    }
}

/// Checks a repository, its length left out: that depends on the normalization.
pub(crate) fn repository(text: &str) -> Scan {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        while bytes.get(at).is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9')) {
            at += 1;
        }
        if at == start {
            return repository_fault(text, at);
        }
        at += match bytes.get(at) {
            None => return Ok(()),
            Some(b'/' | b'.') => 1,
            Some(b'_') if bytes.get(at + 1) == Some(&b'_') => 2,
            Some(b'_') => 1,
            Some(b'-') => run(bytes.get(at..).unwrap_or_default(), |byte| *byte == b'-'),
            Some(_) => return repository_fault(text, at),
        };
    }
}

/// Tells what is wrong at `at`, where a repository has something that it cannot have there.
#[cold]
fn repository_fault(text: &str, at: usize) -> Scan {
    let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
    match (before, text.as_bytes().get(at)) {
        (None, None) => fault(Kind::RepositoryEmpty, at),
        (None | Some(b'/'), None | Some(b'/')) => fault(Kind::RepositoryComponentEmpty, at),
        // The separator that nothing follows is the culprit, not what comes next.
        (_, None | Some(b'/')) => fault(Kind::RepositorySeparator, at - 1),
        (_, Some(b'.' | b'_' | b'-')) => fault(Kind::RepositorySeparator, at),
        _ => match char_at(text, at) {
            c if c.is_uppercase() => fault(Kind::RepositoryUppercase(c), at),
            c => fault(Kind::RepositoryCharacter(c), at),
        },
    }
}

/// Checks a tag.
pub(crate) fn tag(text: &str) -> Scan {
    let legal =
        run(text.as_bytes(), |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    match text.as_bytes() {
        [] => fault(Kind::TagEmpty, 0),
        [b'.' | b'-', ..] => fault(Kind::TagStart(char_at(text, 0)), 0),
        bytes if legal < bytes.len() => fault(Kind::TagCharacter(char_at(text, legal)), legal),
        bytes if legal > TAG_BYTES_MAX => {
            fault(Kind::TagTooLong { length_bytes: bytes.len() }, TAG_BYTES_MAX)
        }
        _ => Ok(()),
    }
}

/// Whether the text is what an image id looks like without its algorithm: 64 lower-case hex digits.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hex)
}

/// Whether the byte is a hex digit, lower case.
pub(crate) fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// How many bytes from the start on are as wanted.
fn run(bytes: &[u8], wanted: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().position(|byte| !wanted(byte)).unwrap_or(bytes.len())
}

/// The character that begins at `at`; the replacement character where there is none, which no caller lets happen.
pub(crate) fn char_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn fault<T>(kind: Kind, offset: usize) -> Result<T, Fault<Kind>> {
    Err(Fault::new(kind, offset))
}
