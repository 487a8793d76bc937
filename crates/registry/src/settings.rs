//! What this node's own configuration says of single registries and mirrors, beyond `hosts.toml`.
//!
//! Plain values: the proxy's rules are `proxy`'s, where credentials are read is `node`'s.

use std::collections::{BTreeMap, BTreeSet};

use auth::Host;

use crate::node::CredentialSource;
use crate::proxy::ProxyUrl;

/// The settings by host. A registry's are under its name in references; a mirror's under the host that is dialled.
pub type Registries = BTreeMap<Host, RegistrySettings>;

/// What is configured for one host. The default is what a host has that is not named at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Whether the registry itself is asked where its mirrors do not help.
    pub fallback: Fallback,
    /// How requests to the host, to the token server that it names and to where it redirects leave this node. `None`
    /// means as the environment says.
    pub proxy: Option<ProxySetting>,
    /// Where this node's own credentials for the host are. They count where the caller brought none for it.
    pub credentials: Option<CredentialSource>,
    /// Other hosts that may be shown the credentials for this registry, the caller's and the node's: mirrors, and
    /// targets of redirects. Empty means none.
    pub credential_domain: BTreeSet<Host>,
}

/// Whether a registry is asked after its mirrors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It is, as containerd does.
    #[default]
    Always,
    /// Never: what no mirror serves is not pulled. Hosts under the registry's own name are left out wherever
    /// `hosts.toml` has them, and mirrors that lead there are not followed.
    Never,
}

/// A host's own way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxySetting {
    /// No proxy, whatever the environment says.
    Direct,
    /// This proxy, whatever the environment's `NO_PROXY` says; it belongs to the environment's proxies.
    Through(ProxyUrl),
}
