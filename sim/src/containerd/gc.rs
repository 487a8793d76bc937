//! The garbage collector.
//!
//! Marks from the roots (unexpired leases and what they hold, image records, `gc.root` labels, containerd's own
//! expiry of unleased ingests) along `gc.ref.*`, `gc.bref.*` and snapshot parents, then removes the rest in one
//! critical section, as containerd holds its write lock (core/metadata/gc.go, v2.3.4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use containerd_client::events::SnapshotRemove;
use containerd_client::services::v1::ImageDelete;

use super::directory;
use super::events::publish;
use super::labels::Labels;
use super::shared::Shared;
use super::state::{Namespace, State};
use crate::clock::parse_rfc3339;

const ROOT_LABEL: &str = "containerd.io/gc.root";
const EXPIRE_LABEL: &str = "containerd.io/gc.expire";
const FLAT_LABEL: &str = "containerd.io/gc.flat";

/// Something that can be collected, or that keeps others, within one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Content(String),
    Snapshot(String, String),
    Image(String),
    Lease(String),
    Ingest(String),
    /// Held by a flat lease: kept, but what it refers to is not.
    FlatContent(String),
    FlatSnapshot(String, String),
    FlatImage(String),
}

/// Runs a collection now.
pub(crate) fn collect(shared: &Shared) {
    let now = shared.now();
    let collects_images = shared.options().version.collects_expired_images();
    {
        let mut guard = shared.lock();
        let state = &mut *guard;
        let names: Vec<String> = state.namespaces.keys().cloned().collect();
        for name in names {
            let marked = mark(&state.namespaces[&name], now, collects_images);
            sweep(state, now, &name, &marked, collects_images);
        }
        free_backend(state);
        state.mutations = 0;
        state.deletions = 0;
    }
    directory::sweep(shared);
}

fn mark(namespace: &Namespace, now: SystemTime, collects_images: bool) -> BTreeSet<Node> {
    let mut back_references: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
    let mut pending = roots(namespace, now, collects_images, &mut back_references);
    let mut marked = BTreeSet::new();
    while let Some(node) = pending.pop() {
        if !marked.insert(node.clone()) {
            continue;
        }
        pending.extend(back_references.get(&node).into_iter().flatten().cloned());
        references(namespace, &node, &mut pending);
    }
    marked
}

fn roots(
    namespace: &Namespace,
    now: SystemTime,
    collects_images: bool,
    back_references: &mut BTreeMap<Node, Vec<Node>>,
) -> Vec<Node> {
    let mut roots = Vec::new();
    for (id, lease) in &namespace.leases {
        if is_expired(&lease.labels, now) {
            continue;
        }
        let flat = lease.labels.contains_key(FLAT_LABEL);
        roots.push(Node::Lease(id.clone()));
        roots.extend(lease.ingests.iter().cloned().map(Node::Ingest));
        roots.extend(lease.content.iter().cloned().map(if flat { Node::FlatContent } else { Node::Content }));
        roots.extend(lease.images.iter().cloned().map(if flat { Node::FlatImage } else { Node::Image }));
        let snapshot = if flat { Node::FlatSnapshot } else { Node::Snapshot };
        roots.extend(
            lease.snapshots.iter().map(|(snapshotter, key)| snapshot(snapshotter.clone(), key.clone())),
        );
    }
    let mut refer_back = |labels: &Labels, node: Node| {
        for parent in labels.iter().filter_map(|(key, value)| back_reference(key, value)) {
            back_references.entry(parent).or_default().push(node.clone());
        }
    };
    for (name, image) in &namespace.images {
        if collects_images && is_expired(&image.labels, now) {
            refer_back(&image.labels, Node::Image(name.clone()));
        } else {
            roots.push(Node::Image(name.clone()));
        }
    }
    for (reference, ingest) in &namespace.ingests {
        if ingest.expires_at.is_some_and(|expires_at| now <= expires_at) {
            roots.push(Node::Ingest(reference.clone()));
        }
    }
    for (digest, content) in &namespace.content {
        let node = Node::Content(digest.clone());
        if is_root(&content.labels) {
            roots.push(node.clone());
        }
        refer_back(&content.labels, node);
    }
    for (snapshotter, records) in &namespace.snapshots {
        for (key, record) in records {
            let node = Node::Snapshot(snapshotter.clone(), key.clone());
            if is_root(&record.labels) {
                roots.push(node.clone());
            }
            refer_back(&record.labels, node);
        }
    }
    roots
}

