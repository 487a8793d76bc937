//! From what a CRI client writes to the image it means.

use std::sync::Arc;

use oci::ImageId;
use refparse::{Digest, Reference};

use crate::index::Index;
use crate::{Image, LookupError};

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An image.
    Image(Arc<Image>),
    /// Records without an image: their documents are missing or malformed. Only removal wants them.
    Unreadable {
        /// The target that the records share.
        target: Digest,
    },
}

/// Finds `image`: an image id, a reference in any form, or the beginning of an image id (with or without `sha256:`),
/// tried in this order. That a reference goes before a prefix is containerd's order: `beef` names the repository.
pub(crate) fn find(index: &Index, image: &str) -> Result<Option<Found>, LookupError> {
    if image.is_empty() {
        return Err(LookupError::Empty);
    }
    if let Ok(digest) = Digest::parse(image) {
        let by_id = index.image(&ImageId::new(digest)).map(|found| Found::Image(Arc::clone(found)));
        return Ok(by_id.or_else(|| by_name(index, image)));
    }
    if let Ok(reference) = Reference::parse(image)
        && let Some(found) = by_name(index, reference.as_str())
    {
        return Ok(Some(found));
    }
    let prefix = image.strip_prefix("sha256:").unwrap_or(image);
    let is_hex = prefix.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if prefix.is_empty() || !is_hex {
        return Ok(None);
    }
    let mut fitting = index.with_id_prefix(prefix);
    let Some(first) = fitting.next() else { return Ok(None) };
    match fitting.next() {
        None => Ok(Some(Found::Image(Arc::clone(first)))),
        Some(second) => Err(LookupError::Ambiguous {
            prefix: image.to_owned(),
            count: 2 + fitting.count(),
            first: first.id().to_string(),
            second: second.id().to_string(),
        }),
    }
}

/// Name of the record that `image` means, where it is no beginning of an id.
pub(crate) fn record_name(image: &str) -> String {
    match Reference::parse(image) {
        Ok(reference) if Digest::parse(image).is_err() => reference.as_str().to_owned(),
        _ => image.to_owned(),
    }
}

fn by_name(index: &Index, name: &str) -> Option<Found> {
    if let Some(image) = index.named(name) {
        return Some(Found::Image(Arc::clone(image)));
    }
    let entry = index.entry(name)?;
    Some(Found::Unreadable { target: entry.target.digest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::entry;

    fn id(n: u8) -> String {
        Digest::from_sha256([n; 32]).to_string()
    }

    fn index() -> Index {
        Index::default()
            .with("docker.io/library/a:latest", Some(entry(0x11, 1, false)))
            .with(&id(0x11), Some(entry(0x11, 1, false)))
            .with("docker.io/library/beef:latest", Some(entry(0x12, 2, false)))
            .with(&id(0xbe), Some(entry(0xbe, 3, false)))
    }

    #[track_caller]
    fn check(image: &str, expected: Result<Option<u8>, &str>) {
        let got = find(&index(), image).map(|found| {
            found.map(|found| match found {
                Found::Image(image) => image.id().to_string(),
                Found::Unreadable { target } => panic!("{target}"),
            })
        });
        let expected = expected.map(|found| found.map(id));
        assert_eq!(got.map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{image}");
    }

    #[test]
    fn every_form_leads_to_the_image() {
        check("a", Ok(Some(0x11)));
        check("a:latest", Ok(Some(0x11)));
        check("docker.io/library/a", Ok(Some(0x11)));
        check(&id(0x11), Ok(Some(0x11)));
        check("1111", Ok(Some(0x11)));
        check("sha256:1111", Ok(Some(0x11)));
        check("a:other", Ok(None));
        check("UPPER CASE", Ok(None));
    }

    #[test]
    fn a_repository_goes_before_the_id_that_begins_with_its_name() {
        check("beef", Ok(Some(0x12)));
        check("bebe", Ok(Some(0xbe)));
    }

    #[test]
    fn a_name_means_its_record_and_an_id_itself() {
        assert_eq!(record_name("beef"), "docker.io/library/beef:latest");
        assert_eq!(record_name(&id(0x11)), id(0x11));
        assert_eq!(record_name("UPPER CASE"), "UPPER CASE");
    }

    #[test]
    fn an_ambiguous_prefix_and_the_empty_name_are_errors() {
        let (first, second) = (id(0x11), id(0x12));
        let message =
            format!("`1` is the beginning of 2 image ids, among them {first} and {second}: give more of it");
        check("1", Err(&message));
        let third = |index: Index| index.with(&id(0x13), Some(entry(0x13, 4, false)));
        assert!(matches!(find(&third(index()), "1"), Err(LookupError::Ambiguous { count: 3, .. })));
        check("", Err("the image is empty: give a reference, an image id or the beginning of one"));
        check("sha256:", Ok(None));
    }
}
