//! How much a layer may be.

/// Bounds for what a peer's archive makes this process and its disk do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries of one layer, and directories that it has without an entry. Default: 20 million, more inodes than an ext4
    /// of 300 GB has.
    pub entries_max: u64,
    /// Bytes of a path or of a link's target. Default: 4096, the kernel's `PATH_MAX`.
    pub path_bytes_max: usize,
    /// Bytes that the files of one layer have. Default: 1 TiB.
    pub bytes_max: u64,
    /// Uncompressed bytes for each compressed one, once [`Limits::RATIO_FREE_BYTES`] came. Default: 1100, for gzip cannot
    /// do more than 1032; a Zstandard frame of nothing but zeros can, up to the free bytes.
    pub ratio_max: u64,
    /// Bytes of memory for what cannot be done before the layer ends: the times of its directories, and its hard links to
    /// files of the layers below. Default: 128 MiB, which is some 500 000 directories with
    /// long paths.
    pub kept_bytes_max: u64,
}

impl Limits {
    /// Uncompressed bytes that are let pass at any ratio: a file of zeros is no bomb yet.
    pub const RATIO_FREE_BYTES: u64 = 1 << 30;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            entries_max: 20_000_000,
            path_bytes_max: 4096,
            bytes_max: 1 << 40,
            ratio_max: 1100,
            kept_bytes_max: 128 << 20,
        }
    }
}
