//! What is wrong with an archive.

/// An archive that cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tar archive is not usable at byte {offset}{}: {problem}", place(.path))]
pub struct TarError {
    /// Bytes of the uncompressed archive before the place.
    pub offset: u64,
    /// Path of the entry, where it is known.
    pub path: Option<Vec<u8>>,
    /// What is wrong.
    pub problem: TarProblem,
}

/// The kinds of wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarProblem {
    /// Not a tar header.
    #[error("the checksum of the header is wrong")]
    Checksum,
    /// One block of zeros, where two end the archive.
    #[error("a single block of zeros stands between two entries")]
    LoneZeros,
    /// The bytes end within an entry.
    #[error("it ends too early")]
    Truncated,
    /// A field that is no number of its kind, or too large or negative.
    #[error("the field `{field}` has the unusable value `{value}`")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it is, as far as it can be printed.
        value: String,
    },
    /// A malformed extended header.
    #[error("the extended header is malformed: {0}")]
    Extension(&'static str),
    /// A malformed map of a sparse file.
    #[error("the map of the sparse file is malformed: {0}")]
    Sparse(&'static str),
    /// A kind of entry that no layer may have.
    #[error("entries of type `{}` are not supported in layers", char::from(*.0).escape_default())]
    Type(u8),
    /// More than the limits allow.
    #[error("{what} is more than the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

fn place(path: &Option<Vec<u8>>) -> String {
    const SHOWN_MAX: usize = 300;
    match path {
        Some(path) => {
            let shown = path.get(..SHOWN_MAX).unwrap_or(path);
            format!(" (`{}`)", shown.escape_ascii())
        }
        None => String::new(),
    }
}
