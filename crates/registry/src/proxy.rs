//! Which proxy, if any, a request goes through: the rules of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
//!
//! Decides only; the connector dials. Never reads the environment unless asked to by [`Proxies::from_env`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxies of this node.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Arc<Rules>>);

#[derive(Debug)]
struct Rules {
    matcher: Matcher,
    /// The entries of `NO_PROXY` with a port, which the matcher does not know and Go, and so containerd, does.
    no_ports: Vec<NoPort>,
}

/// Hosts that are not proxied on one port.
#[derive(Debug)]
struct NoPort {
    port: u16,
    /// Would send every other host through a proxy.
    others: Matcher,
}

/// The URL of one proxy, perhaps with a password, which neither `Debug` nor `Display` shows.
///
/// ```
/// use registry::ProxyUrl;
///
/// let proxy = ProxyUrl::parse("http://jane:hunter2@proxy.example:3128")?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), registry::ProxyUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    text: String,
    /// As in `text`, without user information.
    shown: String,
}

/// Why a text is not the URL of a proxy. Does not repeat it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// No URL with a host.
    #[error("must be a URL such as `http://proxy.example:3128`")]
    Malformed,
    /// A protocol that is not spoken here.
    #[error("must begin with `http://`, `https://`, `socks5://` or `socks5h://`")]
    Scheme,
    /// More than a proxy has.
    #[error("must end with the port, without a path")]
    Path,
}

impl ProxyUrl {
    /// Reads `scheme://[user:password@]host[:port]`. As in Go, `socks5` and `socks5h` are one: names are resolved by the
    /// proxy.
    ///
    /// # Errors
    /// [`ProxyUrlError`].
    pub fn parse(text: &str) -> Result<ProxyUrl, ProxyUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyUrlError::Malformed)?;
        if !["http", "https", "socks5", "socks5h"].contains(&scheme) {
            return Err(ProxyUrlError::Scheme);
        }
        let uri: Uri = text.parse().map_err(|_| ProxyUrlError::Malformed)?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(ProxyUrlError::Malformed);
        }
        if rest.trim_end_matches('/').contains(['/', '?', '#']) {
            return Err(ProxyUrlError::Path);
        }
        Ok(ProxyUrl { text: text.to_owned(), shown: shown(&uri) })
    }

    /// Whether it has a password or a user name.
    pub fn has_user_info(&self) -> bool {
        self.text.contains('@')
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({})", self.shown)
    }
}

impl Proxies {
    /// No proxy for any host.
    pub fn none() -> Proxies {
        Proxies(None)
    }

    /// The proxies that the environment names, in upper or lower case; read once, here.
    pub fn from_env() -> Proxies {
        let no_proxy = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
        Proxies::new(Matcher::from_env(), &no_proxy.unwrap_or_default())
    }

    /// One proxy for every host except those of `no_proxy` (comma-separated, as in the environment variable).
    pub fn all(proxy: &str, no_proxy: &str) -> Proxies {
        Proxies::new(Matcher::builder().all(proxy).no(no_proxy).build(), no_proxy)
    }

    fn new(matcher: Matcher, no_proxy: &str) -> Proxies {
        let no_ports = no_proxy.split(',').filter_map(|entry| NoPort::parse(entry.trim())).collect();
        Proxies(Some(Arc::new(Rules { matcher, no_ports })))
    }

    /// This proxy for every host.
    pub fn through(proxy: &ProxyUrl) -> Proxies {
        Proxies::all(&proxy.text, "")
    }

    /// The proxy for `destination`. Loopback is never proxied: the proxy's loopback is another machine's.
    pub(crate) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        let rules = self.0.as_ref()?;
        let is_direct = is_loopback(destination.host()?)
            || rules.no_ports.iter().any(|no_port| no_port.contains(destination));
        if is_direct { None } else { rules.matcher.intercept(destination) }
    }

    /// The proxy for `destination` in words, without user information.
    pub(crate) fn shown(&self, destination: &Uri) -> Option<String> {
        self.intercept(destination).map(|proxy| shown(proxy.uri()))
    }

    /// The header for a plain-http request that the proxy sees whole.
    pub(crate) fn authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        if destination.scheme_str() != Some("http") {
            return None;
        }
        let mut value = self.intercept(destination)?.basic_auth()?.clone();
        value.set_sensitive(true);
        Some(value)
    }
}

impl NoPort {
    /// `None` for an entry without a port, which is the matcher's.
    fn parse(entry: &str) -> Option<NoPort> {
        let (host, port) = entry.rsplit_once(':')?;
        // What has colons left is an address of IPv6: in brackets before a port, else without one.
        let host = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let others = Matcher::builder().all("http://proxy.invalid").no(host).build();
        Some(NoPort { port: port.parse().ok()?, others })
    }

