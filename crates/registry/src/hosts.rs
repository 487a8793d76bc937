//! Which hosts serve a registry: containerd's `certs.d` directories and `hosts.toml` files, read as containerd 2.3.4
//! reads them (core/remotes/docker/config/hosts.go), except that a file with an error stops the pull instead of
//! silently turning off its mirrors.
//!
//! Reads files, decides hosts; never dials.

mod capability;
mod directory;
mod error;
mod file;
mod go_duration;
mod host;
mod plan;
mod value;

pub use capability::{Capabilities, Capability};
pub(crate) use directory::find;
pub use error::{ConfigError, HostsProblem};
pub use file::{ClientPair, HostEntry, HostsFile, Server, UnknownKey};
pub(crate) use go_duration::parse as parse_duration;
pub use host::{Host, Scheme};
pub(crate) use plan::{foreign, mirrors_only, plan};
