//! What a layer may make this process remember and its disk hold, beside the bytes of its files.

use super::UnpackError;
use crate::Limits;
use crate::tar::{Entry, Kind};

/// Memory of a remembered path beside its bytes: the vector, the time, the place in a map.
const OVERHEAD_BYTES: u64 = 128;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    implied: u64,
    kept_bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Budget {
        Budget { limits, implied: 0, kept_bytes: 0 }
    }

    /// A directory without an entry is made: one entry may have thousands of such parents.
    pub(super) fn imply(&mut self, path: &[u8]) -> Result<(), UnpackError> {
        self.implied += 1;
        let limit = self.limits.entries_max;
        if self.implied > limit {
            return Err(UnpackError::Limit { what: "the count of directories without an entry", limit });
        }
        self.keep(path)
    }

    /// A path is remembered until the layer ends.
    pub(super) fn keep(&mut self, path: &[u8]) -> Result<(), UnpackError> {
        self.keep_bytes(path.len())
    }

    /// An entry is remembered until the layer ends.
    pub(super) fn keep_entry(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let attributes: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let target = match &entry.kind {
            Kind::HardLink(target) | Kind::Symlink(target) => target.len(),
            _ => 0,
        };
        // The path counts twice, for the name of the place is a part of it.
        self.keep_bytes(2 * entry.path.len() + target + attributes + size_of::<Entry>())
    }

    fn keep_bytes(&mut self, bytes: usize) -> Result<(), UnpackError> {
        self.kept_bytes = self.kept_bytes.saturating_add(OVERHEAD_BYTES + bytes as u64);
        let limit = self.limits.kept_bytes_max;
        if self.kept_bytes > limit {
            let what = "the memory for the layer's directories and links, in bytes,";
            return Err(UnpackError::Limit { what, limit });
        }
        Ok(())
    }
}
