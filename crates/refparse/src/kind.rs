//! Every way in which a reference or a digest can be wrong, and the phrase for each; never where it is wrong.

use std::fmt;

use crate::Part;
use crate::grammar::{REPOSITORY_BYTES_MAX, TAG_BYTES_MAX};
use crate::shown::Shown;

/// Why a string is not a reference.
///
/// More kinds may be added where an error can be told more exactly, so a match needs an arm for the rest;
/// [`part`](ParseErrorKind::part) stays true then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Occurs when the input is empty.
    Empty,
    /// Occurs when the input is 64 lower-case hex digits and nothing else, which is what an image id looks like.
    BareIdentifier,
    /// Occurs when the input begins like a URL, as in `https://example.com/app`.
    Scheme,
    /// Occurs when there is a port but no host, as in `:5000/app`.
    RegistryHostEmpty,
    /// Occurs when two dots meet in a host, or a dot stands at one of its ends, as in `example..com/app`.
    RegistryLabelEmpty,
    /// Occurs when a label of a host begins or ends with a hyphen, as in `-example.com/app`.
    RegistryLabelHyphen,
    /// Occurs when an IPv6 address in brackets is empty, is not closed, or holds something else than hex digits and
    /// colons, as in `[fe80::1%eth0]/app`.
    RegistryAddress,
    /// Occurs when what follows the colon after a host is not one or more decimal digits, as in `example.com:/app`.
    RegistryPort,
    /// Occurs when a host holds a character that no host can have.
    RegistryCharacter(char),
    /// Occurs when nothing stands where the repository should be, as in `example.com/:v1`.
    RepositoryEmpty,
    /// Occurs when nothing stands before, between or after slashes, as in `example.com/team//app`.
    RepositoryComponentEmpty,
    /// Occurs when a component begins or ends with a separator, or separators are put together in a way that is not
    /// allowed, as in `app-` or `a..b`.
    RepositorySeparator,
    /// Occurs when a repository holds an upper-case letter.
    RepositoryUppercase(char),
    /// Occurs when a repository holds another character that no repository can have.
    RepositoryCharacter(char),
    /// Occurs when a repository, normalized, is longer than 255 bytes.
    RepositoryTooLong {
        /// The length that it has, in bytes.
        length_bytes: usize,
    },
    /// Occurs when nothing follows the colon after the repository, as in `app:`.
    TagEmpty,
    /// Occurs when a tag begins with a character that may stand only later in it: `.` or `-`.
    TagStart(char),
    /// Occurs when a tag holds a character that no tag can have.
    TagCharacter(char),
    /// Occurs when a tag is longer than 128 bytes.
    TagTooLong {
        /// The length that it has, in bytes.
        length_bytes: usize,
    },
    /// Occurs when what follows the `@` is not a digest.
    Digest(DigestErrorKind),
}

impl ParseErrorKind {
    /// The part of a reference that is wrong by this kind.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::Empty | Self::BareIdentifier => Part::Reference,
            Self::Scheme
            | Self::RegistryHostEmpty
            | Self::RegistryLabelEmpty
            | Self::RegistryLabelHyphen
            | Self::RegistryAddress
            | Self::RegistryPort
            | Self::RegistryCharacter(_) => Part::Registry,
            Self::RepositoryEmpty
            | Self::RepositoryComponentEmpty
            | Self::RepositorySeparator
            | Self::RepositoryUppercase(_)
            | Self::RepositoryCharacter(_)
            | Self::RepositoryTooLong { .. } => Part::Repository,
            Self::TagEmpty | Self::TagStart(_) | Self::TagCharacter(_) | Self::TagTooLong { .. } => Part::Tag,
            Self::Digest(_) => Part::Digest,
        }
    }
}

/// The reason alone, without the input and the place.
impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the reference is empty"),
            Self::BareIdentifier => {
                f.write_str("64 hex digits are an image id, which cannot be a repository")
            }
            Self::Scheme => f.write_str("a reference begins with the registry, without a scheme"),
            Self::RegistryHostEmpty => f.write_str("the registry has no host"),
            Self::RegistryLabelEmpty => f.write_str("the registry has a dot with nothing beside it"),
            Self::RegistryLabelHyphen => {
                f.write_str("a label of the registry's host cannot begin or end with a hyphen")
            }
            Self::RegistryAddress => {
                f.write_str("the registry's address must be hex digits and colons between `[` and `]`")
            }
            Self::RegistryPort => f.write_str("the registry's port must be decimal digits"),
            Self::RegistryCharacter(c) => write!(f, "the registry cannot have `{}`", Shown(*c)),
            Self::RepositoryEmpty => f.write_str("the repository is missing"),
            Self::RepositoryComponentEmpty => f.write_str("the repository has nothing beside a slash"),
            Self::RepositorySeparator => f.write_str(
                "the repository must have letters or digits on both sides of `.`, `_`, `__` or hyphens",
            ),
            Self::RepositoryUppercase(c) => {
                write!(f, "`{}` is upper case, which a repository cannot have", Shown(*c))
            }
            Self::RepositoryCharacter(c) => write!(f, "the repository cannot have `{}`", Shown(*c)),
            Self::RepositoryTooLong { length_bytes } => {
                write!(f, "the repository has {length_bytes} bytes, more than {REPOSITORY_BYTES_MAX}")
            }
            Self::TagEmpty => f.write_str("the tag is missing"),
            Self::TagStart(c) => write!(f, "the tag cannot begin with `{}`", Shown(*c)),
            Self::TagCharacter(c) => write!(f, "the tag cannot have `{}`", Shown(*c)),
            Self::TagTooLong { length_bytes } => {
                write!(f, "the tag has {length_bytes} bytes, more than {TAG_BYTES_MAX}")
            }
            Self::Digest(kind) => kind.fmt(f),
        }
    }
}

/// Why a string is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestErrorKind {
    /// Occurs when nothing stands where the digest should be.
    Empty,
    /// Occurs when no colon parts the algorithm from the hex digits.
    SeparatorMissing,
    /// Occurs when the algorithm is none of sha256, sha384 and sha512, in lower case.
    AlgorithmUnknown,
    /// Occurs when a hex digit is upper case.
    HexUppercase(char),
    /// Occurs when something else than a hex digit stands after the colon.
    HexCharacter(char),
    /// Occurs when there are more or fewer hex digits than the algorithm has.
    HexLength {
        /// How many the algorithm has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// The reason alone, without the input and the place.
impl fmt::Display for DigestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the digest is missing"),
            Self::SeparatorMissing => f.write_str("the digest has no colon after its algorithm"),
            Self::AlgorithmUnknown => {
                f.write_str("the digest's algorithm is unknown, known are sha256, sha384 and sha512")
            }
            Self::HexUppercase(c) => write!(f, "`{}` is upper case, which a digest cannot have", Shown(*c)),
            Self::HexCharacter(c) => write!(f, "the digest cannot have `{}` after the colon", Shown(*c)),
            Self::HexLength { expected, found } => {
                write!(f, "the digest has {found} hex digits, its algorithm has {expected}")
            }
        }
    }
}
