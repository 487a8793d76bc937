//! A running digest in any algorithm that a descriptor may name.

use std::fmt;

use refparse::{Algorithm, Digest};
use sha2::Digest as _;

/// Computes the digest of bytes that stream by.
pub struct Hasher {
    state: State,
}

enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// In the algorithm of `expected`.
    pub fn of(expected: &Digest) -> Hasher {
        let state = match expected.algorithm() {
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            // `Algorithm` grows only together with this match; a comparison would fail, not pass.
            _ => State::Sha256(sha2::Sha256::new()),
        };
        Hasher { state }
    }

    /// In SHA-256, for a digest that nobody has told yet.
    pub fn sha256() -> Hasher {
        Hasher { state: State::Sha256(sha2::Sha256::new()) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha384(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes, as `algorithm:hex`.
    pub fn finish(self) -> String {
        match self.state {
            State::Sha256(hasher) => text("sha256", &hasher.finalize()),
            State::Sha384(hasher) => text("sha384", &hasher.finalize()),
            State::Sha512(hasher) => text("sha512", &hasher.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

fn text(algorithm: &str, bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = format!("{algorithm}:");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
