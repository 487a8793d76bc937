//! How Go's JSON reads strings, for answers and files that Go programs define: null is like a missing field.

use serde::{Deserialize, Deserializer};

use crate::secret::Secret;

/// The value, or its default where it is null.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A string that must not be printed; empty where it is null.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    or_default::<D, String>(deserializer).map(Secret::from)
}
