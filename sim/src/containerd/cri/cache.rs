//! The plugin's images by id, and ids by the names of their records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::document::Image;
use super::reference;

/// Shared by the plugin's event loop and its service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache(Arc<Mutex<Images>>);

#[derive(Debug, Default)]
struct Images {
    ids: BTreeMap<String, String>,
    images: BTreeMap<String, Image>,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Images> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Images::default();
    }

    /// The record `name` now stands for `image`.
    pub(crate) fn insert(&self, name: &str, image: Image, pinned: bool) {
        let mut images = self.lock();
        if images.ids.get(name).is_some_and(|old| *old != image.id) {
            images.remove(name);
        }
        images.ids.insert(name.to_owned(), image.id.clone());
        // What an id stands for never changes, so the first reading of its documents stays.
        let cached = images.images.entry(image.id.clone()).or_insert(image);
        cached.references.insert(name.to_owned());
        if pinned {
            cached.pinned_by.insert(name.to_owned());
        } else {
            cached.pinned_by.remove(name);
        }
    }

    /// The record `name` is gone.
    pub(crate) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(crate) fn list(&self) -> Vec<Image> {
        self.lock().images.values().cloned().collect()
    }

    /// Finds an image by digest, else by reference, else by a prefix of its id.
    ///
    /// # Errors
    /// Unknown when the prefix fits several images.
    pub(crate) fn resolve(&self, name: &str) -> Result<Option<Image>, Status> {
        let images = self.lock();
        let id = if reference::is_id(name) {
            Some(name.to_owned())
        } else {
            images.ids.get(&reference::normalize(name)).cloned()
        };
        if let Some(image) = id.and_then(|id| images.images.get(&id)) {
            return Ok(Some(image.clone()));
        }
        let fits = |id: &str| {
            id.starts_with(name) || id.split_once(':').is_some_and(|(_, hex)| hex.starts_with(name))
        };
        let mut found = images.images.values().filter(|image| fits(&image.id));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                Err(Status::unknown(format!("can not resolve \"{name}\" locally: ambiguous digest string")))
            }
            (found, _) => Ok(found.cloned()),
        }
    }
}

impl Images {
    fn remove(&mut self, name: &str) {
        let Some(id) = self.ids.remove(name) else { return };
        if let Some(image) = self.images.get_mut(&id) {
            image.references.remove(name);
            image.pinned_by.remove(name);
            if image.references.is_empty() {
                self.images.remove(&id);
            }
        }
    }
}
