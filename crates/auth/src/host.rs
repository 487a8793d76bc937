//! The host that credentials are bound to, in one comparable form. Relies on nothing but its input: no name is resolved.

use std::fmt;
use std::net::Ipv6Addr;

/// Docker Hub by its three names: the one in references, the one in configuration files, the one that serves.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A host and, unless it is the default one, a port: lower case, without scheme, path or user information.
///
/// Two texts that lead to equal hosts are shown the same credentials, so a table of hosts is best kept by this type:
///
/// ```
/// use auth::Host;
///
/// let hub = Host::parse("docker.io")?;
/// assert_eq!(hub, Host::parse("https://registry-1.docker.io/v2/")?);
/// assert_eq!(Host::parse("Registry.Example:443")?.to_string(), "registry.example");
/// # Ok::<(), auth::HostFault>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

/// Why a text names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostFault {
    /// Nothing stands where the host should be.
    #[error("there is no host in it")]
    Missing,
    /// The host has a character that no host name has.
    #[error("a character is not allowed in a host")]
    Character,
    /// The part after the colon is not a port number.
    #[error("the port is not a number up to 65535")]
    Port,
    /// The part in brackets is not an IPv6 address.
    #[error("the part in brackets is not an IPv6 address")]
    Ipv6,
}

impl Host {
    /// Reads `host`, `host:port`, or a URL of which the host and port are taken.
    ///
    /// The scheme's default port is dropped, and both of them where there is no scheme: a reference does not say how its
    /// registry is reached, and the URL that a client makes of `registry:80` or `registry:443` does not say the port.
    ///
    /// # Errors
    /// [`HostFault`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Host, HostFault> {
        let (scheme, rest) = split_scheme(text);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Go's `url.URL.Host`, by which containerd compares, leaves the user information out; it may hold a password.
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (name, port) = split_port(authority)?;
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse::<u16>().map_err(|_| HostFault::Port)?)
            }
            _ => return Err(HostFault::Port),
        };
        let port = port.filter(|port| !default_ports(scheme).contains(port));
        if port.is_none() && DOCKER_HUB.contains(&name.as_str()) {
            return Ok(Host { name: DOCKER_HUB[0].to_owned(), port });
        }
        Ok(Host { name, port })
    }

    /// Whether this is Docker Hub, which configuration files and helpers know by a URL of its own.
    pub(crate) fn is_docker_hub(&self) -> bool {
        self.port.is_none() && self.name == DOCKER_HUB[0]
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The scheme, if there is one, and what follows `//`.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text.strip_prefix("//").unwrap_or(text)),
    }
}

/// The ports that say nothing beside this scheme.
fn default_ports(scheme: Option<&str>) -> &'static [u16] {
    match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => &[80],
        Some(_) => &[443],
        None => &[80, 443],
    }
}

/// The host name in canonical form, and the text after the colon (empty where there is none).
fn split_port(authority: &str) -> Result<(String, &str), HostFault> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']').ok_or(HostFault::Ipv6)?;
        let address: Ipv6Addr = address.parse().map_err(|_| HostFault::Ipv6)?;
        let port = match rest {
            "" => "",
            rest => rest.strip_prefix(':').ok_or(HostFault::Character)?,
        };
        return Ok((format!("[{address}]"), port));
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    if name.is_empty() {
        return Err(HostFault::Missing);
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(HostFault::Character);
    }
    Ok((name.to_ascii_lowercase(), port))
}
