//! What is wrong with JSON, in words that are short whatever the JSON is.

/// What is wrong with JSON that a peer sent, in at most 200 characters.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonFault(String);

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> JsonFault {
        // It quotes what it found, which may be as long as the document.
        JsonFault(error.to_string().chars().take(200).collect())
    }
}
