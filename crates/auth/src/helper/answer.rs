//! The JSON that a helper writes.

use serde::Deserialize;

use crate::json::{or_default, secret};
use crate::secret::Secret;

/// The answer to `get` (docker-credential-helpers, `credentials/credentials.go`). Its `ServerURL` repeats the question
/// and is not read: credentials are bound to the host that was asked for, whatever the helper says.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default, rename = "Username", deserialize_with = "or_default")]
    pub(super) username: String,
    #[serde(default, rename = "Secret", deserialize_with = "secret")]
    pub(super) secret: Secret,
}
