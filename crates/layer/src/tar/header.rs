//! One block of 512 bytes that describes an entry.

use super::error::TarProblem;
use super::number::{number, text};

/// Size of every block of an archive.
pub(super) const BLOCK_BYTES: usize = 512;

pub(super) type Block = [u8; BLOCK_BYTES];

/// Which dialect a header is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header's fields, as far as they are the same in all dialects.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) type_flag: u8,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) size: i64,
    pub(super) modified: i64,
    pub(super) device: (i64, i64),
}

/// The bytes of a field of a block.
pub(super) fn field(block: &Block, offset: usize, length: usize) -> &[u8] {
    block.get(offset..offset + length).unwrap_or_default()
}

impl Header {
    pub(super) fn parse(block: &Block) -> Result<Header, TarProblem> {
        check_sum(block)?;
        let dialect = dialect(block);
        let has_devices = dialect != Dialect::V7;
        let read = |name: &'static str, offset, length| {
            let field = field(block, offset, length);
            number(field)
                .ok_or_else(|| TarProblem::Field { field: name, value: field.escape_ascii().to_string() })
        };
        let mut path = text(field(block, 0, 100)).to_vec();
        let prefix = match dialect {
            Dialect::Ustar => Some(text(field(block, 345, 155))),
            Dialect::Star => Some(text(field(block, 345, 131))),
            // Go before 1.8, and so docker of 2016, wrote this prefix into headers of GNU's, which have times there.
            Dialect::Gnu if !has_times(block) => {
                Some(text(field(block, 345, 155))).filter(|text| text.is_ascii())
            }
            Dialect::V7 | Dialect::Gnu => None,
        }
        .unwrap_or_default();
        if !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        Ok(Header {
            path,
            link: text(field(block, 157, 100)).to_vec(),
            type_flag: field(block, 156, 1).first().copied().unwrap_or_default(),
            mode: read("mode", 100, 8)?,
            uid: read("uid", 108, 8)?,
            gid: read("gid", 116, 8)?,
            size: read("size", 124, 12)?,
            modified: read("mtime", 136, 12)?,
            device: match has_devices {
                true => (read("devmajor", 329, 8)?, read("devminor", 337, 8)?),
                false => (0, 0),
            },
        })
    }
}

/// Whether the fields where GNU has the times of access and change are such.
fn has_times(block: &Block) -> bool {
    [345, 357]
        .into_iter()
        .map(|offset| field(block, offset, 12))
        .all(|field| field.first() == Some(&0) || number(field).is_some())
}

fn dialect(block: &Block) -> Dialect {
    match (field(block, 257, 8), field(block, 508, 4)) {
        (b"ustar  \0", _) => Dialect::Gnu,
        ([b'u', b's', b't', b'a', b'r', 0, ..], b"tar\0") => Dialect::Star,
        ([b'u', b's', b't', b'a', b'r', 0, ..], _) => Dialect::Ustar,
        _ => Dialect::V7,
    }
}

/// The sum of all bytes with the field itself as spaces; old tars added signed bytes.
fn check_sum(block: &Block) -> Result<(), TarProblem> {
    let expected = number(field(block, 148, 8)).ok_or(TarProblem::Checksum)?;
    let counted = |at: usize, byte: u8| if (148..156).contains(&at) { b' ' } else { byte };
    let bytes = || block.iter().enumerate().map(|(at, byte)| counted(at, *byte));
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    if expected == unsigned || expected == signed { Ok(()) } else { Err(TarProblem::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these bytes and a checksum that adds up bytes with or without a sign.
    fn header(magic: &[u8], parts: &[(usize, &[u8])], is_signed: bool) -> Block {
        let mut block = [0; BLOCK_BYTES];
        for (offset, bytes) in [(0, b"name".as_slice()), (257, magic)].iter().chain(parts) {
            block[*offset..*offset + bytes.len()].copy_from_slice(bytes);
        }
        block[148..156].fill(b' ');
        let sum: i64 = block
            .iter()
            .map(|byte| if is_signed { byte.cast_signed().into() } else { i64::from(*byte) })
            .sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[track_caller]
    fn check(magic: &[u8], parts: &[(usize, &[u8])], expected: &str) {
        let header = Header::parse(&header(magic, parts, false)).unwrap();
        assert_eq!(header.path.escape_ascii().to_string(), expected);
    }

    #[test]
    fn the_dialect_says_what_a_prefix_is() {
        let prefix = (345, b"prefix".as_slice());
        check(b"ustar\x0000", &[prefix], "prefix/name");
        check(b"ustar\x0000", &[(345, b"p".repeat(155).as_slice())], &format!("{}/name", "p".repeat(155)));
        check(
            b"ustar\x0000",
            &[(345, b"p".repeat(155).as_slice()), (508, b"tar\0")],
            &format!("{}/name", "p".repeat(131)),
        );
        check(b"", &[prefix], "name");
        check(b"ustar  \0", &[], "name");
        // Times of access and change, and a device's number where v7 has none.
        check(b"ustar  \0", &[(345, b"14000000000\x0014000000000\0")], "name");
        check(b"ustar  \0", &[(345, b"\0"), (357, b"14000000000\0")], "name");
        check(b"", &[(329, b"no number")], "name");
    }

    #[test]
    fn a_prefix_that_old_docker_wrote_into_a_header_of_gnu_counts() {
        check(b"ustar  \0", &[(345, b"prefix")], "prefix/name");
        check(b"ustar  \0", &[(345, b"usr/share/doc/a-package")], "usr/share/doc/a-package/name");
        check(b"ustar  \0", &[(345, b"pr\xe9fix")], "name");
    }

    #[test]
    fn a_checksum_may_be_of_signed_bytes() {
        for is_signed in [true, false] {
            assert!(Header::parse(&header(b"", &[(10, b"\xe9\xff")], is_signed)).is_ok());
        }
        let mut block = header(b"", &[], false);
        block[0] ^= 1;
        assert_eq!(Header::parse(&block).unwrap_err(), TarProblem::Checksum);
    }
}
