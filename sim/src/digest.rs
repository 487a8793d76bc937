//! Digests as containerd checks and computes them.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A running hash of one of the three algorithms that containerd accepts.
#[derive(Clone, Debug)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// The algorithm of `expected`, sha256 when nothing is expected.
    pub(crate) fn for_digest(expected: &str) -> Hasher {
        match expected.split_once(':').map(|(algorithm, _)| algorithm) {
            Some("sha384") => Hasher::Sha384(Sha384::new()),
            Some("sha512") => Hasher::Sha512(Sha512::new()),
            _ => Hasher::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::Sha384(hash) => hash.update(bytes),
            Hasher::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of what was hashed so far, as `algorithm:hex`.
    pub(crate) fn digest(&self) -> String {
        match self.clone() {
            Hasher::Sha256(hash) => format!("sha256:{}", hex(&hash.finalize())),
            Hasher::Sha384(hash) => format!("sha384:{}", hex(&hash.finalize())),
            Hasher::Sha512(hash) => format!("sha512:{}", hex(&hash.finalize())),
        }
    }
}

/// The sha256 digest of `bytes`, as `sha256:hex`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format_sha256(&Sha256::digest(bytes))
}

/// Writes a finished sha256 as `sha256:hex`.
pub(crate) fn format_sha256(hash: &[u8]) -> String {
    format!("sha256:{}", hex(hash))
}

/// Whether `digest` is `algorithm:hex` with the right number of lower-case digits.
pub(crate) fn is_valid(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}
