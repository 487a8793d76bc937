//! Several scopes with at most one of each resource, in an order that does not depend on how they came together.

use std::fmt;
use std::str::FromStr;

use crate::bounds::SCOPE_COUNT_MAX;
use crate::{Scope, ScopeError};

/// The scopes of one token: merged by resource and sorted, so that equal sets compare equal.
///
/// ```
/// use auth::{Scope, ScopeSet};
///
/// let challenged: ScopeSet = "repository:app:push repository:base:pull".parse()?;
/// let wanted: ScopeSet = [Scope::repository_pull("app")].into_iter().collect();
/// let merged = challenged.merge(&wanted);
/// assert_eq!(merged.to_string(), "repository:app:pull,push repository:base:pull");
/// assert!(merged.covers(&wanted) && !challenged.covers(&wanted));
/// # Ok::<(), auth::ScopeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet {
    /// Sorted by [`Scope::key`], each key once.
    scopes: Vec<Scope>,
}

impl ScopeSet {
    /// No scope: a token for that proves who one is and gives access to nothing.
    pub fn new() -> ScopeSet {
        ScopeSet::default()
    }

    /// Reads scopes separated by spaces (RFC 6749, section 3.3), as in a challenge.
    ///
    /// # Errors
    /// The first [`ScopeError`] among them.
    pub fn parse(text: &str) -> Result<ScopeSet, ScopeError> {
        text.split(' ').filter(|scope| !scope.is_empty()).map(Scope::parse).collect()
    }

    /// Whether there is no scope in it.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// How many resources it names.
    pub fn len(&self) -> usize {
        self.scopes.len()
    }

    /// The scopes, sorted by resource.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.scopes.iter()
    }

    /// Adds a scope; its actions join those of the same resource.
    pub fn insert(&mut self, scope: Scope) {
        match self.scopes.binary_search_by(|present| present.key().cmp(&scope.key())) {
            Ok(index) => self.scopes[index].add_actions(&scope),
            Err(index) => self.scopes.insert(index, scope),
        }
    }

    /// Both sets in one.
    pub fn merge(&self, other: &ScopeSet) -> ScopeSet {
        self.iter().chain(other).cloned().collect()
    }

    /// Whether a token for these scopes does for all of `wanted`.
    pub fn covers(&self, wanted: &ScopeSet) -> bool {
        wanted.iter().all(|wanted| {
            self.scopes
                .binary_search_by(|present| present.key().cmp(&wanted.key()))
                .is_ok_and(|index| self.scopes[index].covers(wanted))
        })
    }

    pub(crate) fn exceeds_bound(&self) -> bool {
        self.scopes.len() > SCOPE_COUNT_MAX
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> ScopeSet {
        let mut set = ScopeSet::new();
        scopes.into_iter().for_each(|scope| set.insert(scope));
        set
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a Scope;
    type IntoIter = std::slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<ScopeSet, ScopeError> {
        ScopeSet::parse(text)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            write!(formatter, "{scope}")?;
        }
        Ok(())
    }
}
