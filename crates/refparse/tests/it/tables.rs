//! The tables in `tests/data`, each with one check of its cases.

use refparse::{Digest, Reference};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Table<C> {
    case: Vec<C>,
}

/// Reads a table and runs `check` on every case; there must be some.
#[track_caller]
fn each<C: DeserializeOwned>(text: &str, check: impl Fn(C)) {
    let table: Table<C> = toml::from_str(text).expect("the table is as its check wants it");
    assert!(!table.case.is_empty(), "the table has cases");
    table.case.into_iter().for_each(check);
}

/// Writes out `{text*count}`.
fn expand(field: &str) -> String {
    let mut expanded = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('{') {
        let (repeated, behind) = after.split_once('}').expect("every brace is closed");
        let (text, count) = repeated.split_once('*').expect("a star stands between the braces");
        expanded.push_str(before);
        expanded.push_str(&text.repeat(count.parse().expect("a count follows the star")));
        rest = behind;
    }
    expanded + rest
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    name: String,
    input: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    normalized: String,
    familiar: String,
}

#[test]
fn good_references() {
    each(include_str!("../data/good.toml"), |case: Good| {
        let name = &case.name;
        let reference =
            Reference::parse(&expand(&case.input)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(reference.registry(), expand(&case.registry), "{name}");
        assert_eq!(reference.repository(), expand(&case.repository), "{name}");
        assert_eq!(reference.name(), expand(&format!("{}/{}", case.registry, case.repository)), "{name}");
        assert_eq!(reference.tag(), case.tag.as_deref().map(expand).as_deref(), "{name}");
        assert_eq!(
            reference.digest().map(Digest::as_str),
            case.digest.as_deref().map(expand).as_deref(),
            "{name}"
        );
        assert_eq!(reference.as_str(), expand(&case.normalized), "{name}");
        assert_eq!(reference.familiar(), expand(&case.familiar), "{name}");
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    name: String,
    input: String,
    part: String,
    kind: String,
    offset: usize,
}

#[test]
fn bad_references() {
    each(include_str!("../data/bad.toml"), |case: Bad| {
        let name = &case.name;
        let input = expand(&case.input);
        let error = Reference::parse(&input).expect_err(name);
        assert_eq!(format!("{:?}", error.kind()), case.kind, "{name}");
        assert_eq!(error.part().to_string(), case.part, "{name}");
        assert_eq!(error.offset(), case.offset, "{name}");
        assert_eq!(error.input(), input, "{name}");
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Familiar {
    name: String,
    input: String,
    familiar: String,
    #[serde(default = "yes")]
    again: bool,
}

fn yes() -> bool {
    true
}

#[test]
fn familiar_forms() {
    each(include_str!("../data/familiar.toml"), |case: Familiar| {
        let name = &case.name;
        let reference =
            Reference::parse(&expand(&case.input)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let familiar = reference.familiar();
        assert_eq!(familiar, expand(&case.familiar), "{name}");
        assert_eq!(Reference::parse(&familiar).as_ref() == Ok(&reference), case.again, "{name}");
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestCase {
    name: String,
    input: String,
    algorithm: Option<String>,
    hex: Option<String>,
    kind: Option<String>,
    offset: Option<usize>,
}

#[test]
fn digests() {
    each(include_str!("../data/digests.toml"), |case: DigestCase| {
        let name = &case.name;
        let input = expand(&case.input);
        let (mut algorithm, mut hex, mut kind, mut offset) = (None, None, None, None);
        match Digest::parse(&input) {
            Ok(digest) => {
                assert_eq!(digest.as_str(), input, "{name}");
                algorithm = Some(digest.algorithm().to_string());
                hex = Some(digest.hex().to_owned());
            }
            Err(error) => {
                assert_eq!(error.input(), input, "{name}");
                kind = Some(format!("{:?}", error.kind()));
                offset = Some(error.offset());
            }
        }
        assert_eq!(algorithm, case.algorithm, "{name}");
        assert_eq!(hex, case.hex.as_deref().map(expand), "{name}");
        assert_eq!((kind, offset), (case.kind, case.offset), "{name}");
    });
}
