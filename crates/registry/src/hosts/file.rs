//! One `hosts.toml`: text in, entries in file order out. Pure; certificate files are only named here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use toml::de::{DeArray, DeTable};

use super::capability::Capabilities;
use super::directory;
use super::error::{ConfigError, HostsProblem};
use super::go_duration;
use super::value::{Located, Table, string, strings};
use crate::url::RedactedUrl;

/// A parsed `hosts.toml`.
///
/// ```
/// use std::path::Path;
/// use registry::HostsFile;
///
/// let text = r#"
/// server = "https://registry.example"
/// [host."https://mirror.example"]
/// capabilities = ["pull"]
/// "#;
/// let file = HostsFile::parse(Path::new("/etc/containerd/certs.d/registry.example/hosts.toml"), text)?;
/// assert_eq!(file.mirrors.len(), 1);
/// assert!(!file.mirrors[0].capabilities.resolve);
/// # Ok::<(), registry::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostsFile {
    /// The `[host."..."]` tables, in the order of the file, which is the order of the attempts.
    pub mirrors: Vec<HostEntry>,
    /// The fields outside any table: they describe `server`, which is tried last.
    pub root: HostEntry,
    /// Keys that mean nothing: those of a later containerd, and typing errors.
    pub unknown: Vec<UnknownKey>,
}

/// A key that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The line, from 1.
    pub line: usize,
    /// The key.
    pub key: String,
}

/// The keys of every entry, and those that only the file as a whole has.
const ENTRY_KEYS: [&str; 7] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];
const ROOT_KEYS: [&str; 2] = ["server", "host"];

/// What the file says about one host.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// The endpoint; `None` only in [`HostsFile::root`] of a file without `server`.
    pub server: Option<Server>,
    /// What the host may be asked for.
    pub capabilities: Capabilities,
    /// Files with certificates to trust beside the system's. An empty list is not the same as none: it makes an `http`
    /// host try https first.
    pub ca: Option<Vec<PathBuf>>,
    /// Client certificates.
    pub client: Vec<ClientPair>,
    /// Do not verify the host's certificate. Unset is not the same as false: a set value makes an `http` host try
    /// https first.
    pub skip_verify: Option<bool>,
    /// Headers to send to this host; values are marked sensitive and do not print.
    pub header: HeaderMap,
    /// Limit for connecting.
    pub dial_timeout: Option<Duration>,
}

/// The endpoint of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `https` or `http`.
    pub https: bool,
    /// `host` or `host:port`.
    pub authority: String,
    /// What precedes `/<repository>/...` in a request: `/v2`, or with `override_path` whatever the URL says.
    pub path: String,
}

/// A client certificate as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPair {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key; `None` where the first file holds it too.
    pub key: Option<PathBuf>,
}

impl HostsFile {
    /// Reads a directory of `certs.d`: its `hosts.toml` or, where that is missing or empty, Docker's layout.
    ///
    /// # Errors
    /// [`ConfigError`]. Certificates are not looked at.
    pub fn read(directory: &Path) -> Result<HostsFile, ConfigError> {
        directory::load(directory)
    }

    /// Parses the text of the file `path`; relative file names in it are relative to its directory.
    ///
    /// Keys that containerd does not know are ignored, as containerd does: the file is shared with it.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the line.
    pub fn parse(path: &Path, text: &str) -> Result<HostsFile, ConfigError> {
        let invalid = |(offset, problem): Located| ConfigError::Invalid {
            path: path.to_owned(),
            line: line_of(text, offset),
            problem,
        };
        let parsed = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            invalid((offset, HostsProblem::Syntax(error.message().to_owned())))
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut file = read_file(Table(parsed.get_ref()), directory).map_err(invalid)?;
        let unknown = unknown_keys(Table(parsed.get_ref()));
        file.unknown = unknown
            .map(|(key, offset)| UnknownKey { line: line_of(text, offset), key: key.to_owned() })
            .collect();
        Ok(file)
    }
}

fn read_file(root: Table<'_>, directory: &Path) -> Result<HostsFile, Located> {
    let mut mirrors = Vec::new();
    // Spelled otherwise, containerd finds no hosts in it.
    if let Some(hosts) = root.get_exact("host").map(|_| root.table("host")).transpose()?.flatten() {
        for (url, value) in hosts.0 {
            let table = value.get_ref().as_table().map(Table).ok_or_else(|| {
                let wanted = "a table `[host.\"https://...\"]`";
                (value.span().start, HostsProblem::Type { key: "host".to_owned(), wanted })
            })?;
            let mut entry = read_entry(table, directory)?;
            entry.server = Some(read_server("host", url.get_ref(), url.span().start, table)?);
            mirrors.push(entry);
        }
    }
    let mut entry = read_entry(root, directory)?;
    if let Some((server, offset)) = root.string("server")?.filter(|(server, _)| !server.is_empty()) {
        entry.server = Some(read_server("server", server, offset, root)?);
    }
    Ok(HostsFile { mirrors, root: entry, unknown: Vec::new() })
}

