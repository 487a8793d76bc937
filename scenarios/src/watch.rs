//! What must be true after every message.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imagestore::{ImageStore, Index};
use sim::containerd::Containerd;

use crate::Violation;

/// Looks at the daemon between messages. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Mutex<Watched>>);

#[derive(Debug)]
struct Watched {
    containerd: Containerd,
    store: Option<ImageStore>,
    /// The index when it was looked at last.
    seen: Arc<Index>,
    verdict: Result<(), Violation>,
}

impl Watch {
    pub(crate) fn new(containerd: &Containerd) -> Watch {
        let containerd = containerd.clone();
        Watch(Arc::new(Mutex::new(Watched {
            containerd,
            store: None,
            seen: Arc::default(),
            verdict: Ok(()),
        })))
    }

    /// From now on this daemon's store is looked at; none between a kill and the next start.
    pub(crate) fn of(&self, store: Option<ImageStore>) {
        self.lock().store = store;
    }

    /// Checks that the index is not ahead of containerd: what it has, containerd has or had.
    pub(crate) fn look(&self) {
        let mut watched = self.lock();
        let Some(index) = watched.store.as_ref().map(ImageStore::index) else { return };
        if watched.verdict.is_err() || Arc::ptr_eq(&index, &watched.seen) {
            return;
        }
        for name in index.names() {
            let target = index.target(name).map(ToString::to_string).unwrap_or_default();
            if !watched.containerd.had_image("k8s.io", name, &target) {
                let what = format!("the index has {name} with target {target}, which containerd never had");
                watched.verdict = Err(Violation(what));
            }
        }
        watched.seen = index;
    }

    /// The first broken promise.
    pub(crate) fn verdict(&self) -> Result<(), Violation> {
        self.lock().verdict.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
