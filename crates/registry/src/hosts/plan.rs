//! From a registry's name to the hosts that are asked, in order.

use std::fs;
use std::path::{Path, PathBuf};

use super::capability::Capabilities;
use super::directory;
use super::error::ConfigError;
use super::file::{ClientPair, HostEntry, HostsFile, Server};
use super::host::{Host, Scheme};
use crate::proxy::is_loopback;
use crate::tls::{ClientPem, TlsSettings};
use crate::url::RedactedUrl;

/// Docker Hub: the name in references, and the host that serves.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The hosts for `registry`, mirrors first; never empty. Reads the `certs.d` directories below `roots` now.
///
/// # Errors
/// [`ConfigError`] when what is configured cannot be read or makes no sense.
pub(crate) fn plan(roots: &[PathBuf], registry: &str) -> Result<Vec<Host>, ConfigError> {
    let file = match directory::find(roots, registry)? {
        Some(directory) => directory::load(&directory)?,
        None => HostsFile::parse(Path::new("hosts.toml"), "")?,
    };
    let mut hosts = Vec::with_capacity(file.mirrors.len() + 1);
    for entry in file.mirrors {
        hosts.push(host(entry, registry)?);
    }
    hosts.push(host(file.root, registry)?);
    Ok(hosts)
}

/// The host of a foreign layer's URL. It is asked for that URL alone, over the TLS that is configured for its name.
///
/// # Errors
/// As [`plan`].
pub(crate) fn foreign(roots: &[PathBuf], url: &RedactedUrl) -> Result<Option<Host>, ConfigError> {
    let Some(authority) = url.uri().authority().map(|authority| authority.as_str().to_owned()) else {
        return Ok(None);
    };
    let Some(host) = plan(roots, &authority)?.pop() else { return Ok(None) };
    Ok(Some(Host {
        scheme: Scheme::Https,
        authority,
        capabilities: Capabilities::ALL,
        header: http::HeaderMap::new(),
        mirror_of: None,
        foreign: Some(url.clone()),
        ..host
    }))
}

/// Leaves out the registry itself, by whichever of its names.
///
/// # Errors
/// [`ConfigError::NoMirror`].
pub(crate) fn mirrors_only(hosts: Vec<Host>, registry: &str) -> Result<Vec<Host>, ConfigError> {
    let own = auth::Host::parse(registry);
    let mirrors: Vec<_> =
        hosts.into_iter().filter(|host| auth::Host::parse(&host.authority) != own).collect();
    if mirrors.is_empty() {
        return Err(ConfigError::NoMirror { registry: registry.to_owned() });
    }
    Ok(mirrors)
}

fn host(mut entry: HostEntry, registry: &str) -> Result<Host, ConfigError> {
    let mut loopback_fallback = false;
    let server = match entry.server.take() {
        Some(server) => server,
        None => {
            // Without `server` the registry itself is meant, with every capability whatever the file's root says.
            entry.capabilities = Capabilities::ALL;
            let (server, loopback) = default_server(registry);
            if let Loopback::SkipVerify { plain_fallback } = loopback {
                entry.skip_verify = Some(true);
                loopback_fallback = plain_fallback;
            }
            server
        }
    };
    let explicit_tls = entry.ca.is_some() || !entry.client.is_empty() || entry.skip_verify.is_some();
    let port_80 = server.authority.ends_with(":80");
    let scheme = if loopback_fallback || (!server.https && explicit_tls && !port_80) {
        Scheme::HttpsThenHttp
    } else if server.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let own = server.authority == registry || (registry, server.authority.as_str()) == DOCKER_HUB;
    let ca = entry.ca.unwrap_or_default();
    Ok(Host {
        scheme,
        mirror_of: (!own).then(|| registry.to_owned()),
        foreign: None,
        authority: server.authority,
        path: server.path,
        capabilities: entry.capabilities,
        header: entry.header,
        tls: load_tls(&ca, &entry.client, entry.skip_verify)?,
        ca,
        client: entry.client,
        dial_timeout: entry.dial_timeout,
    })
}

enum Loopback {
    No,
    SkipVerify { plain_fallback: bool },
}

/// The registry's own host. On loopback the certificate is not verified, and unless the port says which protocol it
/// is (443 or none: https, 80: http) both are tried, https first: containerd's rule for development registries.
fn default_server(registry: &str) -> (Server, Loopback) {
    let server = |https: bool, authority: &str| Server {
        https,
        authority: authority.to_owned(),
        path: "/v2".to_owned(),
    };
    if registry == DOCKER_HUB.0 {
        return (server(true, DOCKER_HUB.1), Loopback::No);
    }
    let (name, port) = split_port(registry);
    if !is_loopback(name) {
        return (server(true, registry), Loopback::No);
    }
    match port {
        None | Some("443") => (server(true, registry), Loopback::SkipVerify { plain_fallback: false }),
        Some("80") => (server(false, registry), Loopback::No),
        Some(_) => (server(true, registry), Loopback::SkipVerify { plain_fallback: true }),
    }
}

fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        // The colons of an IPv6 address without port stand before the closing bracket.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (registry, None),
    }
}

fn load_tls(
    ca: &[PathBuf],
    client: &[ClientPair],
    skip_verify: Option<bool>,
) -> Result<TlsSettings, ConfigError> {
    let read =
        |path: &PathBuf| fs::read(path).map_err(|source| ConfigError::Read { path: path.clone(), source });
    let mut tls = TlsSettings { skip_verify: skip_verify.unwrap_or(false), ..TlsSettings::default() };
    for path in ca {
        let pem = read(path)?;
        let certificate = |source| ConfigError::Certificate { path: path.clone(), source };
        TlsSettings { ca: vec![pem.clone()], ..TlsSettings::default() }.check().map_err(certificate)?;
        tls.ca.push(pem);
    }
    for ClientPair { cert, key } in client {
        let chain = read(cert)?;
        let key = key.as_ref().map_or_else(|| Ok(chain.clone()), read)?;
        let pem = ClientPem { chain, key };
        let certificate = |source| ConfigError::Certificate { path: cert.clone(), source };
        TlsSettings { clients: vec![pem.clone()], ..TlsSettings::default() }.check().map_err(certificate)?;
        tls.clients.push(pem);
    }
    Ok(tls)
}

#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
