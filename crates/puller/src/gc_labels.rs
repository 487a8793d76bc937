//! Labels that blobs get: what the collector must keep with them, and where they came from.
//!
//! Keys as containerd's own pull writes them (v2.3.4 `core/images/mediatypes.go`,
//! `core/remotes/docker/handler.go`), so that its other clients read ours as theirs.

use std::collections::BTreeMap;

use containerd::labels::{DISTRIBUTION_SOURCE, GC_REF_CONTENT, GC_REF_SNAPSHOT, LABEL_BYTES_MAX};
use oci::{Document, ImageConfig, Manifest, chain_ids};
use refparse::Reference;

use crate::puller::Layers;

pub(crate) type Labels = BTreeMap<String, String>;

/// References from a document to its children. All children of an index get one, also those that are not fetched:
/// one that another pull fetches later is then kept with it. A manifest whose layers are discarded has none to them, as
/// with containerd's own `discard_unpacked_layers`.
pub(crate) fn children(document: &Document, layers: Layers) -> Labels {
    match document {
        Document::Index(index) => {
            let numbered = index.manifests.iter().enumerate();
            numbered.map(|(n, child)| (format!("{GC_REF_CONTENT}.m.{n}"), child.digest.to_string())).collect()
        }
        Document::Manifest(manifest) => of_manifest(manifest, layers),
    }
}

fn of_manifest(manifest: &Manifest, layers: Layers) -> Labels {
    let kept = match layers {
        Layers::Keep => manifest.layers.as_slice(),
        Layers::Discard => &[],
    };
    let numbered = kept.iter().enumerate();
    let mut labels: Labels =
        numbered.map(|(n, layer)| (format!("{GC_REF_CONTENT}.l.{n}"), layer.digest.to_string())).collect();
    labels.insert(format!("{GC_REF_CONTENT}.config"), manifest.config.digest.to_string());
    labels
}

/// The reference from a config to the snapshots that its layers become, by the topmost one: so the collector keeps these from
/// record to config to snapshot.
pub(crate) fn snapshots(config: &ImageConfig, snapshotter: &str) -> Labels {
    let top = chain_ids(&config.diff_ids).pop();
    top.map(|top| (format!("{GC_REF_SNAPSHOT}.{snapshotter}"), top.to_string())).into_iter().collect()
}

/// The label that says which repositories of a registry have the blob: those in `present` and that of `reference`.
/// `None` where nothing is to be written: it is there, or the list would be longer than a label may be.
pub(crate) fn source(reference: &Reference, present: &Labels) -> Option<(String, String)> {
    let key = format!("{DISTRIBUTION_SOURCE}.{}", host_name(reference.registry()));
    let known = present.get(&key).map(String::as_str).unwrap_or_default();
    let mut repositories: Vec<&str> = known.split(',').filter(|r| !r.is_empty()).collect();
    if repositories.contains(&reference.repository()) {
        return None;
    }
    repositories.push(reference.repository());
    repositories.sort_unstable();
    let value = repositories.join(",");
    (key.len() + value.len() <= LABEL_BYTES_MAX).then_some((key, value))
}

/// As [`source`], of a blob that is new.
pub(crate) fn first_source(reference: &Reference) -> Labels {
    source(reference, &Labels::new()).into_iter().collect()
}

/// `localhost:5000` without its port, `[::1]:5000` without port and brackets.
fn host_name(registry: &str) -> &str {
    if let Some(literal) = registry.strip_prefix('[') {
        return literal.split(']').next().unwrap_or(literal);
    }
    registry.split(':').next().unwrap_or(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, present: Option<&str>, expected: Option<(&str, &str)>) {
        let reference = Reference::parse(reference).unwrap();
        let key = format!("{DISTRIBUTION_SOURCE}.{}", host_name(reference.registry()));
        let present: Labels = present.map(|value| (key, value.to_owned())).into_iter().collect();
        let got = source(&reference, &present);
        let expected =
            expected.map(|(host, value)| (format!("{DISTRIBUTION_SOURCE}.{host}"), value.to_owned()));
        assert_eq!(got, expected);
    }

    #[test]
    fn the_source_label_lists_repositories_in_order() {
        check("busybox", None, Some(("docker.io", "library/busybox")));
        check("localhost:5000/b", Some("a,c"), Some(("localhost", "a,b,c")));
        check("[::1]:5000/b", None, Some(("::1", "b")));
        check("localhost:5000/b", Some("a,b"), None);
        let long = vec!["x".repeat(100); 41].join(",");
        check("localhost:5000/b", Some(&long), None);
        let key = format!("{DISTRIBUTION_SOURCE}.localhost");
        let longest = "x".repeat(LABEL_BYTES_MAX - key.len() - ",b".len());
        check("localhost:5000/b", Some(&longest), Some(("localhost", &format!("b,{longest}"))));
        check("localhost:5000/b", Some(&format!("{longest}x")), None);
    }
}
