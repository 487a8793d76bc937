//! Repositories: manifests by digest, tags, blobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Blob;

#[derive(Debug, Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Repository>,
}

#[derive(Debug, Default)]
struct Repository {
    manifests: BTreeMap<String, Blob>,
    tags: BTreeMap<String, String>,
    blobs: BTreeMap<String, Blob>,
}

impl Store {
    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(super) fn put_manifest(&mut self, repository: &str, manifest: Blob) {
        self.repository(repository).manifests.insert(manifest.digest().to_owned(), manifest);
    }

    pub(super) fn put_blob(&mut self, repository: &str, blob: Blob) {
        self.repository(repository).blobs.insert(blob.digest().to_owned(), blob);
    }

    pub(super) fn tag(&mut self, repository: &str, tag: &str, digest: &str) {
        self.repository(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    pub(super) fn untag(&mut self, repository: &str, tag: &str) {
        self.repository(repository).tags.remove(tag);
    }

    pub(super) fn remove(&mut self, repository: &str, digest: &str) {
        let repository = self.repository(repository);
        repository.manifests.remove(digest);
        repository.blobs.remove(digest);
    }

    pub(super) fn has_repository(&self, repository: &str) -> bool {
        self.repositories.contains_key(repository)
    }

    /// By tag or digest.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<&Blob> {
        let repository = self.repositories.get(repository)?;
        let digest = repository.tags.get(reference).map_or(reference, String::as_str);
        repository.manifests.get(digest)
    }

    /// A manifest is a blob too, as in the registries that store both alike.
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Blob> {
        let repository = self.repositories.get(repository)?;
        repository.blobs.get(digest).or_else(|| repository.manifests.get(digest))
    }

    pub(super) fn tags(&self, repository: &str) -> Option<BTreeSet<String>> {
        Some(self.repositories.get(repository)?.tags.keys().cloned().collect())
    }
}
