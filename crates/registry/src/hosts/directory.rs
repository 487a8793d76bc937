//! Where the configuration of a registry lies: the directories searched, and the layout of each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use http::HeaderMap;

use super::capability::Capabilities;
use super::error::ConfigError;
use super::file::{ClientPair, HostEntry, HostsFile};

/// The directories of `registry` below one root, in the order of the search (config_unix.go, containerd 2.3.4): the
/// colon of a port may be written `_port_`, for systems that cannot have it in a file name; `_default` is for all.
fn candidates(root: &Path, registry: &str) -> Vec<PathBuf> {
    let mut names = Vec::with_capacity(3);
    if let Some((host, port)) = registry.rsplit_once(':') {
        names.push(format!("{host}_{port}_"));
    }
    names.push(registry.to_owned());
    names.push("_default".to_owned());
    names.iter().map(|name| root.join(name)).collect()
}

/// The directory that configures `registry`, in the first of `roots` that has one.
pub(crate) fn find(roots: &[PathBuf], registry: &str) -> Result<Option<PathBuf>, ConfigError> {
    for path in roots.iter().flat_map(|root| candidates(root, registry)) {
        match fs::metadata(&path) {
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
    }
    Ok(None)
}

/// Reads one directory: its `hosts.toml` or, where that is missing or empty, Docker's layout of certificate files.
pub(crate) fn load(directory: &Path) -> Result<HostsFile, ConfigError> {
    let path = directory.join("hosts.toml");
    match fs::read_to_string(&path) {
        Ok(text) if text.is_empty() => docker_layout(directory),
        Ok(text) => HostsFile::parse(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => docker_layout(directory),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

/// `*.crt` are CAs; `*.cert` are client certificates with the key in the `.key` of the same name, or in themselves.
fn docker_layout(directory: &Path) -> Result<HostsFile, ConfigError> {
    let mut root = HostEntry {
        server: None,
        capabilities: Capabilities::ALL,
        ca: None,
        client: Vec::new(),
        skip_verify: None,
        header: HeaderMap::new(),
        dial_timeout: None,
    };
    let unreadable = |source| ConfigError::Read { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // A link to a file counts, as certificates are often links; a directory does not.
        if path.is_file() {
            files.push(path);
        }
    }
    // The order of a directory is the file system's; the order of certificates must not be.
    files.sort();
    for path in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => root.ca.get_or_insert_default().push(path),
            Some("cert") => {
                let key = path.with_extension("key");
                let key = key.try_exists().map_err(unreadable)?.then_some(key);
                root.client.push(ClientPair { cert: path, key });
            }
            _ => {}
        }
    }
    Ok(HostsFile { mirrors: Vec::new(), root, unknown: Vec::new() })
}
