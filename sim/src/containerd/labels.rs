//! Labels: their size limit, and updates of them through a field mask.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::failure;

/// Labels in the order in which containerd's database keeps them.
pub(crate) type Labels = BTreeMap<String, String>;

/// Key and value of one label together (pkg/labels, v2.3.4).
const LABEL_BYTES_MAX: usize = 4096;

/// Takes the labels of a message. Empty values are not stored by containerd: setting one deletes the label.
pub(crate) fn stored(labels: HashMap<String, String>) -> Labels {
    labels.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(crate) fn message(labels: &Labels) -> HashMap<String, String> {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(crate) fn validate(labels: &Labels) -> Result<(), Status> {
    for (key, value) in labels {
        let length = key.len() + value.len();
        if length > LABEL_BYTES_MAX {
            let shown: String = key.chars().take(64).collect();
            return Err(failure::invalid_argument(format!(
                "label key and value length ({length} bytes) greater than maximum size ({LABEL_BYTES_MAX} bytes), \
                 key: {shown}"
            )));
        }
    }
    Ok(())
}

/// Applies one path of a mask to `current`; `false` when the path names no labels.
pub(crate) fn update(path: &str, current: &mut Labels, incoming: &Labels) -> bool {
    if path == "labels" {
        current.clone_from(incoming);
        return true;
    }
    let Some(key) = path.strip_prefix("labels.") else { return false };
    match incoming.get(key) {
        Some(value) => current.insert(key.to_owned(), value.clone()),
        None => current.remove(key),
    };
    true
}
