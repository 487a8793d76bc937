//! Why bytes are no schema 1 document, or cannot be converted.

use refparse::Digest;

use crate::JsonFault;

/// A document that is no schema 1 manifest of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Schema1Error {
    /// No JSON, or fields of the wrong type.
    #[error("malformed Docker schema 1 manifest")]
    Json(#[source] JsonFault),
    /// The signature's protected header cannot be read: without it nobody knows which bytes were signed.
    #[error("Docker schema 1 manifest with a malformed signature")]
    Signature(#[source] SignatureError),
    /// Another version of the schema.
    #[error("Docker schema 1 manifest with schema version {0}")]
    Version(u64),
    /// A field that only other documents have.
    #[error("Docker schema 1 manifest that also has `{0}`")]
    Confused(&'static str),
    /// Each layer has one entry of the history.
    #[error("Docker schema 1 manifest with {layers} layers but {history} history entries")]
    Counts {
        /// Entries of `fsLayers`.
        layers: usize,
        /// Entries of `history`.
        history: usize,
    },
    /// No layer and no history, so no config.
    #[error("Docker schema 1 manifest without history")]
    NoEntries,
    /// More layers than an image can have.
    #[error("Docker schema 1 manifest with {count} history entries, more than {max}")]
    Entries {
        /// What it has.
        count: usize,
        /// What it may have.
        max: usize,
    },
    /// An entry that is longer than what is read.
    #[error("Docker schema 1 manifest whose history entry {number} is longer than {max} bytes")]
    Long {
        /// Counted from the newest, which is 0.
        number: usize,
        /// What it may have.
        max: usize,
    },
    /// A blob is not named by a digest.
    #[error("Docker schema 1 manifest whose layer {number} has no digest")]
    Digest {
        /// Counted from the newest, which is 0.
        number: usize,
        /// What is wrong.
        #[source]
        source: refparse::DigestError,
    },
    /// An entry whose v1 compatibility text is no JSON of the known form.
    #[error("Docker schema 1 manifest with malformed history entry {number}")]
    Compatibility {
        /// Counted from the newest, which is 0.
        number: usize,
        /// What is wrong.
        #[source]
        source: JsonFault,
    },
    /// A conversion without what was measured on a layer.
    #[error("layer `{0}` was not measured")]
    NotMeasured(Digest),
    /// What a conversion makes is longer than a document may be: nobody could read it back.
    #[error("the {what} of the converted Docker schema 1 manifest has {bytes} bytes, more than {max}")]
    TooLarge {
        /// The document.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What it may have.
        max: u64,
    },
    /// Serialization failed, which no input is known to do.
    #[error("cannot write the {what} of the converted Docker schema 1 manifest")]
    Write {
        /// The document.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: JsonFault,
    },
}

/// What is wrong with a signature's protected header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not base64url.
    #[error("`{0}` is no base64url")]
    Base64(&'static str),
    /// No JSON, or fields of the wrong type.
    #[error("malformed protected header")]
    Json(#[source] JsonFault),
    /// It speaks of more bytes than there are.
    #[error("`formatLength` is {format_length} in a document of {length} bytes")]
    Length {
        /// As written.
        format_length: u64,
        /// Of the document.
        length: usize,
    },
}
