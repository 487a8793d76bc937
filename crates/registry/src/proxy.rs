//! Which proxy, if any, a request goes through: the rules of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
//!
//! Decides only; the connector dials. Never reads the environment unless asked to by [`Proxies::from_env`].

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxies of this node.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

impl Proxies {
    /// No proxy for any host.
    pub fn none() -> Proxies {
        Proxies(None)
    }

    /// The proxies that the environment names, in upper or lower case; read once, here.
    pub fn from_env() -> Proxies {
        Proxies(Some(Arc::new(Matcher::from_env())))
    }

    /// One proxy for every host except those of `no_proxy` (comma-separated, as in the environment variable).
    pub fn all(proxy: &str, no_proxy: &str) -> Proxies {
        Proxies(Some(Arc::new(Matcher::builder().all(proxy).no(no_proxy).build())))
    }

    /// The proxy for `destination`. Loopback is never proxied: the proxy's loopback is another machine's.
    pub(crate) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        if is_loopback(destination.host()?) { None } else { matcher.intercept(destination) }
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
}
