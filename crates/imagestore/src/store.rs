//! The store: what its verbs share.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use containerd::{Client, ImageRecord, SnapshotterPlugin};
use oci::PlatformMatcher;
use tokio::sync::{Notify, watch};

use crate::commit::Writing;
use crate::details::is_of_the_record;
use crate::index::{Entry, Index};
use crate::lease::KnownLeases;
use crate::locks::KeyedLocks;
use crate::lookup::{self, Found};
use crate::resume::Resumables;
use crate::usage::UsageCache;
use crate::{Details, Image, LookupError, Readiness, StoreError};

/// What a store is told at the start.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where containerd is, for what is said while it is away.
    pub address: String,
    /// Name of the snapshotter that images are unpacked into.
    pub snapshotter: String,
    /// Which platform's image an index stands for.
    pub platform: PlatformMatcher,
    /// Distinguishes this process's leases and snapshot keys from those of earlier ones: a random word of
    /// `[a-z0-9]+`.
    pub instance: String,
    /// The id of the machine's boot: what an earlier boot left unfinished is not used.
    pub boot: String,
    /// Wall clock, for the expiry of leases.
    pub now: fn() -> SystemTime,
    /// How long what an interrupted pull has brought stays for the next one; zero: not at all.
    pub resume_within: Duration,
}

/// The images of one containerd namespace. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct ImageStore {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: StoreConfig,
    pub(crate) index: ArcSwap<Index>,
    /// Serializes index writers; never held across an await.
    index_writer: Mutex<()>,
    /// Orders reading a record and entering it, by name.
    refreshing: KeyedLocks,
    /// Orders commit and remove, by image id and by name.
    pub(crate) changing: KeyedLocks,
    /// Names whose records a pull is writing, or a removal deleting.
    pub(crate) writing: Writing,
    pub(crate) known_leases: KnownLeases,
    pub(crate) resumables: Resumables,
    /// Told when something was left to recovery, or to the next look at containerd, while the index stands.
    pub(crate) recovery_wanted: Notify,
    /// Whether recovery has deleted leases, and what only they held is still there.
    pub(crate) collection_due: AtomicBool,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) usage: UsageCache,
    pub(crate) plugin: ArcSwapOption<SnapshotterPlugin>,
}

/// What a record makes whose documents cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    /// An entry without an image.
    HasNoImage,
    Fails,
}

impl ImageStore {
    /// A store over `client`, empty and not ready until [`ImageStore::run`] runs.
    pub fn new(client: Client, config: StoreConfig) -> ImageStore {
        let (readiness, _) = watch::channel(Readiness::Waiting {
            reason: format!("containerd at `{}` was not asked yet", config.address),
        });
        ImageStore {
            shared: Arc::new(Shared {
                client,
                config,
                index: ArcSwap::default(),
                index_writer: Mutex::default(),
                refreshing: KeyedLocks::default(),
                changing: KeyedLocks::default(),
                writing: Writing::default(),
                known_leases: KnownLeases::default(),
                resumables: Resumables::default(),
                recovery_wanted: Notify::new(),
                collection_due: AtomicBool::new(false),
                readiness,
                usage: UsageCache::default(),
                plugin: ArcSwapOption::empty(),
            }),
        }
    }

    /// containerd, without a lease.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// What the store was told at the start.
    pub fn config(&self) -> &StoreConfig {
        &self.shared.config
    }

    /// The snapshotter as containerd described it when the index was last built.
    pub fn snapshotter(&self) -> Option<Arc<SnapshotterPlugin>> {
        self.shared.plugin.load_full()
    }

    /// The index as it is now.
    pub fn index(&self) -> Arc<Index> {
        self.shared.index.load_full()
    }

    /// Follows whether the index stands for containerd.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.shared.readiness.subscribe()
    }

    /// The image that `image` (id, reference, beginning of an id) leads to in the index, ready or not.
    ///
    /// # Errors
    /// [`LookupError`] for an empty or ambiguous name.
    pub fn find(&self, image: &str) -> Result<Option<Arc<Image>>, LookupError> {
        Ok(match lookup::find(&self.index(), image)? {
            Some(Found::Image(image)) => Some(image),
            Some(Found::Unreadable { .. }) | None => None,
        })
    }

    pub(crate) fn check_ready(&self) -> Result<(), StoreError> {
        match &*self.shared.readiness.borrow() {
            Readiness::Ready => Ok(()),
            Readiness::Waiting { reason } => Err(StoreError::NotReady(reason.clone())),
        }
    }

    /// Reads the record called `name` and enters what it now is, unless a pull or a removal is at it, which does that at its end.
    /// The order of two refreshes of one name is the order in which they read, so the index never goes back.
    pub(crate) async fn refresh(&self, name: &str) -> Result<(), StoreError> {
        if self.shared.writing.has(name) {
            return Ok(());
        }
        let _ordered = self.shared.refreshing.lock_one(name).await;
        let entry = self.read(name, &[], Unreadable::HasNoImage).await?;
        // One may have begun while this read.
        if !self.shared.writing.has(name) {
            self.enter(vec![(name, entry)]);
        }
        Ok(())
    }

    /// Names whose records are read, and not entered yet.
    pub(crate) fn refreshing(&self) -> Vec<String> {
        self.shared.refreshing.keys()
    }

    /// Reads the records called `names` and enters what they now are; in the index they change at once. A document that
    /// cannot be read is an error: a pull that has just written it must not succeed with an image that is not shown.
    pub(crate) async fn refresh_all(&self, names: &BTreeSet<String>) -> Result<(), StoreError> {
        let _ordered = self.shared.refreshing.lock(names).await;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let entry = self.read(name, &entries, Unreadable::Fails).await?;
            entries.push((name.as_str(), entry));
        }
        self.enter(entries);
        Ok(())
    }

    /// The entry of `name`, where there is a record; `others` are about to be entered too.
    async fn read(
        &self,
        name: &str,
        others: &[(&str, Option<Entry>)],
        unreadable: Unreadable,
    ) -> Result<Option<Entry>, StoreError> {
        let record = match self.shared.client.images().get(name).await {
            Ok(record) => record,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let others = others.iter().filter_map(|(_, entry)| entry.as_ref());
        let of_other = others.filter(|other| other.target == record.target).find_map(|o| o.details.clone());
        if let Some(known) = of_other.or_else(|| self.index().details_of(&record.target.digest)) {
            return Ok(Some(Entry::new(&record, Some(known))));
        }
        let details = self.details(&record, unreadable).await?;
        Ok(Some(Entry::new(&record, details.map(Arc::new))))
    }

    /// What the documents of `record` say. Where they make no image that is said in the log once, when the record comes in.
    async fn details(
        &self,
        record: &ImageRecord,
        unreadable: Unreadable,
    ) -> Result<Option<Details>, StoreError> {
        let Shared { client, config, .. } = &*self.shared;
        let details = match Details::read(&client.content(), &config.platform, &record.target).await {
            Ok(details) => details,
            Err(error) if unreadable == Unreadable::HasNoImage && is_of_the_record(&error) => {
                tracing::warn!(image = %record.name, error = &error as &dyn std::error::Error, "unreadable image");
                None
            }
            Err(error) => return Err(error),
        };
        if details.is_none() {
            tracing::info!(image = %record.name, target = %record.target.digest,
                "an image record without its documents for this platform: not listed");
        }
        Ok(details)
    }

    fn enter(&self, entries: Vec<(&str, Option<Entry>)>) {
        let _only = self.shared.index_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.index();
        for (name, entry) in entries {
            next = Arc::new(next.with(name, entry));
        }
        self.shared.index.store(next);
    }
}
