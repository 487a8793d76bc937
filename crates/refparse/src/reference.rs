//! The normalized reference: one text and where its parts lie in it; parsing is done in `parse`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::{Digest, ParseError, parse};

/// A normalized image reference: a registry, a repository in it, and either a tag or a digest.
///
/// Two references are equal, ordered and hashed as their normalized texts are. So the order is that of bytes: all tags
/// of a repository stand together, sorted, followed by its digests, since `:` comes before `@`; and a map with
/// references for keys can be asked with the normalized text as a `&str`.
///
/// ```
/// use refparse::Reference;
///
/// let long = Reference::parse("index.docker.io/library/busybox:latest")?;
/// assert_eq!(long, Reference::parse("busybox")?);
/// # Ok::<(), refparse::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Reference {
    text: Box<str>,
    registry_len: usize,
    name_len: usize,
    /// Present exactly when the text ends in it; without, the text ends in a tag.
    digest: Option<Digest>,
}

/// What follows the name.
#[derive(Debug)]
pub(crate) enum Suffix<'a> {
    Tag(&'a str),
    Digest(Digest),
}

impl Reference {
    /// Reads a reference as people write it and normalizes it.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the input is not of the [grammar](crate#grammar), or is an image id.
    pub fn parse(input: &str) -> Result<Reference, ParseError> {
        parse::parse(input).map_err(|fault| ParseError::new(input, fault))
    }

    /// Puts checked pieces together; the first `registry_len` bytes of the name are the registry, and a slash follows.
    pub(crate) fn assemble(name: &[&str], registry_len: usize, suffix: Suffix<'_>) -> Reference {
        let name_len = name.iter().map(|piece| piece.len()).sum();
        let (mark, end) = match &suffix {
            Suffix::Tag(tag) => (':', *tag),
            Suffix::Digest(digest) => ('@', digest.as_str()),
        };
        // Allocating the exact size makes the conversion to a box free.
        let mut text = String::with_capacity(name_len + 1 + end.len());
        name.iter().for_each(|piece| text.push_str(piece));
        text.push(mark);
        text.push_str(end);
        let digest = match suffix {
            Suffix::Tag(_) => None,
            Suffix::Digest(digest) => Some(digest),
        };
        Reference { text: text.into_boxed_str(), registry_len, name_len, digest }
    }

    /// The registry's host, with its port if that was given: `docker.io`, `localhost:5000`, `[::1]:5000`.
    ///
    /// It is the name by which the registry is known, not always the host to connect to: Docker Hub's `docker.io` is
    /// served by another one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.text[..self.registry_len]
    }

    /// The path within the registry: `library/busybox`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.text[self.registry_len + 1..self.name_len]
    }

    /// Registry and repository: `docker.io/library/busybox`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..self.name_len]
    }

    /// The tag; absent exactly when there is a [digest](Reference::digest).
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self.digest {
            None => Some(&self.text[self.name_len + 1..]),
            Some(_) => None,
        }
    }

    /// The digest; absent exactly when there is a [tag](Reference::tag).
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The normalized form: `docker.io/library/busybox:1.36`. Parsing it gives the same reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The reference that names `digest` in the same repository.
    ///
    /// ```
    /// use refparse::{Digest, Reference};
    ///
    /// let digest = Digest::from_sha256([0; 32]);
    /// let pinned = Reference::parse("busybox:1.36")?.with_digest(&digest);
    /// assert_eq!(pinned.as_str(), format!("docker.io/library/busybox@{digest}"));
    /// # Ok::<(), refparse::ParseError>(())
    /// ```
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Reference {
        Reference::assemble(&[self.name()], self.registry_len, Suffix::Digest(digest.clone()))
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Reference) -> bool {
        self.text == other.text
    }
}

impl Eq for Reference {}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Reference) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reference {
    fn cmp(&self, other: &Reference) -> Ordering {
        self.text.cmp(&other.text)
    }
}

// Exactly what `str` feeds the hasher, as `Borrow<str>` requires.
impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for Reference {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// The normalized form.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reference").field(&&*self.text).finish()
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(input: &str) -> Result<Reference, ParseError> {
        Reference::parse(input)
    }
}

impl TryFrom<&str> for Reference {
    type Error = ParseError;

    fn try_from(input: &str) -> Result<Reference, ParseError> {
        Reference::parse(input)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.text.into()
    }
}
