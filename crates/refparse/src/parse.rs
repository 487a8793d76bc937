//! Takes an input apart, has every part checked from left to right, and puts the normalized reference together.

use crate::ParseErrorKind as Kind;
use crate::digest;
use crate::error::Fault;
use crate::grammar::{self, REPOSITORY_BYTES_MAX};
use crate::normalize::{DEFAULT_TAG, Name, normalize, split_registry};
use crate::reference::{Reference, Suffix};

/// Parses and normalizes `input`; a fault's offset is within it.
pub(crate) fn parse(input: &str) -> Result<Reference, Fault<Kind>> {
    if input.is_empty() {
        return Err(Fault::new(Kind::Empty, 0));
    }
    if grammar::is_identifier(input) {
        return Err(Fault::new(Kind::BareIdentifier, 0));
    }
    let (registry, rest) = split_registry(input);
    let path_end = rest.bytes().position(|byte| matches!(byte, b':' | b'@')).unwrap_or(rest.len());
    let (path, tail) = rest.split_at(path_end);
    let path_start = input.len() - rest.len();

    let host_counts = match registry {
        None => false,
        Some(registry) => check_registry(registry, rest)?,
    };
    grammar::repository(path).map_err(|fault| fault.shifted(path_start))?;
    let name = normalize(registry, path);
    let counted_start = if host_counts { 0 } else { path_start };
    check_length(name.prefix.len() + path_start + path_end - counted_start, path_start + path_end)?;
    let suffix = parse_tail(tail).map_err(|fault| fault.shifted(path_start + path_end))?;
    Ok(assemble(name, suffix))
}

/// Checks a registry; answers whether it is one that the length limit of the repository counts too.
///
/// That is a host with an underscore: no registry by the grammar, but a legal component, so that the whole name is
/// taken for a repository. See the crate's documentation, "What is not in the grammar".
fn check_registry(registry: &str, rest: &str) -> Result<bool, Fault<Kind>> {
    match grammar::registry(registry) {
        Ok(()) => Ok(false),
        Err(_) if grammar::repository(registry).is_ok() => Ok(true),
        Err(Fault { kind: Kind::RegistryPort, .. }) if registry.ends_with(':') && rest.starts_with('/') => {
            Err(Fault::new(Kind::Scheme, 0))
        }
        Err(fault) => Err(fault),
    }
}

/// Checks the length of a normalized repository that ends at `end` of the input.
fn check_length(length_bytes: usize, end: usize) -> Result<(), Fault<Kind>> {
    match length_bytes.checked_sub(REPOSITORY_BYTES_MAX) {
        None | Some(0) => Ok(()),
        Some(excess) => Err(Fault::new(Kind::RepositoryTooLong { length_bytes }, end - excess)),
    }
}

/// Parses what follows the repository: nothing, or a tag, a digest, or both.
fn parse_tail(tail: &str) -> Result<Suffix<'_>, Fault<Kind>> {
    let (tag, digest) = match tail.strip_prefix(':') {
        None => (None, tail.strip_prefix('@')),
        Some(after) => match after.split_once('@') {
            None => (Some(after), None),
            Some((tag, digest)) => (Some(tag), Some(digest)),
        },
    };
    // A tag beside a digest is dropped, but must be a tag all the same.
    if let Some(tag) = tag {
        grammar::tag(tag).map_err(|fault| fault.shifted(1))?;
    }
    match (digest, tag) {
        (Some(digest), _) => match digest::check(digest) {
            Ok(()) => Ok(Suffix::Digest(digest::checked(digest))),
            Err(fault) => Err(Fault::new(Kind::Digest(fault.kind), tail.len() - digest.len() + fault.offset)),
        },
        (None, Some(tag)) => Ok(Suffix::Tag(tag)),
        (None, None) => Ok(Suffix::Tag(DEFAULT_TAG)),
    }
}

fn assemble(name: Name<'_>, suffix: Suffix<'_>) -> Reference {
    let Name { registry, prefix, path } = name;
    Reference::assemble(&[registry, "/", prefix, path], registry.len(), suffix)
}
