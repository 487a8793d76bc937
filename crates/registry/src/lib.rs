//! The distribution protocol from the puller's side: hosts, tokens, resolve, fetch.
//!
//! A [`Client`] lives as long as the daemon and holds what pulls may share: connections and tokens. A [`Session`] is
//! one pull's view: the hosts of one reference as `certs.d` configures them at this moment, and one caller's
//! credentials. It answers three questions: what does the reference point at ([`Session::resolve`]), what does a
//! document say ([`Session::manifest`]), what are the bytes of a blob ([`Session::blob`]).
//!
//! ```no_run
//! use auth::Credentials;
//! use refparse::Reference;
//! use registry::{Client, ClientConfig, Dialer};
//!
//! # async fn pull() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ClientConfig::default(), Dialer::tcp());
//! let reference = Reference::parse("docker.io/library/busybox:1.36")?;
//! let session = client.session(&reference, &Credentials::anonymous());
//! let resolved = session.resolve().await?;
//! let index = session.manifest(&resolved.descriptor).await?;
//! # let _ = index;
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//! - **Hosts.** Mirrors first, in the order of the file, the registry's own host last; the failure of the last one is
//!   the one that counts, and the error lists all. A host that could not be reached is asked last, by all pulls, until
//!   a probe beside them finds that it is back; where another host has given its last word, not at all.
//! - **Credentials** go only to the host that they are bound to, and to the token server that this host names. A mirror
//!   or a redirect's target is asked anonymously unless the credentials name it, or the registry's `credential_domain`.
//!   The node's own ([`CredentialSource`]) are read once a host has asked and the caller has none for it.
//! - **Retries** happen in one place (`rounds`): transient failures only, with exponential backoff, jitter from a seed
//!   and the server's `Retry-After`, a handful for each request and a budget for all of a session. A blob goes on where
//!   it broke.
//! - **Big blobs** come by several ranges at the same time where that is faster; memory for what comes before its turn
//!   is bounded for the whole client. Big blobs wait for their turn at a host; documents and small blobs never do.
//! - **Bounds.** Documents, error bodies, token answers, URLs, redirects, header sizes and every wait are bounded by
//!   named constants or by [`ClientConfig`]. All waiting is on tokio's clock.
//! - **Secrets** appear in no error, log or `Debug`; the query of a URL, which may be a signature, neither.
//! - **Cancellation.** Every future may be dropped at any time: connections close, nothing is left half-done.
//!
//! Docker schema 1 manifests are answered as they are, to be converted by the caller, or refused by name
//! ([`ClientConfig::schema1`]).

mod authorizer;
mod blob;
mod blob_size;
mod body;
mod client;
mod config;
mod connector;
mod content_range;
mod dialer;
mod digest;
mod endpoint;
mod error;
mod exchange;
mod health;
mod hosts;
mod manifest;
mod media;
mod node;
mod planned;
mod probe;
mod proxy;
mod reach;
mod resolve;
mod retry;
mod rounds;
mod session;
mod settings;
mod tls;
mod token_server;
mod tokens;
mod transport;
mod url;

pub use blob::Blob;
pub use client::Client;
pub use config::{ClientConfig, Ranges};
pub use connector::ConnectError;
pub use content_range::ContentRange;
pub use dialer::{BoxedIo, Dialer, Io};
pub use error::{
    AccessError, Failure, FetchError, HostFailure, Kind, Origin, ProtocolError, ResolveError, Retry,
    ServerSays,
};
pub use hosts::{
    Capabilities, Capability, ClientPair, ConfigError, Host, HostEntry, HostsFile, HostsProblem, Scheme,
    Server, UnknownKey,
};
pub use node::{CredentialSource, CredentialSourceError, HelperRunError, SecretFileError};
pub use planned::PlannedHost;
pub use probe::{Probe, Step, StepKind};
pub use proxy::{Proxies, ProxyUrl, ProxyUrlError};
pub use resolve::Resolved;
pub use session::Session;
pub use settings::{Fallback, ProxySetting, Registries, RegistrySettings};
pub use tls::{RootFiles, TlsConfigError};
pub use url::{RedactedUrl, UrlError};
