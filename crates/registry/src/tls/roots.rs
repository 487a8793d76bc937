//! The system's root certificates, read at the first need and again when their files have changed.
//!
//! What says that they changed is each file's identity, length and times: a few hundred `stat` calls, half a millisecond
//! on Debian's directory, beside the tens of milliseconds that reading them takes. Asked for at each new https
//! connection; an idle connection that was verified before a change may serve until the pool closes it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use sha2::{Digest as _, Sha256};

/// Where the certificates lie that every https host is verified with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootFiles(Where);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Where {
    #[default]
    System,
    File(PathBuf),
}

impl RootFiles {
    /// Those of the system: `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else where distributions have them.
    pub fn system() -> RootFiles {
        RootFiles(Where::System)
    }

    /// One PEM file and nothing else.
    pub fn file(path: impl Into<PathBuf>) -> RootFiles {
        RootFiles(Where::File(path.into()))
    }

    /// Unreadable files are logged and left out, as a half-broken store still verifies most hosts.
    fn load(&self) -> RootCertStore {
        let loaded = match &self.0 {
            Where::System => rustls_native_certs::load_native_certs(),
            Where::File(path) => rustls_native_certs::load_certs_from_paths(Some(path), None),
        };
        for error in &loaded.errors {
            tracing::warn!(%error, "system root certificates: file left out");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
        tracing::debug!(added, ignored, "system root certificates loaded");
        roots
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        match &self.0 {
            Where::File(path) => add_file(&mut hash, path),
            // Of the files that are looked at, some may not be read: a change of such a one costs a reading in vain.
            Where::System => {
                let probed = openssl_probe::probe();
                probed.cert_file.iter().for_each(|path| add_file(&mut hash, path));
                probed.cert_dir.iter().for_each(|path| add_directory(&mut hash, path));
            }
        }
        hash.finalize().into()
    }
}

type Fingerprint = [u8; 32];

fn add_directory(hash: &mut Sha256, path: &Path) {
    add_file(hash, path);
    // What cannot be listed is as what is empty, here as in the reading.
    let mut entries: Vec<_> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.iter().for_each(|path| add_file(hash, path));
}

/// What a link leads to counts, for that is what is read.
fn add_file(hash: &mut Sha256, path: &Path) {
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update([0]);
    let Ok(metadata) = fs::metadata(path) else { return };
    let parts = [
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
        metadata.ctime().cast_unsigned(),
        metadata.ctime_nsec().cast_unsigned(),
    ];
    parts.iter().for_each(|part| hash.update(part.to_be_bytes()));
}

/// The roots as last read; clones share them.
#[derive(Clone, Default)]
pub(crate) struct SystemRoots {
    files: RootFiles,
    read: Arc<Mutex<Option<Read>>>,
}

/// The files as they were, and what was in them.
struct Read {
    fingerprint: Fingerprint,
    roots: Arc<RootCertStore>,
}

impl SystemRoots {
    pub(crate) fn new(files: RootFiles) -> SystemRoots {
        SystemRoots { files, read: Arc::default() }
    }

    /// The roots as the files have them now: the same value for as long as the files are the same.
    pub(crate) fn current(&self) -> Arc<RootCertStore> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the reading: what changes in its midst then shows at the next look.
        let fingerprint = self.files.fingerprint();
        if let Some(known) = read.as_ref()
            && known.fingerprint == fingerprint
        {
            return Arc::clone(&known.roots);
        }
        if read.is_some() {
            tracing::info!("system root certificates changed, reading them again");
        }
        let roots = Arc::new(self.files.load());
        *read = Some(Read { fingerprint, roots: Arc::clone(&roots) });
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn roots_are_read_again_when_their_file_has_changed_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let roots = SystemRoots::new(RootFiles::file(&path));
        assert_eq!(roots.current().len(), 0);
        fs::write(&path, certificate()).unwrap();
        let first = roots.current();
        assert_eq!(first.len(), 1);
        assert!(Arc::ptr_eq(&first, &roots.current()));
        assert!(Arc::ptr_eq(&first, &roots.clone().current()), "clones share what was read");
        // As `update-ca-certificates` does: another file takes its place.
        let next = folder.path().join("next.pem");
        fs::write(&next, certificate() + &certificate()).unwrap();
        fs::rename(&next, &path).unwrap();
        assert_eq!(roots.current().len(), 2);
        fs::remove_file(&path).unwrap();
        assert_eq!(roots.current().len(), 0);
    }

    #[test]
    fn a_directory_changes_with_each_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = || {
            let mut hash = Sha256::new();
            add_directory(&mut hash, folder.path());
            Fingerprint::from(hash.finalize())
        };
        let (elsewhere, link) = (tempfile::NamedTempFile::new().unwrap(), folder.path().join("a.pem"));
        let empty = fingerprint();
        assert_eq!(empty, fingerprint());
        std::os::unix::fs::symlink(elsewhere.path(), link).unwrap();
        let linked = fingerprint();
        assert_ne!(empty, linked);
        fs::write(elsewhere.path(), "longer").unwrap();
        assert_ne!(linked, fingerprint());
    }
}
