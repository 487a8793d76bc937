//! Docker's conventions: what counts as a registry, what is added when it is left out; never the grammar of the parts.

/// The registry of a reference that names none.
pub(crate) const DEFAULT_REGISTRY: &str = "docker.io";
/// The older name of that registry, which is rewritten to it.
const LEGACY_REGISTRY: &str = "index.docker.io";
/// Where repositories of one component are put on that registry.
pub(crate) const OFFICIAL_PREFIX: &str = "library/";
/// The tag of a reference that has neither tag nor digest.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// Cuts the registry off, if there is one, without checking it.
pub(crate) fn split_registry(input: &str) -> (Option<&str>, &str) {
    match input.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, input),
    }
}

/// Whether what stands before the first slash is a registry, and not the first component of a repository.
///
/// An upper-case letter counts because no repository has one, so it can only be meant for a host.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.bytes().any(|byte| matches!(byte, b'.' | b':' | b'A'..=b'Z'))
}

/// A name that the grammar has accepted, after normalization, still in its pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) registry: &'a str,
    /// [`OFFICIAL_PREFIX`] or nothing.
    pub(crate) prefix: &'static str,
    pub(crate) path: &'a str,
}

/// Fills in what a name leaves out.
pub(crate) fn normalize<'a>(registry: Option<&'a str>, path: &'a str) -> Name<'a> {
    let registry = match registry {
        None | Some(LEGACY_REGISTRY) => DEFAULT_REGISTRY,
        Some(registry) => registry,
    };
    let official = registry == DEFAULT_REGISTRY && !path.contains('/');
    Name { registry, prefix: if official { OFFICIAL_PREFIX } else { "" }, path }
}
