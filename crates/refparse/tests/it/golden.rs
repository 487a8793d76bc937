//! Agreement with distribution/reference, on the table that was written with it.

use refparse::{Digest, Reference};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Input, domain, path, what follows the name, familiar form.
    accepted: Vec<[String; 5]>,
    refused: Vec<String>,
    digests: GoldenDigests,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenDigests {
    accepted: Vec<String>,
    refused: Vec<String>,
}

fn golden() -> Golden {
    toml::from_str(include_str!("../data/golden.toml")).expect("the table is as it was written")
}

#[track_caller]
fn check([input, domain, path, suffix, familiar]: &[String; 5]) {
    let reference =
        Reference::parse(input).unwrap_or_else(|error| panic!("accepted by the Go module: {error}"));
    if domain.is_empty() {
        // A host with an underscore: the Go module has no domain for it, this crate the first component.
        assert_eq!(reference.name(), path, "{input}");
        assert!(reference.registry().contains('_'), "{input}");
    } else {
        assert_eq!((reference.registry(), reference.repository()), (&**domain, &**path), "{input}");
    }
    assert_eq!(reference.as_str(), format!("{}{suffix}", reference.name()), "{input}");
    match suffix.split_at(1) {
        (":", tag) => assert_eq!((reference.tag(), reference.digest()), (Some(tag), None), "{input}"),
        (_, digest) => assert_eq!(
            (reference.tag(), reference.digest().map(Digest::as_str)),
            (None, Some(digest)),
            "{input}"
        ),
    }
    assert_eq!(reference.familiar(), *familiar, "{input}");
}

#[test]
fn what_the_go_module_accepts_is_accepted_with_the_same_parts() {
    let accepted = golden().accepted;
    assert!(accepted.len() > 300, "the table is whole");
    accepted.iter().for_each(check);
}

#[test]
fn what_the_go_module_refuses_is_refused() {
    let refused = golden().refused;
    assert!(refused.len() > 500, "the table is whole");
    for input in refused {
        assert!(Reference::parse(&input).is_err(), "{input:?}");
    }
}

#[test]
fn digests_are_those_of_the_go_module() {
    let GoldenDigests { accepted, refused } = golden().digests;
    assert!(accepted.iter().all(|input| Digest::parse(input).is_ok()), "{accepted:?}");
    for input in refused {
        assert!(Digest::parse(&input).is_err(), "{input:?}");
    }
}
