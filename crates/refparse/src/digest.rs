//! Digests: a hash algorithm and its value in hex; never the hashing itself.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::Fault;
use crate::grammar::{char_at, is_hex};
use crate::{DigestError, DigestErrorKind as Kind};

/// A hash algorithm that digests are made with.
///
/// sha256 and sha512 are those that the OCI image specification registers (v1.1.0, descriptor.md); sha384 is one more
/// that the Go module `go-digest` v1.0.0, and thus containerd, accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, which practically every registry uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    const ALL: [Algorithm; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name that stands before the colon of a digest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits a digest of this algorithm has.
    #[must_use]
    pub fn hex_count(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// The name as in a digest: `sha256`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest that is known to be well formed: `sha256:` and 64 lower-case hex digits, or the like of sha384 and sha512.
///
/// Two digests are equal, ordered and hashed as their texts are, so a map with digests for keys can be asked with a
/// `&str`.
///
/// ```
/// use refparse::{Algorithm, Digest};
///
/// let digest = Digest::from_sha256([0xab; 32]);
/// assert_eq!(digest.as_str(), format!("sha256:{}", "ab".repeat(32)));
/// assert_eq!(Digest::parse(digest.as_str())?, digest);
/// # Ok::<(), refparse::DigestError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

impl Digest {
    /// Reads `algorithm:hex`.
    ///
    /// # Errors
    ///
    /// [`DigestError`] when the algorithm is not one of [`Algorithm`], or the hex digits are not exactly as many as it
    /// has, in lower case.
    pub fn parse(input: &str) -> Result<Digest, DigestError> {
        match check(input) {
            Ok(()) => Ok(Digest(input.into())),
            Err(fault) => Err(DigestError::new(input, fault)),
        }
    }

    /// The digest of a SHA-256 value.
    #[must_use]
    pub fn from_sha256(bytes: [u8; 32]) -> Digest {
        Digest::from_bytes(Algorithm::Sha256, &bytes)
    }

    /// The digest of a SHA-384 value.
    #[must_use]
    pub fn from_sha384(bytes: [u8; 48]) -> Digest {
        Digest::from_bytes(Algorithm::Sha384, &bytes)
    }

    /// The digest of a SHA-512 value.
    #[must_use]
    pub fn from_sha512(bytes: [u8; 64]) -> Digest {
        Digest::from_bytes(Algorithm::Sha512, &bytes)
    }

    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let name = algorithm.as_str();
        let mut text = String::with_capacity(name.len() + 1 + algorithm.hex_count());
        text.push_str(name);
        text.push(':');
        for byte in bytes {
            for nibble in [byte >> 4, byte & 0xf] {
                text.push(char::from_digit(nibble.into(), 16).expect("four bits are less than sixteen"));
            }
        }
        Digest(text.into_boxed_str())
    }

    /// The algorithm that the value was made with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        // The three texts differ in length, which is cheaper to tell apart than their names.
        match self.0.len() {
            71 => Algorithm::Sha256,
            103 => Algorithm::Sha384,
            _ => Algorithm::Sha512,
        }
    }

    /// The value, in lower-case hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().as_str().len() + 1..]
    }

    /// The whole text, `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the grammar of a digest.
pub(crate) fn check(input: &str) -> Result<(), Fault<Kind>> {
    let Some((name, hex)) = input.split_once(':') else {
        let kind = if input.is_empty() { Kind::Empty } else { Kind::SeparatorMissing };
        return Err(Fault::new(kind, input.len()));
    };
    let Some(algorithm) = Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name) else {
        return Err(Fault::new(Kind::AlgorithmUnknown, 0));
    };
    let start = name.len() + 1;
    if let Some(at) = hex.bytes().position(|byte| !is_hex(byte)) {
        let c = char_at(hex, at);
        let kind = if matches!(c, 'A'..='F') { Kind::HexUppercase(c) } else { Kind::HexCharacter(c) };
        return Err(Fault::new(kind, start + at));
    }
    let (expected, found) = (algorithm.hex_count(), hex.len());
    if expected == found {
        Ok(())
    } else {
        Err(Fault::new(Kind::HexLength { expected, found }, start + expected.min(found)))
    }
}

/// Makes the digest of a text that [`check`] accepted.
pub(crate) fn checked(text: &str) -> Digest {
    debug_assert_eq!(check(text), Ok(()));
    Digest(text.into())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Digest").field(&&*self.0).finish()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(input: &str) -> Result<Digest, DigestError> {
        Digest::parse(input)
    }
}

impl TryFrom<&str> for Digest {
    type Error = DigestError;

    fn try_from(input: &str) -> Result<Digest, DigestError> {
        Digest::parse(input)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0.into()
    }
}
