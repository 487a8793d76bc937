//! The image half of containerd's CRI plugin, as far as a client beside it can see.
//!
//! A cache of images by id that follows `/images/*` events of the namespace `k8s.io` one at a time, looks at the
//! *current* record for each, and labels records that another client made. Behaviour of
//! internal/cri/server/images and internal/cri/store/image, v2.3.4. Nothing else fills the cache, so a record is
//! visible over CRI a moment after it was written, never at once.

mod cache;
mod document;
mod reference;
mod service;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::context::Context;
use super::events::subscribe;
use super::filter::Filters;
use super::images;
use super::point::Point;
use super::shared::Shared;
use super::state::{ImageRecord, Target};

pub(crate) use cache::Cache;
pub(crate) use service::CriService;

/// The plugin's namespace.
pub(crate) const NAMESPACE: &str = "k8s.io";

const MANAGED_LABEL: (&str, &str) = ("io.cri-containerd.image", "managed");
const PINNED_LABEL: (&str, &str) = ("io.cri-containerd.pinned", "pinned");

/// A name whose update failed is tried again after this, doubling to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Builds the cache from the records, then follows events until containerd stops.
pub(crate) fn launch(shared: &Shared, cache: &Cache) {
    cache.clear();
    let filters = Filters::parse(&["topic~=\"/images/\"".to_owned()]).expect("the filter is well formed");
    let (events, names) = {
        let mut state = shared.lock();
        let names: Vec<String> = state
            .namespaces
            .get(NAMESPACE)
            .map(|namespace| namespace.images.keys().cloned().collect())
            .unwrap_or_default();
        (subscribe(&mut state, "", CancellationToken::new(), filters), names)
    };
    for name in names {
        // An image that cannot be read at start-up is logged by containerd and left out until its next event.
        let _left_out = update_image(shared, cache, &name);
    }
    tokio::spawn(follow(shared.clone(), cache.clone(), events));
}

struct Backoff {
    until: Instant,
    delay: Duration,
}

async fn follow(
    shared: Shared,
    cache: Cache,
    mut events: tokio::sync::mpsc::UnboundedReceiver<containerd_client::types::Envelope>,
) {
    let stopping = shared.stopping();
    let mut waiting: BTreeMap<String, Backoff> = BTreeMap::new();
    loop {
        let next = waiting.values().map(|backoff| backoff.until).min();
        let retry = async {
            match next {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let name = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            event = events.recv() => match event {
                Some(event) if event.namespace == NAMESPACE => image_name(&event),
                Some(_) => None,
                None => return,
            },
            () = retry => waiting
                .iter()
                .find(|(_, backoff)| Some(backoff.until) == next)
                .map(|(name, _)| name.clone()),
        };
        let Some(name) = name else { continue };
        let is_waiting = waiting.get(&name).is_some_and(|backoff| backoff.until > Instant::now());
        if is_waiting {
            // Its events queue behind the failed one; what they say is read from the record then.
            continue;
        }
        shared.pause(Point::BeforeCacheUpdate).await;
        let previous = waiting.remove(&name);
        if update_image(&shared, &cache, &name).is_err() {
            let delay = previous.map_or(BACKOFF_MIN, |backoff| (backoff.delay * 2).min(BACKOFF_MAX));
            waiting.insert(name, Backoff { until: Instant::now() + delay, delay });
        }
    }
}

fn image_name(event: &containerd_client::types::Envelope) -> Option<String> {
    use prost::Message as _;
    // The three image events have the name in the same field.
    let event = event.event.as_ref()?;
    containerd_client::services::v1::ImageDelete::decode(event.value.as_slice()).ok().map(|event| event.name)
}

/// Makes the cache agree with the record of this name, labelling the record first if another client wrote it.
fn update_image(shared: &Shared, cache: &Cache, name: &str) -> Result<(), Status> {
    if let Some(record) = record(shared, name) {
        let wanted = wanted_labels(shared, name);
        let differs = wanted
            .iter()
            .filter(|(key, _)| *key == MANAGED_LABEL.0 || shared.options().version.relabels_unpinned())
            .any(|(key, value)| record.labels.get(*key).map(String::as_str) != Some(value));
        if differs {
            let id = document::read(shared, &record.target)?.id;
            create_or_update(shared, &id, &record.target, &wanted)?;
            refresh(shared, cache, &id)?;
            create_or_update(shared, name, &record.target, &wanted)?;
        }
    }
    refresh(shared, cache, name)
}

/// Puts the current state of one record into the cache.
fn refresh(shared: &Shared, cache: &Cache, name: &str) -> Result<(), Status> {
    match record(shared, name) {
        None => cache.remove(name),
        Some(record) => {
            let image = document::read(shared, &record.target)?;
            let pinned = record.labels.get(PINNED_LABEL.0).is_some_and(|value| value == PINNED_LABEL.1);
            cache.insert(name, image, pinned);
        }
    }
    Ok(())
}

fn record(shared: &Shared, name: &str) -> Option<ImageRecord> {
    shared.lock().namespaces.get(NAMESPACE)?.images.get(name).cloned()
}

fn wanted_labels(shared: &Shared, name: &str) -> Vec<(&'static str, &'static str)> {
    let pinned = shared.options().pinned_images.iter().any(|pinned| pinned == name);
    [MANAGED_LABEL].into_iter().chain(pinned.then_some(PINNED_LABEL)).collect()
}

fn create_or_update(
    shared: &Shared,
    name: &str,
    target: &Target,
    wanted: &[(&'static str, &'static str)],
) -> Result<(), Status> {
    let context = Context { namespace: NAMESPACE.to_owned(), lease: None };
    let now = shared.now();
    let new = ImageRecord {
        labels: wanted.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        target: target.clone(),
        created_at: now,
        updated_at: now,
    };
    {
        let mut state = shared.lock();
        match images::create(&mut state, &context, name, new.clone()) {
            Ok(event) => {
                images::announce(&mut state, now, &context, &event);
                return Ok(());
            }
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            Err(status) => return Err(status),
        }
    }
    let old = record(shared, name).ok_or_else(|| super::failure::not_found(format!("image \"{name}\"")))?;
    let missing =
        wanted.iter().filter(|(key, value)| old.labels.get(*key).map(String::as_str) != Some(value));
    let mut paths = vec!["target".to_owned()];
    paths.extend(missing.map(|(key, _)| format!("labels.{key}")));
    if old.target.digest == target.digest && paths.len() < 2 {
        return Ok(());
    }
    let mut state = shared.lock();
    let (_, event) = images::update(&mut state, &context, name, new, &paths)?;
    images::announce(&mut state, now, &context, &event);
    Ok(())
}
