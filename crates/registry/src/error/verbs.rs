//! The errors of `resolve` and of the fetches: what was attempted, and each host tried with its own cause.

use std::fmt;
use std::sync::Arc;

use refparse::{Digest, Reference};

use super::{Failure, Kind, Origin, Retry, chain};
use crate::hosts::{Capability, ConfigError};

/// A reference could not be resolved to a descriptor. Retried here already, within the budget.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve `{reference}`")]
pub struct ResolveError {
    pub(crate) reference: Reference,
    #[source]
    pub(crate) source: AccessError,
}

/// A document or blob could not be fetched. Retried here already, within the budget.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch `{digest}`")]
pub struct FetchError {
    pub(crate) digest: Digest,
    #[source]
    pub(crate) source: AccessError,
}

/// Why no host gave what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The configuration of the registry's hosts cannot be read; no host was asked.
    #[error("bad registry configuration")]
    Config(#[source] Arc<ConfigError>),
    /// No configured host has the capability; no host was asked.
    #[error("no host configured for `{registry}` may {capability}")]
    NoHost {
        /// The registry of the reference.
        registry: String,
        /// What was needed.
        capability: Capability,
    },
    /// Refused before any host was asked.
    #[error(transparent)]
    Refused(Failure),
    /// Every host was asked; the causes in the order of the attempts, never empty.
    #[error("{}", Listed(.0))]
    Hosts(Vec<HostFailure>),
}

/// One host and why it did not help.
#[derive(Debug)]
pub struct HostFailure {
    /// The host as dialled, `host[:port]`.
    pub host: String,
    /// The cause.
    pub failure: Failure,
}

struct Listed<'a>(&'a [HostFailure]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, HostFailure { host, failure }) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            // Several causes stand side by side, so none can be the one source: the chain of each is written out.
            write!(f, "{separator}host `{host}`: {}", chain(failure))?;
        }
        Ok(())
    }
}

impl AccessError {
    /// The failure that decides: the last host is the registry's own, and knows best what exists and who may have it.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            AccessError::Refused(failure) => Some(failure),
            AccessError::Hosts(failures) => failures.last().map(|last| &last.failure),
            AccessError::Config(_) | AccessError::NoHost { .. } => None,
        }
    }

    fn kind(&self) -> Kind {
        self.failure().map_or(Kind::Config, Failure::kind)
    }

    fn origin(&self) -> Origin {
        match self.kind() {
            Kind::Config => Origin::Local,
            _ => Origin::Registry,
        }
    }

    fn retry(&self) -> Retry {
        self.failure().map_or(Retry::Never, Failure::retry)
    }
}

macro_rules! verb_error {
    ($error:ident) => {
        impl $error {
            /// What went wrong, for mapping to another error; with several hosts, at the one that decides.
            pub fn kind(&self) -> Kind {
                self.source.kind()
            }

            /// Whose fault it is.
            pub fn origin(&self) -> Origin {
                self.source.origin()
            }

            /// Whether trying the whole again may help.
            pub fn retry(&self) -> Retry {
                self.source.retry()
            }

            /// The cause with every host tried.
            pub fn access(&self) -> &AccessError {
                &self.source
            }
        }
    };
}

verb_error!(ResolveError);
verb_error!(FetchError);
