//! What a layer holds while it is written, as far as it takes to know that containerd unpacks the next entry.

use std::collections::{BTreeMap, BTreeSet};

/// Links that a path may lead through.
const LINKS_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Have {
    Directory { is_explicit: bool },
    File,
    Symlink(String),
    Whiteout,
}

/// One layer by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) files: BTreeMap<String, Have>,
    /// Files in the place of a directory with an entry: containerd gives them the directory's time.
    pub(crate) replaced: BTreeSet<String>,
}

pub(crate) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

pub(crate) fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

impl Layer {
    /// The path without links that `path` leads to, which may not be there; `None` where something is in the way.
    pub(crate) fn resolve(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut at = String::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at = parent(&at).unwrap_or_default().to_owned();
                    continue;
                }
                _ => {}
            }
            let next = below(&at, &name);
            match self.files.get(&next) {
                None | Some(Have::Directory { .. }) => at = next,
                Some(Have::Symlink(target)) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return None;
                    }
                    if target.starts_with('/') {
                        at = String::new();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(Have::File | Have::Whiteout) => return None,
            }
        }
        Some(at)
    }

    /// All directories above a path without links, the uppermost first.
    pub(crate) fn parents(path: &str) -> Vec<&str> {
        let mut parents: Vec<_> = std::iter::successors(parent(path), |path| parent(path)).collect();
        parents.reverse();
        parents
    }

    pub(crate) fn imply(&mut self, path: &str) {
        for parent in Layer::parents(path) {
            self.files.entry(parent.to_owned()).or_insert(Have::Directory { is_explicit: false });
        }
    }

    /// Removes a file or a tree.
    pub(crate) fn remove(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.files.retain(|known, _| known != path && !known.starts_with(&inside));
        self.replaced.retain(|known| known != path && !known.starts_with(&inside));
    }

    /// Whether a directory below this one has an entry.
    pub(crate) fn has_explicit_below(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.files
            .iter()
            .any(|(known, have)| known.starts_with(&inside) && *have == Have::Directory { is_explicit: true })
    }
}
