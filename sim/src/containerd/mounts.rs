//! The mounts of a snapshot, as the overlay snapshotter describes them.
//!
//! The paths exist when the fake keeps directories; without them they name a machine other than this one, as a
//! remote containerd would.

use containerd_client::types::Mount;

use super::snapshots::Records;
use super::state::{Kind, SnapshotRecord};

/// Upper directory of the snapshot with this id.
pub(crate) fn upper(root: &str, id: u64) -> String {
    format!("{root}/snapshots/{id}/fs")
}

fn work(root: &str, id: u64) -> String {
    format!("{root}/snapshots/{id}/work")
}

/// Nearest parent first.
pub(crate) fn parents<'a>(records: &'a Records, record: &SnapshotRecord) -> Vec<&'a SnapshotRecord> {
    let mut parents = Vec::new();
    let mut next = record.parent.as_ref();
    while let Some(parent) = next.and_then(|parent| records.get(parent)) {
        parents.push(parent);
        next = parent.parent.as_ref();
    }
    parents
}

pub(crate) fn of(root: &str, records: &Records, record: &SnapshotRecord) -> Vec<Mount> {
    let parents = parents(records, record);
    let bind = |source: String, access: &str| {
        let options = vec![access.to_owned(), "rbind".to_owned()];
        vec![Mount { r#type: "bind".to_owned(), source, target: String::new(), options }]
    };
    match (record.kind, parents.as_slice()) {
        (Kind::View, []) => bind(upper(root, record.id), "ro"),
        (_, []) => bind(upper(root, record.id), "rw"),
        (Kind::View, [only]) => bind(upper(root, only.id), "ro"),
        (kind, parents) => {
            let mut options = Vec::new();
            if kind == Kind::Active {
                options.push(format!("workdir={}", work(root, record.id)));
                options.push(format!("upperdir={}", upper(root, record.id)));
            }
            let lower: Vec<String> = parents.iter().map(|parent| upper(root, parent.id)).collect();
            options.push(format!("lowerdir={}", lower.join(":")));
            options.push("index=off".to_owned());
            let overlay = "overlay".to_owned();
            vec![Mount { r#type: overlay.clone(), source: overlay, target: String::new(), options }]
        }
    }
}

/// The id of the snapshot that writes through `mounts` reach, and whether it has lower layers.
pub(crate) fn written(root: &str, mounts: &[Mount]) -> Option<(u64, bool)> {
    let [mount] = mounts else { return None };
    let (path, has_lower) = match mount.r#type.as_str() {
        "bind" => (mount.source.as_str(), false),
        "overlay" => (mount.options.iter().find_map(|option| option.strip_prefix("upperdir="))?, true),
        _ => return None,
    };
    let id = path.strip_prefix(root)?.strip_prefix("/snapshots/")?.strip_suffix("/fs")?;
    Some((id.parse().ok()?, has_lower))
}