    fn contains(&self, destination: &Uri) -> bool {
        let default = if destination.scheme_str() == Some("https") { 443 } else { 80 };
        destination.port_u16().unwrap_or(default) == self.port && self.others.intercept(destination).is_none()
    }
}

/// Whether a proxy carries bytes of any protocol, not requests.
pub(crate) fn is_socks5(proxy: &Uri) -> bool {
    matches!(proxy.scheme_str(), Some("socks5" | "socks5h"))
}

/// Scheme, host and port.
fn shown(proxy: &Uri) -> String {
    let port = proxy.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", proxy.scheme_str().unwrap_or("http"), proxy.host().unwrap_or_default())
}

/// Whether `host` (no port; brackets allowed) is this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_no_proxy_hosts_are_dialled_directly() {
        let proxies = Proxies::all("http://user:pw@proxy.test:3128", "inside.test");
        let uri = |text: &'static str| Uri::from_static(text);
        assert!(proxies.intercept(&uri("https://registry.test/v2/")).is_some());
        assert!(proxies.intercept(&uri("https://inside.test/v2/")).is_none());
        assert!(proxies.intercept(&uri("http://localhost:5000/")).is_none());
        assert!(proxies.intercept(&uri("http://127.1.2.3:5000/")).is_none());
        assert!(proxies.intercept(&uri("http://[::1]:5000/")).is_none());
        assert!(proxies.authorization(&uri("http://registry.test/")).is_some());
        assert!(proxies.authorization(&uri("https://registry.test/")).is_none());
        assert!(!format!("{proxies:?}").contains("pw"));
    }

    #[test]
    fn no_proxy_takes_addresses_networks_and_domains() {
        let no_proxy = "10.0.0.0/8, 192.168.7.1,fd00::/8,.cluster.test,corp.test";
        let proxies = Proxies::all("http://proxy.test:3128", no_proxy);
        let check = |host: &str, proxied: bool| {
            let uri: Uri = format!("https://{host}/v2/").parse().unwrap();
            assert_eq!(proxies.intercept(&uri).is_some(), proxied, "{host}");
        };
        check("10.200.3.4", false);
        check("10.200.3.4:5000", false);
        check("11.0.0.1", true);
        check("192.168.7.1", false);
        check("192.168.7.2", true);
        check("[fd12::7]:5000", false);
        check("[fe80::7]:5000", true);
        check("registry.cluster.test", false);
        check("a.corp.test:5000", false);
        check("CORP.test", false);
        check("notcorp.test", true);
    }

    #[test]
    fn an_entry_of_no_proxy_with_a_port_is_for_that_port_alone() {
        let proxies = Proxies::all("http://proxy.test:3128", "a.test:5000,[fd00::1]:5000,10.0.0.1:443,:80");
        let check = |url: &str, proxied: bool| {
            let uri: Uri = url.parse().unwrap();
            assert_eq!(proxies.intercept(&uri).is_some(), proxied, "{url}");
        };
        check("https://a.test:5000/v2/", false);
        check("https://sub.a.test:5000/v2/", false);
        check("https://a.test/v2/", true);
        check("https://b.test:5000/v2/", true);
        check("http://[fd00::1]:5000/v2/", false);
        check("http://[fd00::1]/v2/", true);
        check("https://10.0.0.1/v2/", false);
        check("http://10.0.0.1/v2/", true);
    }

    #[test]
    fn a_proxys_url_prints_without_user_info() {
        let check = |text: &str, expected: Result<&str, ProxyUrlError>| {
            let parsed = ProxyUrl::parse(text);
            assert_eq!(
                parsed.as_ref().map(ToString::to_string).map_err(|error| *error),
                expected.map(str::to_owned),
                "{text}"
            );
            assert!(!format!("{parsed:?}").contains("hunter2"), "{parsed:?}");
        };
        check("http://p.test:3128", Ok("http://p.test:3128"));
        check("https://jane:hunter2@p.test/", Ok("https://p.test"));
        check("socks5h://jane:hunter2@[::1]:1080", Ok("socks5h://[::1]:1080"));
        check("p.test:3128", Err(ProxyUrlError::Malformed));
        check("http://", Err(ProxyUrlError::Malformed));
        check("http://p .test", Err(ProxyUrlError::Malformed));
        check("socks4://p.test:1080", Err(ProxyUrlError::Scheme));
        check("http://p.test/hunter2", Err(ProxyUrlError::Path));
    }
}
