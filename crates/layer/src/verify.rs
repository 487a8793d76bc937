//! A digest check that sees every byte once and cannot be passed by bytes that are too many or too few.

use std::fmt;

use refparse::Digest;

use crate::Hasher;

/// Checks bytes that stream by against the digest and size of their descriptor.
pub struct Verifier {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

/// Bytes that are not those of the descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// More or fewer bytes than announced.
    #[error("blob `{digest}` should have {expected} bytes but {} came", if *.actual > *.expected { "more".to_owned() } else { format!("only {actual}") })]
    Size {
        /// Digest of the descriptor.
        digest: Digest,
        /// Size of the descriptor, in bytes.
        expected: u64,
        /// Bytes seen when it was clear.
        actual: u64,
    },
    /// The right number of other bytes.
    #[error("blob `{expected}` has other bytes than announced: their digest is `{actual}`")]
    Digest {
        /// Digest of the descriptor.
        expected: Digest,
        /// Digest of the bytes.
        actual: String,
    },
}

impl Verifier {
    /// For the blob of `size` bytes whose digest is `expected`.
    pub fn new(expected: Digest, size: u64) -> Verifier {
        let hasher = Hasher::of(&expected);
        Verifier { expected, size, seen: 0, hasher }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`VerifyError::Size`] as soon as there are more bytes than announced: the excess is never hashed or passed on.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        if self.seen > self.size {
            return Err(self.wrong_size());
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Says whether the bytes were those of the descriptor.
    ///
    /// # Errors
    /// [`VerifyError`] where they were not.
    pub fn finish(self) -> Result<(), VerifyError> {
        if self.seen != self.size {
            return Err(self.wrong_size());
        }
        let actual = self.hasher.finish();
        if actual == self.expected.as_str() {
            return Ok(());
        }
        Err(VerifyError::Digest { actual, expected: self.expected.clone() })
    }

    fn wrong_size(&self) -> VerifyError {
        VerifyError::Size { digest: self.expected.clone(), expected: self.size, actual: self.seen }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("expected", &self.expected)
            .field("size", &self.size)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verify(digest: &Digest, size: usize, chunks: &[&[u8]]) -> Result<(), VerifyError> {
        let mut verifier = Verifier::new(digest.clone(), size as u64);
        for chunk in chunks {
            verifier.update(chunk)?;
        }
        verifier.finish()
    }

    #[test]
    fn every_algorithm_is_checked() {
        let abc = [
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for text in abc {
            let digest = Digest::parse(text).unwrap();
            assert_eq!(verify(&digest, 3, &[b"a", b"bc"]), Ok(()), "{text}");
            assert!(matches!(verify(&digest, 3, &[b"abd"]), Err(VerifyError::Digest { .. })), "{text}");
        }
    }

    #[test]
    fn the_message_says_how_the_size_is_wrong() {
        let digest = oci::sha256(b"abc");
        let message = |chunks: &[&[u8]]| verify(&digest, 3, chunks).unwrap_err().to_string();
        assert_eq!(message(&[b"ab"]), format!("blob `{digest}` should have 3 bytes but only 2 came"));
        assert_eq!(message(&[b"abcd"]), format!("blob `{digest}` should have 3 bytes but more came"));
    }

    proptest! {
        #[test]
        fn only_the_announced_bytes_pass(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            cuts in prop::collection::vec(1..50usize, 0..8),
            flip in any::<prop::sample::Index>(),
        ) {
            let digest = oci::sha256(&bytes);
            let split = |mut rest: &[u8]| {
                let mut chunks = Vec::new();
                for cut in &cuts {
                    let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
                    chunks.push(chunk.to_vec());
                    rest = tail;
                }
                chunks.push(rest.to_vec());
                chunks
            };
            let run = |bytes: &[u8], size: usize| {
                let chunks = split(bytes);
                let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
                verify(&digest, size, &chunks)
            };
            prop_assert!(run(&bytes, bytes.len()).is_ok());
            prop_assert!(run(&bytes[..bytes.len() - 1], bytes.len()).is_err());
            prop_assert!(run(&bytes, bytes.len() - 1).is_err());
            let mut other = bytes.clone();
            other[flip.index(bytes.len())] ^= 1;
            prop_assert!(run(&other, bytes.len()).is_err());
        }
    }
}
