//! The two errors of the crate: an input, the place in it, and the kind; the kinds themselves are in `kind`.

use std::fmt;

use crate::shown::Excerpt;
use crate::{DigestErrorKind, ParseErrorKind};

/// The part of a reference that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The reference as a whole.
    Reference,
    /// The host with its port, before the first slash.
    Registry,
    /// The path within the registry.
    Repository,
    /// What follows the `:` after the repository.
    Tag,
    /// What follows the `@`.
    Digest,
}

/// The part's name in lower case: `registry`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Registry => "registry",
            Self::Repository => "repository",
            Self::Tag => "tag",
            Self::Digest => "digest",
        })
    }
}

/// What a scanner found wrong, before it is known what input the scanned part is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault<K> {
    pub(crate) kind: K,
    pub(crate) offset: usize,
}

impl<K> Fault<K> {
    pub(crate) fn new(kind: K, offset: usize) -> Fault<K> {
        Fault { kind, offset }
    }

    /// The same fault seen from an input in which the scanned part begins at `start`.
    pub(crate) fn shifted(self, start: usize) -> Fault<K> {
        Fault { kind: self.kind, offset: start + self.offset }
    }
}

/// A string that is not a reference, with what is wrong and where.
///
/// Its text names the input, with control and invisible characters escaped and cut when it is long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    input: Box<str>,
    offset: usize,
    kind: ParseErrorKind,
}

impl ParseError {
    #[cold]
    pub(crate) fn new(input: &str, fault: Fault<ParseErrorKind>) -> ParseError {
        ParseError { input: input.into(), offset: fault.offset, kind: fault.kind }
    }

    /// The string that was given, whole and unescaped.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The byte of the [input](ParseError::input) at which it goes wrong: the first wrong character, the first one past
    /// a limit, or the end where something is missing.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ParseErrorKind {
        &self.kind
    }

    /// The part that is wrong, the same as the [kind's](ParseErrorKind::part).
    #[must_use]
    pub fn part(&self) -> Part {
        self.kind.part()
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError { input, offset, kind } = self;
        write!(f, "invalid reference {} at byte {offset}: {kind}", Excerpt(input))
    }
}

impl std::error::Error for ParseError {}

/// A string that is not a digest, with what is wrong and where.
///
/// Its text names the input as that of [`ParseError`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DigestError {
    input: Box<str>,
    offset: usize,
    kind: DigestErrorKind,
}

impl DigestError {
    #[cold]
    pub(crate) fn new(input: &str, fault: Fault<DigestErrorKind>) -> DigestError {
        DigestError { input: input.into(), offset: fault.offset, kind: fault.kind }
    }

    /// The string that was given, whole and unescaped.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The byte of the [input](DigestError::input) at which it goes wrong.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &DigestErrorKind {
        &self.kind
    }
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DigestError { input, offset, kind } = self;
        write!(f, "invalid digest {} at byte {offset}: {kind}", Excerpt(input))
    }
}

impl std::error::Error for DigestError {}
