//! The JSON of a token answer, read leniently: what the token does not depend on never makes it unreadable.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::rfc3339;
use crate::json::secret;
use crate::secret::Secret;

/// The fields of distribution's `token.md` and `oauth.md` that are used.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default, deserialize_with = "secret")]
    token: Secret,
    #[serde(default, deserialize_with = "secret")]
    access_token: Secret,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Secret,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) expires_in: Option<Duration>,
    #[serde(default)]
    issued_at: Value,
}

impl Answer {
    pub(super) fn token(&self) -> Option<Secret> {
        [&self.access_token, &self.token].into_iter().find(|token| !token.is_empty()).cloned()
    }

    pub(super) fn refresh_token(&self) -> Option<Secret> {
        Some(&self.refresh_token).filter(|token| !token.is_empty()).cloned()
    }

    pub(super) fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at.as_str().and_then(rfc3339::parse)
    }
}

/// A positive number of seconds, as a number or as a string of one; anything else is like a missing one.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    // What does not fit stands for "never", and the caller caps it.
    let to_duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let lifetime = number.filter(|&seconds| seconds > 0.0).map(to_duration);
    // A number may be positive and yet nothing in nanoseconds.
    Ok(lifetime.filter(|lifetime| !lifetime.is_zero()))
}
