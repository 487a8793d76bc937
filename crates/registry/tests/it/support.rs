//! An in-memory network of scripted servers, and the small things that most tests need.

mod network;
mod reply;
mod world;

pub(crate) use network::{Network, Seen};
pub(crate) use reply::Reply;
pub(crate) use world::World;

use auth::{AuthConfig, Credentials, Host};
use oci::Descriptor;
use oci::media_type::OCI_MANIFEST;
use registry::{ClientConfig, RegistrySettings};

/// A well-formed manifest to serve.
pub(crate) const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}"#;

pub(crate) fn descriptor_of(bytes: &[u8]) -> Descriptor {
    Descriptor::new(OCI_MANIFEST, oci::sha256(bytes), bytes.len() as u64)
}

pub(crate) fn basic(registry: &str, username: &str, password: &str) -> Credentials {
    let config = AuthConfig { username, password, ..AuthConfig::default() };
    Credentials::from_auth_config(&config, registry).unwrap()
}

/// A configuration with settings for one host.
pub(crate) fn settings(host: &str, settings: RegistrySettings) -> impl FnOnce(&mut ClientConfig) {
    let host = Host::parse(host).unwrap();
    move |config| drop(config.registries.insert(host, settings))
}

/// An error with its sources, as the log line at the edge shows it.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        line.push_str(": ");
        line.push_str(&error.to_string());
        next = error.source();
    }
    line
}
