//! Finds the name that a misspelt one was meant to be.

use super::key::KEYS;

/// More edits than a third of the name, and it is another word rather than a slip.
const EDITS_PER_BYTE: usize = 3;

/// The key or table whose name is nearest to `name`, both in full. A key that stands in the wrong table, under its
/// exact name, is nearest of all.
pub(super) fn nearest(name: &str) -> Option<String> {
    let short = name.rsplit('.').next().unwrap_or(name);
    let misplaced = KEYS.iter().find(|key| key.short_name() == short);
    let keys = KEYS.iter().map(|key| key.name);
    let tables = KEYS.iter().map(|key| key.table).filter(|table| !table.is_empty());
    best(name, keys.chain(tables)).or(misplaced.map(|key| key.name)).map(str::to_owned)
}

/// That of `candidates` which `name` was meant to be.
pub(super) fn best<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, candidate)| edits * EDITS_PER_BYTE <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}
