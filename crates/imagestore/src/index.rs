//! The index: an immutable map from names to records and from image ids to images.
//!
//! Pure data. A change makes a new index that shares all unchanged images, so readers never wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use containerd::{ImageRecord, labels};
use oci::{Descriptor, ImageId};
use refparse::Digest;

use crate::names::{NameClass, classify};
use crate::{ConvertedFrom, Details};

/// An image with all its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What its documents say.
    pub details: Arc<Details>,
    /// Names of its records: repo tags, repo digests, then the others, each class sorted. CRI's `RemoveImage` removes
    /// in this order, so that the id, by which everything else can still be found, goes last.
    pub names: Vec<String>,
    /// `name:tag` of each tag, sorted.
    pub repo_tags: Vec<String>,
    /// `name@digest` of each digest, sorted.
    pub repo_digests: Vec<String>,
    /// Whether one of its records says that the kubelet must not collect it.
    pub pinned: bool,
}

impl Image {
    /// Digest of the config.
    pub fn id(&self) -> &ImageId {
        &self.details.image_id
    }
}

/// A record in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: Descriptor,
    pub(crate) pinned: bool,
    converted_from: Option<ConvertedFrom>,
    /// `None` where the documents do not make an image.
    pub(crate) details: Option<Arc<Details>>,
}

impl Entry {
    pub(crate) fn new(record: &ImageRecord, details: Option<Arc<Details>>) -> Entry {
        let pinned = record.labels.get(labels::CRI_PINNED).is_some_and(|v| v == labels::CRI_PINNED_PINNED);
        Entry { target: record.target.clone(), pinned, converted_from: ConvertedFrom::of(record), details }
    }
}

/// All records of containerd's namespace, and the images that they make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    entries: BTreeMap<String, Entry>,
    images: BTreeMap<ImageId, Arc<Image>>,
}

impl Index {
    /// The images in the order of their ids.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// The image with this id.
    pub fn image(&self, id: &ImageId) -> Option<&Arc<Image>> {
        self.images.get(id)
    }

    /// The image that the record called `name` belongs to.
    pub fn named(&self, name: &str) -> Option<&Arc<Image>> {
        self.images.get(&self.entries.get(name)?.details.as_ref()?.image_id)
    }

    /// Digest of the target of the record called `name`.
    pub fn target(&self, name: &str) -> Option<&Digest> {
        self.entries.get(name).map(|entry| &entry.target.digest)
    }

    /// What was made of the document `digest`, and what that document was. Told by image id records alone: a label on a tag
    /// says nothing once the tag has moved.
    pub fn converted(&self, digest: &Digest) -> Option<(&Descriptor, &ConvertedFrom)> {
        let is_id = |(name, entry): &(&String, &Entry)| {
            entry.details.as_ref().is_some_and(|details| details.image_id.as_str() == name.as_str())
        };
        let of_digest = |(_, entry): &(&String, &Entry)| {
            entry.converted_from.as_ref().is_some_and(|from| from.digest() == digest)
        };
        let (_, entry) = self.entries.iter().filter(of_digest).find(is_id)?;
        Some((&entry.target, entry.converted_from.as_ref()?))
    }

    /// Names of all records, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Details of a target that some record already has.
    pub(crate) fn details_of(&self, target: &Digest) -> Option<Arc<Details>> {
        let mut of_target = self.entries.values().filter(|entry| entry.target.digest == *target);
        of_target.find_map(|entry| entry.details.clone())
    }

    /// Names of all records that have this target, in order.
    pub(crate) fn names_of(&self, target: &Digest) -> Vec<String> {
        let of_target = self.entries.iter().filter(|(_, entry)| entry.target.digest == *target);
        of_target.map(|(name, _)| name.clone()).collect()
    }

    /// The images whose hex id begins with `prefix`, in order.
    pub(crate) fn with_id_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Image>> {
        self.images.values().filter(move |image| image.id().digest().hex().starts_with(prefix))
    }

    /// The index with the record called `name` as it now is; `None` where there is none. All records of a target have
    /// its details once one has them: the documents of a record can come back with the pull of another (found by the
    /// simulator, 2026-11-27).
    #[must_use]
    pub(crate) fn with(&self, name: &str, mut entry: Option<Entry>) -> Index {
        let mut next = self.clone();
        if let Some(entry) = &mut entry {
            entry.details = entry.details.take().or_else(|| next.details_of(&entry.target.digest));
            let of_target =
                next.entries.values_mut().filter(|other| other.target.digest == entry.target.digest);
            for unreadable in of_target.filter(|other| other.details.is_none()) {
                unreadable.details.clone_from(&entry.details);
            }
        }
        let old = match entry {
            Some(entry) => next.entries.insert(name.to_owned(), entry),
            None => next.entries.remove(name),
        };
        let id_of = |entry: Option<&Entry>| Some(entry?.details.as_ref()?.image_id.clone());
        let touched: BTreeSet<ImageId> =
            [id_of(old.as_ref()), id_of(next.entries.get(name))].into_iter().flatten().collect();
        for id in touched {
            match next.assemble(&id) {
                Some(image) => next.images.insert(id, Arc::new(image)),
                None => next.images.remove(&id),
            };
        }
        next
    }

