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
            Dialect::Ustar => text(field(block, 345, 155)),
            Dialect::Star => text(field(block, 345, 131)),
            Dialect::V7 | Dialect::Gnu => &[],
        };
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
