//! The short form that docker shows to people; the opposite of `normalize`.

use crate::Reference;
use crate::normalize::{DEFAULT_REGISTRY, OFFICIAL_PREFIX};

impl Reference {
    /// The form that docker shows: without `docker.io/`, and without `library/` where only one component follows.
    ///
    /// It parses to the same reference again, except for one kind: a repository on `docker.io` whose first component
    /// would itself be taken for a registry, because it is `localhost` or has a dot in it. `docker.io/a.b/c:1` is shown
    /// as `a.b/c:1`, which names the registry `a.b`. Docker has the same ambiguity. Keep [`as_str`](Reference::as_str)
    /// where the text is read again.
    ///
    /// ```
    /// use refparse::Reference;
    ///
    /// let familiar = |input| Reference::parse(input).map(|reference| reference.familiar());
    /// assert_eq!(familiar("docker.io/library/busybox")?, "busybox:latest");
    /// assert_eq!(familiar("docker.io/team/app:v1")?, "team/app:v1");
    /// assert_eq!(familiar("quay.io/team/app:v1")?, "quay.io/team/app:v1");
    /// # Ok::<(), refparse::ParseError>(())
    /// ```
    #[must_use]
    pub fn familiar(&self) -> String {
        let text = self.as_str();
        if self.registry() != DEFAULT_REGISTRY {
            return text.to_owned();
        }
        let below_registry = &text[DEFAULT_REGISTRY.len() + 1..];
        // Only the repository is asked for a slash, for docker keeps `library/` in front of nested repositories.
        match self.repository().strip_prefix(OFFICIAL_PREFIX) {
            Some(repository) if !repository.contains('/') => {
                below_registry[OFFICIAL_PREFIX.len()..].to_owned()
            }
            _ => below_registry.to_owned(),
        }
    }
}
