//! The three digests that must not be mixed: image id, diff id, chain id.

use std::fmt;

use refparse::{Digest, DigestError};
use sha2::Digest as _;

/// SHA-256 of `bytes` as a digest.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(sha2::Sha256::digest(bytes).into())
}

macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Digest);

        impl $name {
            /// Takes `digest` as one.
            pub fn new(digest: Digest) -> Self {
                $name(digest)
            }

            /// Reads `algorithm:hex`.
            ///
            /// # Errors
            /// [`DigestError`] where `text` is no digest.
            pub fn parse(text: &str) -> Result<Self, DigestError> {
                Digest::parse(text).map($name)
            }

            /// The digest itself.
            pub fn digest(&self) -> &Digest {
                &self.0
            }

            /// `algorithm:hex`.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

digest_newtype!(
    /// Digest of an image's config: the id that CRI answers as `image_ref` and that names an image record.
    ImageId
);
digest_newtype!(
    /// Digest of a layer's uncompressed tar stream.
    DiffId
);
digest_newtype!(
    /// Digest over the diff ids from the base up to a layer: the name of that layer's committed snapshot.
    ChainId
);

/// The chain id of every layer, from the base up (OCI image-spec 1.1, config.md, "layer chainID").
///
/// ```
/// use oci::{DiffId, chain_ids};
/// let base = DiffId::parse("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")?;
/// // The base's chain id is its diff id.
/// assert_eq!(chain_ids(&[base.clone()])[0].as_str(), base.as_str());
/// # Ok::<(), refparse::DigestError>(())
/// ```
pub fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.0.clone(),
            Some(parent) => sha256(format!("{parent} {diff_id}").as_bytes()),
        };
        chain.push(ChainId(next));
    }
    chain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's own recursion, written as it stands there.
    fn chain_id_by_recursion(diff_ids: &[DiffId]) -> Digest {
        match diff_ids {
            [] => unreachable!("called with at least one diff id"),
            [only] => only.digest().clone(),
            [below @ .., top] => sha256(format!("{} {}", chain_id_by_recursion(below), top).as_bytes()),
        }
    }

    proptest! {
        #[test]
        fn chain_ids_follow_the_specifications_recursion(seeds in prop::collection::vec(any::<[u8; 32]>(), 1..12)) {
            let diff_ids: Vec<DiffId> = seeds.iter().map(|s| DiffId::new(Digest::from_sha256(*s))).collect();
            let chain = chain_ids(&diff_ids);
            for end in 1..=diff_ids.len() {
                prop_assert_eq!(chain[end - 1].digest(), &chain_id_by_recursion(&diff_ids[..end]));
            }
        }
    }
}
