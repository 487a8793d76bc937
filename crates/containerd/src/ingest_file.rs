//! The bytes of an unfinished write, from containerd's own directory: its API reads blobs only.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Longest file that names an ingest: namespace, number and name.
const REF_BYTES_MAX: u64 = 4096;

/// Ingests that are looked through; more than that are no node's.
const INGESTS_MAX: usize = 10_000;

/// Opens the bytes of the ingest `ingest_ref` of `namespace` in a content store at `root`, to read and to write. `None`
/// where there is none, or more than one. Blocks.
///
/// containerd (1.6 to 2.3, `content/local`) keeps an ingest as `ingest/<anything>/` with the files `data` and `ref`; its
/// metadata store calls it `<namespace>/<number>/<ingest_ref>` there.
///
/// # Errors
/// Those of reading the directory: it may not be of this machine.
pub fn open_ingest(root: &Path, namespace: &str, ingest_ref: &str) -> io::Result<Option<File>> {
    let mut found = None;
    for entry in std::fs::read_dir(root.join("ingest"))?.take(INGESTS_MAX) {
        let directory = entry?.path();
        // An ingest may end while this looks.
        let Ok(file) = File::open(directory.join("ref")) else { continue };
        let mut name = String::new();
        if file.take(REF_BYTES_MAX).read_to_string(&mut name).is_err()
            || !is_name(&name, namespace, ingest_ref)
        {
            continue;
        }
        if found.replace(directory).is_some() {
            return Ok(None);
        }
    }
    let open = |directory: PathBuf| File::options().read(true).write(true).open(directory.join("data"));
    match found.map(open) {
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.transpose(),
    }
}

fn is_name(name: &str, namespace: &str, ingest_ref: &str) -> bool {
    let rest = name.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/'));
    rest.and_then(|rest| rest.split_once('/')).is_some_and(|(number, name)| {
        name == ingest_ref && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn ingest(root: &Path, directory: &str, name: &str, data: &str) {
        let directory = root.join("ingest").join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("ref"), name).unwrap();
        fs::write(directory.join("data"), data).unwrap();
    }

    fn read(root: &Path) -> Option<String> {
        let mut text = String::new();
        open_ingest(root, "k8s.io", "layer-sha256:1").unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn an_ingest_is_found_by_namespace_and_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(open_ingest(root, "k8s.io", "layer-sha256:1").is_err(), "no store there");
        for (number, name) in [
            "moby/1/layer-sha256:1",
            "k8s.io/1/layer-sha256:11",
            "k8s.io/layer-sha256:1",
            "k8s.io/x/layer-sha256:1",
        ]
        .into_iter()
        .enumerate()
        {
            ingest(root, &format!("other{number}"), name, "other");
        }
        assert_eq!(read(root), None);
        ingest(root, "a", "k8s.io/7/layer-sha256:1", "bytes");
        assert_eq!(read(root).as_deref(), Some("bytes"));
        ingest(root, "b", "k8s.io/8/layer-sha256:1", "which?");
        assert_eq!(read(root), None);
    }
}
