//! One cause at one host, and what follows from it: its kind, whose fault it is, whether trying again helps.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use refparse::Digest;

use super::ServerSays;
use crate::connector::ConnectError;
use crate::node::CredentialSourceError;
use crate::url::{RedactedUrl, UrlError};

/// Why one host did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The host knows no such repository, tag or digest.
    #[error("not found{says}")]
    NotFound {
        /// The server's reason.
        says: ServerSays,
    },
    /// The host wants (other) credentials. Registries also say so of repositories that do not exist.
    #[error("{}{says}", if *.credentials_given { "credentials refused" } else { "credentials required" })]
    Unauthorized {
        /// Whether credentials were sent.
        credentials_given: bool,
        /// The server's reason.
        says: ServerSays,
    },
    /// The host knows the caller and refuses.
    #[error("access denied{}{says}", if *.credentials_given { " with the given credentials" } else { "" })]
    Denied {
        /// Whether credentials were sent.
        credentials_given: bool,
        /// The server's reason.
        says: ServerSays,
    },
    /// Too many requests, after the retries allowed here.
    #[error("rate limit reached{says}")]
    RateLimited {
        /// The server's `Retry-After`, unclamped.
        after: Option<Duration>,
        /// The server's reason.
        says: ServerSays,
    },
    /// Any other answer than the one asked for.
    #[error("server answered {status}{says}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// The server's `Retry-After`, unclamped.
        after: Option<Duration>,
        /// The server's reason.
        says: ServerSays,
    },
    /// No connection.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// Not asked: it could not be reached a short while ago, and another host has answered.
    #[error("not asked, out of reach: {cause}")]
    OutOfReach {
        /// Why it could not be reached.
        cause: String,
    },
    /// The connection was there and broke.
    #[error("connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// Connected, but no answer to the request.
    #[error("no response within {after:?}")]
    NoResponse {
        /// The limit.
        after: Duration,
    },
    /// The answer began and then no byte came, or too few to ever end.
    #[error("{} {after:?}", few(*.bytes))]
    Stalled {
        /// The limit.
        after: Duration,
        /// How many came in that time.
        bytes: u64,
    },
    /// The bytes are not the ones that the digest names.
    #[error("digest mismatch: expected `{expected}`, got `{actual}`")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The number of bytes is not the one that the descriptor names.
    #[error("size mismatch: expected {expected_bytes} bytes, got {actual_bytes}")]
    SizeMismatch {
        /// What was asked for.
        expected_bytes: u64,
        /// What came, or was announced.
        actual_bytes: u64,
    },
    /// The document is of a type that is not pulled: Docker schema 1 where it is switched off, an error page, an artifact.
    #[error("unsupported media type `{media_type}`{}", schema1_hint(.media_type))]
    UnsupportedMediaType {
        /// The type as announced or found, cleaned.
        media_type: String,
    },
    /// A Docker schema 1 manifest of which it cannot be told what its digest names.
    #[error("unusable manifest")]
    Schema1(#[source] oci::Schema1Error),
    /// A document over the limit.
    #[error("larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// This node's own credentials for the host cannot be read.
    #[error("no credentials")]
    Credentials(#[source] Arc<CredentialSourceError>),
    /// The challenge of a 401 cannot be answered.
    #[error("cannot answer the challenge")]
    Challenge(#[source] auth::ChallengeError),
    /// The challenge asks for a token request that must not be made.
    #[error("cannot ask for a token")]
    TokenRequest(#[source] auth::TokenRequestError),
    /// The token server failed; shared by all who waited for the token.
    #[error("no token from `{realm}`")]
    Token {
        /// The token server.
        realm: RedactedUrl,
        /// Its failure.
        #[source]
        source: Arc<Failure>,
    },
    /// The token server's answer is no token.
    #[error("unusable answer")]
    TokenAnswer(#[source] auth::TokenError),
    /// The host broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// How a host broke the protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A redirect without a usable target.
    #[error("unusable redirect")]
    Redirect(#[source] UrlError),
    /// A redirect without a target.
    #[error("redirect without a location")]
    NoLocation,
    /// More redirects than an honest registry needs.
    #[error("more than {max} redirects")]
    Redirects {
        /// The limit.
        max: usize,
    },
    /// A redirect from https to http.
    #[error("refused redirect from https to `{to}`")]
    Downgrade {
        /// The target.
        to: RedactedUrl,
    },
    /// A mirror leads to the registry, which this node's configuration takes out.
    #[error("leads to `{to}`, which is not asked: its `fallback` is `never`")]
    Fallback {
        /// Where to.
        to: RedactedUrl,
    },
    /// The answer to a range request is for another range.
    #[error("asked for bytes from {offset_bytes}, got the range `{got}`")]
    Range {
        /// The offset asked for.
        offset_bytes: u64,
        /// The answer's `Content-Range`, cleaned.
        got: String,
    },
    /// The whole blob where a part of it was asked for.
    #[error("the server sends no ranges")]
    NoRanges,
    /// No answer says how long the blob is.
    #[error("the host does not tell the size of the blob")]
    NoLength,
    /// The configured path and the reference do not make a URL.
    #[error("unusable request URL")]
    Url(#[source] UrlError),
    /// A token or a configured header cannot stand in a header.
    #[error("credential cannot be sent in a header")]
    Header,
}

/// What a failure is to someone who must tell them apart (the CRI's error codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No such image there.
    NotFound,
    /// Credentials missing or wrong.
    Unauthorized {
        /// Whether credentials were sent.
        credentials_given: bool,
    },
    /// Credentials good, permission missing.
    Denied {
        /// Whether credentials were sent.
        credentials_given: bool,
    },
    /// Too many requests.
    RateLimited,
    /// Refused, no such host, no answer, connection broken: the kubelet's `RegistryUnavailable`.
    Unreachable,
    /// Certificate or handshake.
    Tls,
    /// Other bytes than the digest names.
    DigestMismatch,
    /// More or fewer bytes than the descriptor names.
    SizeMismatch,
    /// A type of document that is not pulled.
    UnsupportedMediaType,
    /// Over a limit.
    TooLarge,
    /// No byte for too long.
    Stalled,
    /// This node's `hosts.toml`, certificates or own credentials.
    Config,
    /// Another status.
    Server,
    /// The host broke the protocol.
    Protocol,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The registry, a mirror or the network between.
    Registry,
    /// This node's configuration.
    Local,
}

/// Whether and when the same request may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change of something else.
    Never,
    /// Soon: the fault looks transient.
    Now,
    /// Not before this time, the host said.
    After(Duration),
}

impl Failure {
    /// The kind; of a failed token request, the kind of the token server's failure.
    pub fn kind(&self) -> Kind {
        match self {
            Failure::NotFound { .. } => Kind::NotFound,
            Failure::Unauthorized { credentials_given, .. } => {
                Kind::Unauthorized { credentials_given: *credentials_given }
            }
            Failure::Denied { credentials_given, .. } => {
                Kind::Denied { credentials_given: *credentials_given }
            }
            Failure::RateLimited { .. } => Kind::RateLimited,
            Failure::Server { .. } => Kind::Server,
            Failure::Connect(error) => connect_kind(error),
            Failure::OutOfReach { .. } | Failure::Broken(_) | Failure::NoResponse { .. } => Kind::Unreachable,
            Failure::Stalled { .. } => Kind::Stalled,
            Failure::DigestMismatch { .. } => Kind::DigestMismatch,
            Failure::SizeMismatch { .. } => Kind::SizeMismatch,
            Failure::UnsupportedMediaType { .. } => Kind::UnsupportedMediaType,
            Failure::TooLarge { .. } => Kind::TooLarge,
            Failure::Token { source, .. } => source.kind(),
            Failure::Credentials(_) => Kind::Config,
            Failure::Challenge(_)
            | Failure::TokenRequest(_)
            | Failure::TokenAnswer(_)
            | Failure::Schema1(_)
            | Failure::Protocol(_) => Kind::Protocol,
        }
    }

    /// The HTTP status that it stands for.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::NotFound { .. } => Some(404),
            Failure::Unauthorized { .. } => Some(401),
            Failure::Denied { .. } => Some(403),
            Failure::RateLimited { .. } => Some(429),
            Failure::Server { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether asking the same host again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Failure::RateLimited { after, .. } => after.map_or(Retry::Now, Retry::After),
            Failure::Server { status: 408 | 500 | 502 | 503 | 504, after, .. } => {
                after.map_or(Retry::Now, Retry::After)
            }
            Failure::Broken(_) | Failure::NoResponse { .. } | Failure::Stalled { .. } => Retry::Now,
            Failure::Connect(error) => connect_retry(error),
            Failure::Token { source, .. } => source.retry(),
            _ => Retry::Never,
        }
    }

    /// Whether the host was there and will not say anything else.
    pub(crate) fn is_last_word(&self) -> bool {
        !self.is_host_down() && self.retry() == Retry::Never
    }

    /// Whether the host itself is out of reach, so that the next request should not wait for it first.
    pub(crate) fn is_host_down(&self) -> bool {
        matches!(self, Failure::Connect(_) | Failure::NoResponse { .. } | Failure::OutOfReach { .. })
    }
}

fn connect_kind(error: &ConnectError) -> Kind {
    match error {
        ConnectError::Dial { .. }
        | ConnectError::DialTimeout { .. }
        | ConnectError::TlsBroken { .. }
        | ConnectError::TlsTimeout { .. }
        | ConnectError::Tunnel { .. } => Kind::Unreachable,
        ConnectError::ProxyScheme { .. } | ConnectError::Certificates(_) => Kind::Config,
        ConnectError::Tls { .. } | ConnectError::ServerName { .. } => Kind::Tls,
    }
}

/// A timeout has already waited long enough; a certificate does not get better.
fn connect_retry(error: &ConnectError) -> Retry {
    match error {
        ConnectError::Dial { .. } | ConnectError::TlsBroken { .. } | ConnectError::Tunnel { .. } => {
            Retry::Now
        }
        ConnectError::DialTimeout { .. }
        | ConnectError::TlsTimeout { .. }
        | ConnectError::Tls { .. }
        | ConnectError::Certificates(_)
        | ConnectError::ProxyScheme { .. }
        | ConnectError::ServerName { .. } => Retry::Never,
    }
}

fn few(bytes: u64) -> String {
    if bytes == 0 { "no byte for".to_owned() } else { format!("only {bytes} bytes in") }
}

fn schema1_hint(media_type: &str) -> &'static str {
    if oci::media_type::is_schema1(media_type) {
        ": Docker schema 1 images are switched off on this node"
    } else {
        ""
    }
}
