//! An in-process containerd: the services an image client uses, over unix sockets and in-memory streams.
//!
//! Start at [`Containerd`]. Every service is one file; `state` is what they share, `gc` the collector,
//! `cri` the part of containerd's CRI plugin that follows image events.

mod apply;
mod caller;
mod content;
mod context;
mod cri;
mod diff;
mod directory;
mod events;
mod failure;
mod fault;
mod filter;
mod gc;
mod images;
mod introspection;
mod inventory;
mod io;
mod labels;
mod leases;
mod mounts;
mod options;
mod point;
mod schedule;
mod serve;
mod shared;
mod snapshots;
mod state;
mod tree;
mod version;

pub use fault::{Call, Fault, Match, Rule};
pub use inventory::{ContentItem, ImageItem, Inventory, LeaseItem, SnapshotItem, SnapshotKind};
pub use options::{Options, Platform};
pub use point::Point;
pub use serve::Serving;
pub use shared::Pause;
pub use tonic::Code;
pub use tree::{Entry, Node, Tree};
pub use version::Version;

pub(crate) use caller::Caller;
pub(crate) use point::shorten;
use shared::Shared;
use state::State;

/// A containerd. Clones share the state.
#[derive(Clone, Debug)]
pub struct Containerd {
    shared: Shared,
    cache: cri::Cache,
}

impl Containerd {
    /// An empty containerd that runs as `options` say.
    ///
    /// # Panics
    /// Outside a tokio runtime, for it runs the plugin's event loop as a task.
    pub fn new(options: Options) -> Containerd {
        let containerd = Containerd { shared: Shared::new(options), cache: cri::Cache::default() };
        containerd.launch();
        containerd
    }

    /// Runs the garbage collector now.
    pub fn collect(&self) {
        gc::collect(&self.shared);
    }

    /// What is stored in `namespace`, for checkers.
    pub fn inventory(&self, namespace: &str) -> Inventory {
        inventory::take(&self.shared.lock(), namespace)
    }

    /// Whether there is, or was at any time, a record called `image` with a target of this digest: for checkers of what
    /// a client believes.
    pub fn had_image(&self, namespace: &str, image: &str, target: &str) -> bool {
        let state = self.shared.lock();
        let wanted = (image.to_owned(), target.to_owned());
        state.namespaces.get(namespace).is_some_and(|namespace| namespace.images_ever.contains(&wanted))
    }

    /// The tree that a mount of a snapshot would show; `None` when there is no such snapshot.
    ///
    /// # Errors
    /// When directories are kept and cannot be read.
    pub fn tree(&self, namespace: &str, snapshotter: &str, key: &str) -> std::io::Result<Option<Tree>> {
        diff::view(&self.shared, namespace, snapshotter, key, true)
    }

    /// Adds a fault for calls over [links](crate::schedule::Link). Rules are tried in the order in which they were
    /// added; the first that matches is applied.
    pub fn inject(&self, rule: Rule) {
        self.shared.faults().inject(rule);
    }

    /// Asks `source` about every call over a link for which no rule is; it replaces the source before it. A source
    /// that decides by a seeded generator makes a seed's faults, the same in every run of that seed.
    pub fn inject_by(&self, source: impl FnMut(Call<'_>) -> Option<Fault> + Send + 'static) {
        self.shared.faults().inject_by(Box::new(source));
    }

    /// Removes every fault. What one of them holds stays held.
    pub fn heal(&self) {
        self.shared.faults().heal();
    }

    /// Ends every event subscription of `client`, the name of its link, and says how many there were. Events that
    /// were not sent yet are lost: what a connection that breaks does to them, with the client's other calls going on.
    pub fn break_subscriptions(&self, client: &str) -> usize {
        events::break_all(&mut self.shared.lock(), client)
    }

    /// Ends every connection and stops answering until [`start`](Self::start). What is stored stays.
    pub fn stop(&self) {
        self.shared.stopping().cancel();
        let mut state = self.shared.lock();
        let State { locks, subscribers, .. } = &mut *state;
        locks.clear();
        subscribers.clear();
    }

    /// Begins to answer again after [`stop`](Self::stop), with the CRI plugin's cache built anew from the records.
    pub fn start(&self) {
        self.shared.begin_incarnation();
        self.launch();
    }

    /// [`stop`](Self::stop), then [`start`](Self::start).
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    fn launch(&self) {
        if self.shared.options().cri {
            cri::launch(&self.shared, &self.cache);
        }
        if self.shared.options().automatic_collection {
            tokio::spawn(schedule::run(self.shared.clone()));
        }
    }
}
