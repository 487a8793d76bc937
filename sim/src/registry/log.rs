//! What was asked of the registry, for checkers.

use http::{Method, StatusCode};

use super::access::Principal;

/// What a request's `Authorization` header proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// There was none.
    Absent,
    /// Basic credentials or a token of this principal.
    Valid(Principal),
    /// A header that proves nothing: a wrong password, an unknown or expired token.
    Invalid,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Method.
    pub method: Method,
    /// The `Host` header or `:authority`.
    pub host: String,
    /// The host that the connection was dialled for, when it was in memory.
    pub dialled: Option<String>,
    /// Path.
    pub path: String,
    /// Query string, without the question mark.
    pub query: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// Whose credentials came with it.
    pub authorization: Authorization,
    /// The answer's status; `None` when there was no answer.
    pub status: Option<StatusCode>,
}
