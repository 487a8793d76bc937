//! Hard links that wait for the layers below, in the order of the archive, and found by their place.

use std::collections::BTreeMap;

use crate::tar::Entry;

/// Hard links whose target is not in the layer.
#[derive(Debug, Default)]
pub(super) struct Links {
    in_order: BTreeMap<u64, Box<Entry>>,
    /// By inode of the directory and name in it.
    by_place: BTreeMap<(u64, Vec<u8>), u64>,
    next: u64,
}

impl Links {
    pub(super) fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    pub(super) fn add(&mut self, parent: u64, name: &[u8], entry: Box<Entry>) {
        self.in_order.insert(self.next, entry);
        self.by_place.insert((parent, name.to_vec()), self.next);
        self.next += 1;
    }

    pub(super) fn is_at(&self, parent: u64, name: &[u8]) -> bool {
        !self.is_empty() && self.by_place.contains_key(&(parent, name.to_vec()))
    }

    /// Something else takes this place.
    pub(super) fn forget(&mut self, parent: u64, name: &[u8]) {
        if !self.is_empty()
            && let Some(number) = self.by_place.remove(&(parent, name.to_vec()))
        {
            self.in_order.remove(&number);
        }
    }

    /// The directory is gone, and its inode may become another file's.
    pub(super) fn forget_all_in(&mut self, parent: u64) {
        let inside = self.by_place.range((parent, Vec::new())..).take_while(|((at, _), _)| *at == parent);
        let inside: Vec<_> = inside.map(|((_, name), _)| name.clone()).collect();
        for name in inside {
            self.forget(parent, &name);
        }
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = Box<Entry>> {
        self.in_order.into_values()
    }
}
