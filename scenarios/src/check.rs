//! What must be true when nothing goes on any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sim::containerd::{Inventory, SnapshotKind};
use sim::registry::Authorization;

use crate::{HOST, World};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

fn violated<T>(what: impl fmt::Display) -> Result<T, Violation> {
    Err(Violation(what.to_string()))
}

impl World {
    /// Lets everything end, then checks: nothing of a pull outlives it; the index is containerd's records; a listed
    /// image is whole; a collection takes nothing of it.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub async fn check_at_rest(&self) -> Result<(), Violation> {
        self.settle().await;
        self.watch().verdict()?;
        let daemon = self.daemon();
        if let Err(waiting) = daemon.until_ready().await {
            return violated(format!("the daemon is not ready: {waiting}"));
        }
        self.credentials_stayed()?;
        // A daemon that was killed while it ended what an earlier one had left may leave that to containerd's own
        // collector: the leases are gone, the collection was not reached.
        if self.recoveries_cut_off() == 0 {
            nothing_outlives(&self.inventory(), Collected::No)?;
        }
        self.index_is_containerd()?;
        let listed = self.listed().await?;
        for (id, names) in &listed {
            is_whole(&self.inventory(), id, names)?;
        }
        self.containerd().collect();
        if self.listed().await? != listed {
            return violated("a collection took something of a listed image");
        }
        nothing_outlives(&self.inventory(), Collected::Yes)?;
        nothing_is_left_over(&self.inventory())
    }

    /// Nobody but the registry was shown credentials. Every world's realm is on the registry itself.
    fn credentials_stayed(&self) -> Result<(), Violation> {
        let requests = self.registry().requests();
        let shown = requests.iter().find(|r| r.host != HOST && r.authorization != Authorization::Absent);
        match shown {
            Some(request) => violated(format!("credentials were sent to {}", request.host)),
            None => Ok(()),
        }
    }

    /// Checks, for a run without faults whose pulls were all joined: no blob and no manifest was fetched twice.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn check_fetched_once(&self) -> Result<(), Violation> {
        let mut seen = BTreeSet::new();
        for request in self.registry().requests() {
            let is_answered = request.status.is_some_and(|status| !status.is_client_error());
            if request.method == http::Method::GET && is_answered && !seen.insert(request.path.clone()) {
                return violated(format!("{} was fetched twice", request.path));
            }
        }
        Ok(())
    }

    /// Checks, for a run in which nobody else changed a record and no call was cut off: an image has its id record, which
    /// a pull writes first and a removal deletes last. The status of an id does not tell, for any name leads to the image.
    pub(crate) fn check_ids(&self) -> Result<(), Violation> {
        let index = self.daemon().store().index();
        match index.images().find(|image| index.target(image.id().as_str()).is_none()) {
            Some(image) => violated(format!("{} has {:?} and no record of its id", image.id(), image.names)),
            None => Ok(()),
        }
    }

    /// Ids of the images that the daemon lists, with their names.
    async fn listed(&self) -> Result<BTreeMap<String, Vec<String>>, Violation> {
        match self.daemon().store().list().await {
            Ok(images) => {
                Ok(images.iter().map(|image| (image.id().to_string(), image.names.clone())).collect())
            }
            Err(error) => violated(format!("list failed: {error}")),
        }
    }

    fn index_is_containerd(&self) -> Result<(), Violation> {
        let index = self.daemon().store().index();
        let known: BTreeSet<&str> = index.names().collect();
        let inventory = self.inventory();
        let stored: BTreeSet<&str> = inventory.images.keys().map(String::as_str).collect();
        if known != stored {
            return violated(format!("the index has {known:?}, containerd has {stored:?}"));
        }
        for (name, record) in &inventory.images {
            let target = index.target(name).map(ToString::to_string);
            if target.as_deref() != Some(record.target.as_str()) {
                return violated(format!(
                    "{name} is {target:?} in the index and {} in containerd",
                    record.target
                ));
            }
        }
        Ok(())
    }
}

/// Whether the collector ran since all ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Collected {
    Yes,
    No,
}

fn nothing_outlives(inventory: &Inventory, collected: Collected) -> Result<(), Violation> {
    // A daemon that is killed between its two calls that make the collector run leaves a lease that has expired since
    // it was made and holds nothing; the collector takes it.
    let is_expired = |id: &str| collected == Collected::No && id.ends_with("-collect");
    let is_ours = |id: &&String| id.starts_with("cri-imaged-") && !is_expired(id);
    if let Some(lease) = inventory.leases.keys().find(is_ours) {
        return violated(format!("lease {lease} outlives its pull"));
    }
    if let Some(ingest) = inventory.ingests.iter().next() {
        return violated(format!("ingest {ingest} outlives its pull"));
    }
    if let Some((_, key)) = inventory.snapshots.keys().find(|(_, key)| key.starts_with("extract-")) {
        return violated(format!("active snapshot {key} outlives its pull"));
    }
    Ok(())
}

/// Documents, layers or snapshots that no record holds: the collector, which has just run, would have taken them.
fn nothing_is_left_over(inventory: &Inventory) -> Result<(), Violation> {
    if inventory.images.is_empty() && !(inventory.content.is_empty() && inventory.snapshots.is_empty()) {
        return violated(format!(
            "without images there are {:?} and {:?}",
            inventory.content, inventory.snapshots
        ));
    }
    Ok(())
}

fn is_whole(inventory: &Inventory, id: &str, names: &[String]) -> Result<(), Violation> {
    for name in names {
        let Some(record) = inventory.images.get(name) else {
            return violated(format!("listed image {id} has the name {name}, which has no record"));
        };
        if !inventory.content.contains_key(&record.target) {
            return violated(format!("listed image {id} lacks its target {}", record.target));
        }
    }
    let Some(config) = inventory.content.get(id) else {
        return violated(format!("listed image {id} lacks its config"));
    };
    let Some(top) = config.labels.get("containerd.io/gc.ref.snapshot.overlayfs") else {
        return violated(format!("the config of listed image {id} does not hold its snapshots"));
    };
    let mut name = top.clone();
    loop {
        let Some(snapshot) = inventory.snapshots.get(&("overlayfs".to_owned(), name.clone())) else {
            return violated(format!("listed image {id} lacks its snapshot {name}"));
        };
        if snapshot.kind != SnapshotKind::Committed {
            return violated(format!("snapshot {name} of listed image {id} is not committed"));
        }
        match &snapshot.parent {
            Some(parent) => name = parent.clone(),
            None => return Ok(()),
        }
    }
}
