//! What is wrong with a registry configuration, with the file and line.

use std::io;
use std::path::PathBuf;

use crate::tls::TlsConfigError;

/// A registry configuration that cannot be used. It fails the pull: going on without would send requests, and
/// perhaps credentials, to hosts that the operator took out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A `hosts.toml` is not well-formed or says something impossible.
    #[error("`{}` line {line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: HostsProblem,
    },
    /// Only mirrors may be asked, and there is none.
    #[error("no mirror of `{registry}` is configured, and its `fallback` is `never`")]
    NoMirror {
        /// The registry.
        registry: String,
    },
    /// A certificate or key that the configuration names cannot be used.
    #[error("unusable certificate file `{}`", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: TlsConfigError,
    },
}

/// What is wrong at one line of a `hosts.toml`. Values that may hold a password (URLs, headers) are not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostsProblem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A value of the wrong type.
    #[error("`{key}` must be {wanted}")]
    Type {
        /// The key.
        key: String,
        /// The types allowed.
        wanted: &'static str,
    },
    /// A capability that does not exist.
    #[error("unknown capability `{0}`")]
    Capability(String),
    /// A server or host that is no `http` or `https` URL.
    #[error("`{key}`: {source}")]
    Url {
        /// `server` or `host`.
        key: &'static str,
        /// Why not.
        source: crate::url::UrlError,
    },
    /// A duration that Go's `time.ParseDuration` would refuse, or a negative one.
    #[error("`{0}` is not a duration such as `30s` or `1m30s`")]
    Duration(String),
    /// A client pair that is not one certificate and one key.
    #[error("an entry of `client` must be one file or a pair of certificate and key")]
    ClientPair,
    /// A header that cannot be sent.
    #[error("header `{0}` cannot be sent: its name or value has a character that HTTP does not allow")]
    Header(String),
}
