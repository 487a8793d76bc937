//! How much of each input is read. Everything here comes from a peer or a file of a user; what exceeds its bound is
//! refused with an error that names the bound, never cut.

/// Longest field of an [`AuthConfig`](crate::AuthConfig) or a configuration entry, in bytes.
///
/// Common HTTP servers refuse headers far below this, so nothing longer could ever be used.
pub const CREDENTIAL_BYTES_MAX: usize = 64 * 1024;

/// Longest single `WWW-Authenticate` header value, in bytes.
pub const CHALLENGE_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Most challenges that one answer may carry, over all its headers and including those of unknown schemes.
pub const CHALLENGE_COUNT_MAX: usize = 32;

/// Most parameters of one challenge; real ones have at most six.
pub(crate) const PARAMETER_COUNT_MAX: usize = 32;

/// Most scopes of one challenge; registries ask for one or two (a cross-repository mount).
pub(crate) const SCOPE_COUNT_MAX: usize = 64;

/// Longest token answer that is read, in bytes: an access token, its copy as `token`, and a refresh token fit many times.
pub const TOKEN_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest docker configuration file, in bytes; a Kubernetes secret holding one may have 1 MiB.
pub const DOCKER_CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest answer of a credential helper, in bytes.
pub const HELPER_ANSWER_BYTES_MAX: usize = 128 * 1024;