fn unknown_keys<'a>(root: Table<'a>) -> impl Iterator<Item = (&'a str, usize)> {
    let hosts = root.get_exact("host").and_then(|hosts| hosts.get_ref().as_table());
    let entries = hosts.into_iter().flat_map(|hosts| hosts.iter());
    let tables = entries.filter_map(|(_, entry)| entry.get_ref().as_table().map(Table));
    let of_root = root.others(&[ENTRY_KEYS.as_slice(), ROOT_KEYS.as_slice()].concat()).collect::<Vec<_>>();
    of_root.into_iter().chain(tables.flat_map(|table| table.others(&ENTRY_KEYS).collect::<Vec<_>>()))
}

fn read_entry(table: Table<'_>, directory: &Path) -> Result<HostEntry, Located> {
    Ok(HostEntry {
        server: None,
        capabilities: read_capabilities(table)?,
        ca: read_ca(table, directory)?,
        client: read_clients(table, directory)?,
        skip_verify: table.bool("skip_verify")?,
        header: read_header(table)?,
        dial_timeout: read_dial_timeout(table)?,
    })
}

fn read_ca(table: Table<'_>, directory: &Path) -> Result<Option<Vec<PathBuf>>, Located> {
    let Some(value) = table.get("ca") else { return Ok(None) };
    let files = strings("ca", value)?;
    Ok(Some(files.into_iter().map(|(file, _)| directory.join(file)).collect()))
}

/// A text without scheme means https, as in containerd.
fn read_server(key: &'static str, text: &str, offset: usize, table: Table<'_>) -> Result<Server, Located> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = RedactedUrl::parse(&url).map_err(|source| (offset, HostsProblem::Url { key, source }))?;
    let override_path = table.bool("override_path")?.unwrap_or(false);
    let path = clean(url.uri().path());
    let path = if override_path || path.ends_with("/v2") { path } else { format!("{path}/v2") };
    let authority = url.uri().authority().map(|authority| authority.to_string()).unwrap_or_default();
    Ok(Server { https: url.is_https(), authority, path })
}

/// The path as Go's `path.Clean` has it, without the slash that stands for the root.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    segments.iter().flat_map(|segment| ["/", segment]).collect()
}

fn read_capabilities(table: Table<'_>) -> Result<Capabilities, Located> {
    let Some(list) = table.array("capabilities")?.filter(|list| !list.is_empty()) else {
        return Ok(Capabilities::ALL);
    };
    let mut capabilities = Capabilities { pull: false, resolve: false };
    for value in list.iter() {
        let name = string("capabilities", value)?;
        match name.to_ascii_lowercase().as_str() {
            "pull" => capabilities.pull = true,
            "resolve" => capabilities.resolve = true,
            "push" | "referrers" => {}
            _ => return Err((value.span().start, HostsProblem::Capability(name.to_owned()))),
        }
    }
    Ok(capabilities)
}

/// A file, a list of files, or a list with pairs in it.
fn read_clients(table: Table<'_>, directory: &Path) -> Result<Vec<ClientPair>, Located> {
    let Some(value) = table.get("client") else { return Ok(Vec::new()) };
    let single = |file: &str| ClientPair { cert: directory.join(file), key: None };
    let Some(list) = value.get_ref().as_array() else {
        return Ok(vec![single(string("client", value)?)]);
    };
    let mut pairs = Vec::new();
    for item in list.iter() {
        pairs.push(match item.get_ref().as_array() {
            None => single(string("client", item)?),
            Some(pair) => read_pair(pair, item.span().start, directory)?,
        });
    }
    Ok(pairs)
}

fn read_pair(pair: &DeArray<'_>, offset: usize, directory: &Path) -> Result<ClientPair, Located> {
    let mut files = pair.iter();
    let (Some(cert), Some(key), None) = (files.next(), files.next(), files.next()) else {
        return Err((offset, HostsProblem::ClientPair));
    };
    let (cert, key) = (string("client", cert)?, string("client", key)?);
    // Where containerd takes the empty name for its directory, and fails, the certificate's file is asked for the key.
    let key = (!key.is_empty()).then(|| directory.join(key));
    Ok(ClientPair { cert: directory.join(cert), key })
}

fn read_header(table: Table<'_>) -> Result<HeaderMap, Located> {
    let mut header = HeaderMap::new();
    let Some(fields) = table.table("header")? else { return Ok(header) };
    for (name, value) in fields.0 {
        let bad = |offset: usize| (offset, HostsProblem::Header(name.get_ref().to_string()));
        let field = HeaderName::from_bytes(name.get_ref().as_bytes()).map_err(|_| bad(name.span().start))?;
        for (text, offset) in strings(name.get_ref(), value)? {
            let mut text = HeaderValue::from_str(text).map_err(|_| bad(offset))?;
            text.set_sensitive(true);
            header.append(&field, text);
        }
    }
    Ok(header)
}

/// Zero and empty mean the default: a connect without any limit would hang a pull on a black hole.
fn read_dial_timeout(table: Table<'_>) -> Result<Option<Duration>, Located> {
    let Some((text, offset)) = table.string("dial_timeout")?.filter(|(text, _)| !text.is_empty()) else {
        return Ok(None);
    };
    match go_duration::parse(text) {
        Some(Duration::ZERO) => Ok(None),
        Some(timeout) => Ok(Some(timeout)),
        None => Err((offset, HostsProblem::Duration(text.to_owned()))),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
