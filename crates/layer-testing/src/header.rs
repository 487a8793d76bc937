//! One header block, every field of which a test may spoil.

use layer::tar::Kind;

/// A header in the ustar dialect.
#[derive(Clone, Debug)]
pub struct Header {
    block: [u8; 512],
}

impl Header {
    /// A header with this type, path and size; the path is cut to what fits.
    pub fn new(type_flag: u8, path: &[u8], size: u64) -> Header {
        Header { block: [0; 512] }
            .bytes(0, path.get(..100).unwrap_or(path))
            .octal(100, 8, 0o644)
            .octal(108, 8, 0)
            .octal(116, 8, 0)
            .size(size)
            .octal(136, 12, 0)
            .bytes(156, &[type_flag])
            .bytes(257, b"ustar\x0000")
    }

    /// Overwrites the bytes at `offset`; what lies outside of the block is left out.
    #[must_use]
    pub fn bytes(mut self, offset: usize, bytes: &[u8]) -> Header {
        for (to, from) in self.block.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
        self
    }

    /// Writes a number into a field: in octal, or in base 256 where it is too large for that.
    #[must_use]
    pub fn octal(self, offset: usize, length: usize, value: u64) -> Header {
        let digits = format!("{value:0width$o}\0", width = length - 1);
        if digits.len() <= length {
            return self.bytes(offset, digits.as_bytes());
        }
        let mut field = vec![0u8; length];
        for (to, from) in field.iter_mut().rev().zip(value.to_be_bytes().iter().rev()) {
            *to = *from;
        }
        if let Some(first) = field.first_mut() {
            *first |= 0x80;
        }
        self.bytes(offset, &field)
    }

    /// Sets the size.
    #[must_use]
    pub fn size(self, size: u64) -> Header {
        self.octal(124, 12, size)
    }

    /// Turns it into the dialect of GNU tar.
    #[must_use]
    pub fn gnu(self) -> Header {
        self.bytes(257, b"ustar  \0")
    }

    /// The block, with its checksum.
    pub fn sealed(&self) -> [u8; 512] {
        let sum: u64 = self.clone().bytes(148, &[b' '; 8]).block.iter().map(|byte| u64::from(*byte)).sum();
        self.clone().bytes(148, format!("{sum:06o}\0 ").as_bytes()).block
    }
}

/// The type flag of an entry.
pub(crate) fn type_flag(kind: &Kind) -> u8 {
    match kind {
        Kind::Regular => b'0',
        Kind::HardLink(_) => b'1',
        Kind::Symlink(_) => b'2',
        Kind::Character { .. } => b'3',
        Kind::Block { .. } => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}
