//! Leniency of Go's `encoding/json` that serde lacks: `null` stands for an absent value.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the type's default, as Go leaves the zero value there.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
