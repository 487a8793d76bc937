//! Extended headers of the pax format: records `length key=value\n`.

use std::collections::BTreeSet;

use super::entry::Time;
use super::error::TarProblem;
use super::number::decimal;

/// What the records of an extended header say, as far as it matters to a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// The records of GNU's sparse formats 0.0, 0.1 and 1.0.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    /// Offsets and lengths in turn (0.0 and 0.1).
    pub(super) map: Vec<u64>,
    /// Whether there was a map, which may be an empty one.
    pub(super) has_map: bool,
}

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

impl Pax {
    /// Parses the records; the segments of a sparse map may be at most `segments_max`.
    pub(super) fn parse(mut bytes: &[u8], segments_max: usize) -> Result<Pax, TarProblem> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            bytes = rest;
            pax.take(key, value)?;
            if pax.sparse.map.len() / 2 > segments_max {
                return Err(TarProblem::Limit {
                    what: "the count of a sparse file's segments",
                    limit: segments_max as u64,
                });
            }
        }
        pax.keep_last_xattrs();
        Ok(pax)
    }

    /// Of several records of the same attribute the last one counts.
    fn keep_last_xattrs(&mut self) {
        let mut seen = BTreeSet::new();
        self.xattrs.reverse();
        self.xattrs.retain(|(name, _)| seen.insert(name.clone()));
        self.xattrs.reverse();
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarProblem> {
        if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        let number = |name| {
            decimal(value)
                .ok_or_else(|| TarProblem::Field { field: name, value: value.escape_ascii().to_string() })
        };
        // An empty value takes the record back, so that the header's own field counts.
        let is_empty = value.is_empty();
        match key {
            b"path" => self.path = (!is_empty).then(|| value.to_vec()),
            b"linkpath" => self.link = (!is_empty).then(|| value.to_vec()),
            b"size" => self.size = if is_empty { None } else { Some(number("size")?) },
            b"uid" => self.uid = if is_empty { None } else { Some(number("uid")?) },
            b"gid" => self.gid = if is_empty { None } else { Some(number("gid")?) },
            b"mtime" => {
                let malformed =
                    || TarProblem::Field { field: "mtime", value: value.escape_ascii().to_string() };
                self.modified = if is_empty { None } else { Some(time(value).ok_or_else(malformed)?) };
            }
            b"GNU.sparse.major" => self.sparse.major = Some(number("GNU.sparse.major")?),
            b"GNU.sparse.minor" => self.sparse.minor = Some(number("GNU.sparse.minor")?),
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                self.sparse.real_size = Some(number("GNU.sparse.realsize")?);
            }
            b"GNU.sparse.numblocks" => self.sparse.has_map = true,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                // They come in turn; anything else is found when the map is checked.
                let is_offset = key == b"GNU.sparse.offset";
                if is_offset != self.sparse.map.len().is_multiple_of(2) {
                    return Err(TarProblem::Sparse("offsets and lengths do not alternate"));
                }
                self.sparse.map.push(number("GNU.sparse.offset")?);
            }
            b"GNU.sparse.map" => {
                self.sparse.has_map = true;
                let numbers = value.split(|byte| *byte == b',').filter(|number| !number.is_empty());
                let parsed: Option<Vec<u64>> = numbers.map(decimal).collect();
                self.sparse.map = parsed.ok_or(TarProblem::Sparse("not a list of numbers"))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A record's key and value, and the bytes after it.
type Record<'b> = (&'b [u8], &'b [u8], &'b [u8]);

/// The first record.
fn record(bytes: &[u8]) -> Result<Record<'_>, TarProblem> {
    const MALFORMED: TarProblem = TarProblem::Extension("a record is not `length key=value`");
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or(MALFORMED)?;
    let length = decimal(bytes.get(..space).unwrap_or_default()).ok_or(MALFORMED)?;
    let length = usize::try_from(length).map_err(|_| MALFORMED)?;
    let (whole, rest) = bytes.split_at_checked(length).ok_or(MALFORMED)?;
    let body = whole.get(space + 1..).and_then(|body| body.strip_suffix(b"\n")).ok_or(MALFORMED)?;
    let equals = body.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
    let (key, value) = (body.get(..equals).unwrap_or_default(), body.get(equals + 1..).unwrap_or_default());
    let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    if key.is_empty() || key.contains(&0) || is_text && value.contains(&0) {
        return Err(TarProblem::Extension("a name has a NUL byte or no key"));
    }
    Ok((key, value, rest))
}

/// Seconds with a fraction of any length; what is below a nanosecond is cut off.
fn time(value: &[u8]) -> Option<Time> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (seconds, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (value.get(..point)?, value.get(point + 1..)?),
        None => (value, b"".as_slice()),
    };
    let seconds = i64::try_from(decimal(seconds)?).ok()?;
    let mut nanoseconds = 0u32;
    for place in 0..9 {
        let digit =
            fraction.get(place).map_or(Some(0), |digit| digit.is_ascii_digit().then(|| digit - b'0'))?;
        nanoseconds = nanoseconds * 10 + u32::from(digit);
    }
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(match (is_negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds: 0 },
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_of_any_length_and_signs() {
        let check = |value: &[u8], expected: Option<(i64, u32)>| {
            let expected = expected.map(|(seconds, nanoseconds)| Time { seconds, nanoseconds });
            assert_eq!(time(value), expected, "{}", value.escape_ascii());
        };
        check(b"12", Some((12, 0)));
        check(b"12.5", Some((12, 500_000_000)));
        check(b"12.0000000019", Some((12, 1)));
        check(b"-1.5", Some((-2, 500_000_000)));
        check(b"-1", Some((-1, 0)));
        check(b"", None);
        check(b"1.x", None);
        check(b"1e3", None);
    }

    #[test]
    fn a_record_has_the_length_that_it_says() {
        assert_eq!(record(b"9 path=x\n11 rest").unwrap(), (&b"path"[..], &b"x"[..], &b"11 rest"[..]));
        for malformed in ["", "9", "9 path=x", "8 path=x\n", "99 path=x\n", "6 path\n", "4 =x\n"] {
            assert!(record(malformed.as_bytes()).is_err(), "{malformed}");
        }
    }

    #[test]
    fn the_last_record_of_a_key_counts_and_an_empty_one_takes_it_back() {
        let pax = Pax::parse(b"9 path=a\n9 path=b\n9 size=7\n8 size=\n", 1).unwrap();
        assert_eq!((pax.path.as_deref(), pax.size), (Some(b"b".as_slice()), None));
    }
}
