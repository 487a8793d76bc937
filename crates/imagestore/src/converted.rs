//! What an image was made of on this node, as the record of its id says it.

use containerd::{ImageRecord, labels};
use refparse::Digest;

/// What the target of an image was made of, where no registry has that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConvertedFrom {
    /// A Docker schema 1 manifest with this digest.
    Schema1(Digest),
    /// An OCI artifact, whose manifest, or the index that led to it, has this digest.
    Artifact(Digest),
}

impl ConvertedFrom {
    /// What the reference resolved to.
    pub fn digest(&self) -> &Digest {
        match self {
            ConvertedFrom::Schema1(digest) | ConvertedFrom::Artifact(digest) => digest,
        }
    }

    /// What `record` says.
    pub(crate) fn of(record: &ImageRecord) -> Option<ConvertedFrom> {
        let digest = |key| Digest::parse(record.labels.get(key)?).ok();
        digest(labels::CONVERTED_SCHEMA1)
            .map(ConvertedFrom::Schema1)
            .or_else(|| digest(labels::CONVERTED_ARTIFACT).map(ConvertedFrom::Artifact))
    }

    /// The label that says it.
    pub(crate) fn label(&self) -> (String, String) {
        let key = match self {
            ConvertedFrom::Schema1(_) => labels::CONVERTED_SCHEMA1,
            ConvertedFrom::Artifact(_) => labels::CONVERTED_ARTIFACT,
        };
        (key.to_owned(), self.digest().to_string())
    }

    /// Whether a label called `key` says it.
    pub(crate) fn is_label(key: &str) -> bool {
        matches!(key, labels::CONVERTED_SCHEMA1 | labels::CONVERTED_ARTIFACT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use oci::Descriptor;

    use super::*;

    #[test]
    fn a_record_says_what_its_label_says() {
        let digest = Digest::from_sha256([1; 32]);
        let record = |labels| {
            let target = Descriptor::new("m", digest.clone(), 1);
            ImageRecord { name: "n".to_owned(), target, labels }
        };
        for from in [ConvertedFrom::Schema1(digest.clone()), ConvertedFrom::Artifact(digest.clone())] {
            let label = from.label();
            assert!(ConvertedFrom::is_label(&label.0));
            assert_eq!(ConvertedFrom::of(&record(BTreeMap::from([label]))), Some(from));
        }
        assert_eq!(ConvertedFrom::of(&record(BTreeMap::new())), None);
        assert!(!ConvertedFrom::is_label(labels::CRI_PINNED));
    }
}