fn references(namespace: &Namespace, node: &Node, found: &mut Vec<Node>) {
    match node {
        Node::Content(digest) => {
            if let Some(content) = namespace.content.get(digest) {
                found.extend(label_references(&content.labels));
            }
        }
        Node::Snapshot(snapshotter, key) | Node::FlatSnapshot(snapshotter, key) => {
            let flat = matches!(node, Node::FlatSnapshot(..));
            let Some(record) = namespace.snapshots.get(snapshotter).and_then(|records| records.get(key))
            else {
                return;
            };
            if let Some(parent) = &record.parent {
                let parent = (snapshotter.clone(), parent.clone());
                found.push(if flat {
                    Node::FlatSnapshot(parent.0, parent.1)
                } else {
                    Node::Snapshot(parent.0, parent.1)
                });
            }
            if !flat {
                found.extend(label_references(&record.labels));
            }
        }
        Node::Image(name) | Node::FlatImage(name) => {
            let flat = matches!(node, Node::FlatImage(_));
            let Some(image) = namespace.images.get(name) else { return };
            let digest = image.target.digest.clone();
            found.push(if flat { Node::FlatContent(digest) } else { Node::Content(digest) });
            if !flat {
                found.extend(label_references(&image.labels));
            }
        }
        Node::Ingest(reference) => {
            let shared = namespace.ingests.get(reference).and_then(|ingest| ingest.shared_digest.clone());
            found.extend(shared.map(Node::Content));
        }
        Node::Lease(_) | Node::FlatContent(_) => {}
    }
}

/// `gc.ref.content[./name]`, `gc.ref.image[./name]` and `gc.ref.snapshot.<snapshotter>[/name]`.
fn label_references(labels: &Labels) -> impl Iterator<Item = Node> + '_ {
    labels.iter().filter_map(|(key, value)| reference(key.strip_prefix("containerd.io/gc.ref.")?, value))
}

fn back_reference(key: &str, value: &str) -> Option<Node> {
    reference(key.strip_prefix("containerd.io/gc.bref.")?, value)
}

fn reference(kind: &str, value: &str) -> Option<Node> {
    if let Some(snapshotter) = kind.strip_prefix("snapshot.") {
        let snapshotter = snapshotter.split_once('/').map_or(snapshotter, |(snapshotter, _)| snapshotter);
        return Some(Node::Snapshot(snapshotter.to_owned(), value.to_owned()));
    }
    let named = |prefix: &str| {
        kind.strip_prefix(prefix).is_some_and(|name| name.is_empty() || name.starts_with(['.', '/']))
    };
    if named("content") {
        Some(Node::Content(value.to_owned()))
    } else if named("image") {
        Some(Node::Image(value.to_owned()))
    } else {
        None
    }
}

fn is_root(labels: &Labels) -> bool {
    labels.keys().any(|key| key.starts_with(ROOT_LABEL))
}

/// An expiry that does not parse is ignored.
fn is_expired(labels: &Labels, now: SystemTime) -> bool {
    labels.get(EXPIRE_LABEL).and_then(|text| parse_rfc3339(text)).is_some_and(|expires_at| now > expires_at)
}

fn sweep(state: &mut State, now: SystemTime, name: &str, marked: &BTreeSet<Node>, collects_images: bool) {
    let Some(namespace) = state.namespaces.get_mut(name) else { return };
    namespace.leases.retain(|id, _| marked.contains(&Node::Lease(id.clone())));
    namespace.ingests.retain(|reference, _| marked.contains(&Node::Ingest(reference.clone())));
    namespace.content.retain(|digest, _| {
        marked.contains(&Node::Content(digest.clone())) || marked.contains(&Node::FlatContent(digest.clone()))
    });
    let mut removed_snapshots = Vec::new();
    for (snapshotter, records) in &mut namespace.snapshots {
        records.retain(|key, record| {
            let (snapshotter, key) = (snapshotter.clone(), key.clone());
            let kept = marked.contains(&Node::Snapshot(snapshotter.clone(), key.clone()))
                || marked.contains(&Node::FlatSnapshot(snapshotter.clone(), key.clone()));
            if !kept {
                removed_snapshots.push((record.id, SnapshotRemove { key, snapshotter }));
            }
            kept
        });
    }
    let mut removed_images = Vec::new();
    if collects_images {
        namespace.images.retain(|name, _| {
            let kept = marked.contains(&Node::Image(name.clone()))
                || marked.contains(&Node::FlatImage(name.clone()));
            if !kept {
                removed_images.push(name.clone());
            }
            kept
        });
    }
    for (id, event) in removed_snapshots {
        state.abandoned_directories.insert(id);
        publish(state, now, name, "/snapshot/remove", &event);
    }
    for image in removed_images {
        publish(state, now, name, "/images/delete", &ImageDelete { name: image });
    }
}

/// Frees blobs and ingests that no namespace names.
fn free_backend(state: &mut State) {
    let mut digests = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for namespace in state.namespaces.values() {
        digests.extend(namespace.content.keys().cloned());
        for ingest in namespace.ingests.values() {
            digests.extend(ingest.shared_digest.clone());
            keys.insert(ingest.backend_key.clone());
        }
    }
    state.blobs.retain(|digest, _| digests.contains(digest));
    state.ingests.retain(|key, _| keys.contains(key));
}