    /// The image `id` from its records; `None` where it has none.
    fn assemble(&self, id: &ImageId) -> Option<Image> {
        let mut names = Vec::new();
        let mut pinned = false;
        let mut details = None;
        for (name, entry) in &self.entries {
            let Some(found) = entry.details.as_ref().filter(|d| d.image_id == *id) else { continue };
            let (class, shown) = classify(name);
            names.push((class, name.clone(), shown));
            pinned |= entry.pinned;
            details.get_or_insert_with(|| Arc::clone(found));
        }
        names.sort();
        let shown = |wanted: NameClass| {
            let of_class = names.iter().filter(|(class, ..)| *class == wanted);
            let set: BTreeSet<String> = of_class.filter_map(|(_, _, shown)| shown.clone()).collect();
            set.into_iter().collect()
        };
        Some(Image {
            details: details?,
            repo_tags: shown(NameClass::Tag),
            repo_digests: shown(NameClass::Digest),
            names: names.iter().map(|(_, name, _)| name.clone()).collect(),
            pinned,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn entry(image: u8, target: u8, pinned: bool) -> Entry {
        let details = Details {
            image_id: ImageId::new(Digest::from_sha256([image; 32])),
            chain_id: None,
            size_bytes: 1,
            user: String::new(),
            documents: Vec::new(),
        };
        let target = Descriptor::new("m", Digest::from_sha256([target; 32]), 1);
        Entry { target, pinned, converted_from: None, details: Some(Arc::new(details)) }
    }

    #[test]
    fn the_names_of_a_target_are_those_of_its_records() {
        let index = Index::default()
            .with("b", Some(entry(1, 1, false)))
            .with("a", Some(entry(1, 1, false)))
            .with("c", Some(entry(2, 2, false)));
        assert_eq!(index.names_of(&Digest::from_sha256([1; 32])), ["a", "b"]);
        assert_eq!(index.names_of(&Digest::from_sha256([3; 32])), [""; 0]);
    }

    #[test]
    fn a_record_is_readable_as_soon_as_another_of_its_target_is() {
        let unreadable = || Some(Entry { details: None, ..entry(1, 1, false) });
        let index = Index::default().with("b", unreadable()).with("c", Some(entry(2, 2, false)));
        assert_eq!(index.named("b"), None);
        let index = index.with("a", Some(entry(1, 1, false)));
        assert_eq!(index.named("b").map(|image| image.names.clone()), Some(vec!["a".into(), "b".into()]));
        let index = index.with("a", None).with("d", unreadable());
        assert_eq!(index.named("d").map(|image| image.names.clone()), Some(vec!["b".into(), "d".into()]));
    }

    #[test]
    fn what_a_manifest_was_converted_to_is_told_by_the_image_id_alone() {
        let from = |number| Digest::from_sha256([number; 32]);
        let converted = |target| Entry {
            converted_from: Some(ConvertedFrom::Schema1(from(9))),
            ..entry(1, target, false)
        };
        let tagged = Index::default().with("docker.io/library/a:1", Some(converted(2)));
        assert_eq!(tagged.converted(&from(9)), None);
        let with_id = tagged.with(from(1).as_str(), Some(converted(3)));
        assert_eq!(with_id.converted(&from(9)).map(|(target, _)| &target.digest), Some(&from(3)));
        assert_eq!(with_id.converted(&from(8)), None);
        assert_eq!(with_id.with(from(1).as_str(), None).converted(&from(9)), None);
    }

    /// The same index, put together from nothing.
    fn rebuilt(index: &Index) -> Index {
        index.entries.iter().fold(Index::default(), |sum, (name, entry)| sum.with(name, Some(entry.clone())))
    }

    fn change() -> impl Strategy<Value = (String, Option<Entry>)> {
        let name = prop_oneof![
            (0..4u8).prop_map(|n| format!("docker.io/library/a:{n}")),
            (0..3u8).prop_map(|n| format!("docker.io/library/a@{}", Digest::from_sha256([n; 32]))),
            (0..3u8).prop_map(|n| Digest::from_sha256([n; 32]).to_string()),
        ];
        let entry = prop::option::of((0..3u8, 0..3u8, any::<bool>()).prop_map(|(i, t, p)| entry(i, t, p)));
        (name, entry)
    }

    proptest! {
        #[test]
        fn any_order_of_changes_gives_the_index_of_the_final_records(
            changes in prop::collection::vec(change(), 0..40),
        ) {
            let mut index = Index::default();
            let mut model: BTreeMap<String, Entry> = BTreeMap::new();
            for (name, entry) in changes {
                index = index.with(&name, entry.clone());
                match entry {
                    Some(entry) => { model.insert(name, entry); }
                    None => { model.remove(&name); }
                }
            }
            prop_assert_eq!(&index.entries, &model);
            prop_assert_eq!(&index, &rebuilt(&index));
            for image in index.images() {
                for name in &image.names {
                    let owner = model[name].details.as_ref().map(|d| d.image_id.clone());
                    prop_assert_eq!(owner.as_ref(), Some(image.id()));
                }
                let pinned = image.names.iter().any(|name| model[name].pinned);
                prop_assert_eq!(image.pinned, pinned);
            }
            let named: usize = index.images().map(|image| image.names.len()).sum();
            prop_assert_eq!(named, model.len());
        }
    }

    #[test]
    fn a_moved_tag_leaves_the_old_image_untagged() {
        let index = Index::default()
            .with("docker.io/library/a:1", Some(entry(1, 1, false)))
            .with(Digest::from_sha256([1; 32]).as_str(), Some(entry(1, 1, false)))
            .with("docker.io/library/a:1", Some(entry(2, 2, false)));
        let tags: Vec<_> = index.images().map(|image| image.repo_tags.clone()).collect();
        assert_eq!(tags, [vec![], vec!["docker.io/library/a:1".to_owned()]]);
    }
}
