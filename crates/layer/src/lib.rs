//! One layer of an image, from bytes to directory.
//!
//! So far that is the verification of the bytes as they stream by: [`Verifier`]. Decompression and unpacking are
//! containerd's (`Diff.Apply`) until the fast path does them here.
//!
//! ```
//! use layer::Verifier;
//! use refparse::Digest;
//!
//! let digest = Digest::parse("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")?;
//! let mut verifier = Verifier::new(digest, 3);
//! verifier.update(b"ab")?;
//! verifier.update(b"c")?;
//! verifier.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No network, no containerd.

mod decompress;
mod gzip;
mod hasher;
mod limits;
pub mod tar;
mod unpack;
mod verify;

pub use decompress::{Compression, DecompressError, Decompressor, Progress};
pub use hasher::Hasher;
pub use limits::Limits;
pub use unpack::{Counts, Deferred, Form, UnpackError, Unpacker};
pub use verify::{Verifier, VerifyError};
