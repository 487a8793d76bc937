//! One scope of the distribution token specification: a resource and the actions asked for on it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Longest scope that is read, in bytes: a repository name has at most 255, a registry in it as many.
const SCOPE_BYTES_MAX: usize = 1024;

/// Access to one resource, such as `repository:library/busybox:pull`.
///
/// Grammar (distribution, `docs/content/spec/auth/scope.md`): `type:name:action,action`. The name may hold colons, so
/// the type ends at the first and the name at the last. Actions are a set; they are written sorted. A scope of another
/// shape, which registries of their own making use, is kept as a resource without actions.
///
/// ```
/// use auth::Scope;
///
/// let scope: Scope = "repository:localhost:5000/busybox:push,pull".parse()?;
/// assert_eq!(scope.to_string(), "repository:localhost:5000/busybox:pull,push");
/// assert!(scope.covers(&Scope::repository_pull("localhost:5000/busybox")));
/// # Ok::<(), auth::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// `type:name`, or the whole text of a scope of another shape.
    resource: String,
    /// `None` for a scope of another shape, so that it is written as it came.
    actions: Option<BTreeSet<String>>,
}

/// Why a text is no scope. The text is the peer's and may be long, so it is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Nothing was given.
    #[error("a scope is empty")]
    Empty,
    /// The scope has a character outside of RFC 6749's `scope-token`: visible ASCII but `"` and `\`.
    #[error("a scope has a character that is not allowed at byte {offset}")]
    Character {
        /// Where the character stands.
        offset: usize,
    },
    /// The scope is longer than any name and its actions can be.
    #[error("a scope has {bytes} bytes, more than the {SCOPE_BYTES_MAX} that are read")]
    Length {
        /// Its length in bytes.
        bytes: usize,
    },
}

impl Scope {
    /// What a pull needs of `repository` (`library/busybox`).
    pub fn repository_pull(repository: &str) -> Scope {
        Scope {
            resource: format!("repository:{repository}"),
            actions: Some(BTreeSet::from(["pull".to_owned()])),
        }
    }

    /// Reads one scope; a list of them is split at spaces by [`ScopeSet`](crate::ScopeSet).
    ///
    /// # Errors
    /// [`ScopeError`] for an empty one, one too long, or one with a character that a scope cannot have.
    pub fn parse(text: &str) -> Result<Scope, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.len() > SCOPE_BYTES_MAX {
            return Err(ScopeError::Length { bytes: text.len() });
        }
        let is_forbidden = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\');
        if let Some(offset) = text.bytes().position(is_forbidden) {
            return Err(ScopeError::Character { offset });
        }
        Ok(match text.rsplit_once(':') {
            // A resource has a type, so a single colon does not separate actions.
            Some((resource, actions)) if resource.contains(':') => {
                let actions = actions.split(',').filter(|action| !action.is_empty());
                Scope { resource: resource.to_owned(), actions: Some(actions.map(str::to_owned).collect()) }
            }
            _ => Scope { resource: text.to_owned(), actions: None },
        })
    }

    /// Whether a token for this scope allows everything that `wanted` asks for. The action `*` allows every other.
    pub fn covers(&self, wanted: &Scope) -> bool {
        self.resource == wanted.resource
            && match (&self.actions, &wanted.actions) {
                (Some(granted), Some(wanted)) => granted.contains("*") || granted.is_superset(wanted),
                (granted, wanted) => granted == wanted,
            }
    }

    /// What orders a set and what one scope at most is kept of: the resource, and whether it has actions.
    pub(crate) fn key(&self) -> (&str, bool) {
        (&self.resource, self.actions.is_some())
    }

    /// Adds the actions of a scope with the same [`key`](Scope::key).
    pub(crate) fn add_actions(&mut self, other: &Scope) {
        debug_assert_eq!(self.key(), other.key(), "scopes of one resource");
        if let (Some(actions), Some(more)) = (&mut self.actions, &other.actions) {
            actions.extend(more.iter().cloned());
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.resource)?;
        let Some(actions) = &self.actions else { return Ok(()) };
        formatter.write_str(":")?;
        for (index, action) in actions.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            formatter.write_str(action)?;
        }
        Ok(())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        Scope::parse(text)
    }
}
