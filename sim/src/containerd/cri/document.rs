//! Reads an image's documents from the content store, as the plugin does for its cache.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use tonic::Status;

use super::super::failure;
use super::super::shared::Shared;
use super::super::state::Target;
use super::NAMESPACE;
use crate::digest::sha256;

/// What the cache keeps of an image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) references: BTreeSet<String>,
    pub(crate) pinned_by: BTreeSet<String>,
    pub(crate) chain_id: String,
    pub(crate) size: u64,
    pub(crate) user: String,
    pub(crate) spec: Value,
}

struct Descriptor {
    digest: String,
    size: u64,
}

/// # Errors
/// Not found when a document is missing or no manifest is for this platform; the plugin then tries again later.
pub(crate) fn read(shared: &Shared, target: &Target) -> Result<Image, Status> {
    let mut size = u64::try_from(target.size).unwrap_or(0);
    let mut manifest = document(shared, &target.digest)?;
    while let Some(children) = manifest.get("manifests").and_then(Value::as_array) {
        let child = children
            .iter()
            .find(|child| is_for_platform(shared, child))
            .and_then(descriptor)
            .ok_or_else(|| failure::not_found("no match for platform in manifest"))?;
        size += child.size;
        manifest = document(shared, &child.digest)?;
    }
    let config = manifest
        .get("config")
        .and_then(descriptor)
        .ok_or_else(|| failure::not_found(format!("config of {}", target.digest)))?;
    size += config.size;
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    size += layers.iter().filter_map(descriptor).map(|layer| layer.size).sum::<u64>();
    let spec = document(shared, &config.digest)?;
    let diff_ids = spec.pointer("/rootfs/diff_ids").and_then(Value::as_array).cloned().unwrap_or_default();
    let user = spec.pointer("/config/User").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Image {
        id: config.digest,
        references: BTreeSet::new(),
        pinned_by: BTreeSet::new(),
        chain_id: chain_id(diff_ids.iter().filter_map(Value::as_str)),
        size,
        user,
        spec,
    })
}

fn document(shared: &Shared, digest: &str) -> Result<Value, Status> {
    let bytes: Bytes = shared
        .lock()
        .blob(NAMESPACE, digest)
        .ok_or_else(|| failure::not_found(format!("content digest {digest}")))?;
    serde_json::from_slice(&bytes).map_err(|error| Status::unknown(format!("unmarshal {digest}: {error}")))
}

fn descriptor(value: &Value) -> Option<Descriptor> {
    Some(Descriptor {
        digest: value.get("digest")?.as_str()?.to_owned(),
        size: value.get("size").and_then(Value::as_u64).unwrap_or(0),
    })
}

/// A child without a platform counts when its config says the right one, or it is an index itself
/// (v2.3.4 `core/images/image.go`, `Manifest`).
fn is_for_platform(shared: &Shared, child: &Value) -> bool {
    let wanted = &shared.options().platform;
    let matches = |value: &Value| {
        value.get("os").and_then(Value::as_str) == Some(&wanted.os)
            && value.get("architecture").and_then(Value::as_str) == Some(&wanted.architecture)
    };
    if let Some(platform) = child.get("platform") {
        return matches(platform);
    }
    let counts = || {
        let below = document(shared, &descriptor(child)?.digest).ok()?;
        if below.get("manifests").is_some() {
            return Some(true);
        }
        Some(matches(&document(shared, &descriptor(below.get("config")?)?.digest).ok()?))
    };
    counts().unwrap_or(false)
}

/// The identity of a stack of layers (OCI image-spec v1.1, config.md, "Layer ChainID").
fn chain_id<'a>(diff_ids: impl Iterator<Item = &'a str>) -> String {
    diff_ids.fold(String::new(), |below, diff_id| {
        if below.is_empty() { diff_id.to_owned() } else { sha256(format!("{below} {diff_id}").as_bytes()) }
    })
}
