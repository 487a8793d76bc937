//! Any string: parsing never panics, what parses prints to itself, and every error points into its input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use refparse::{Digest, Reference};

fuzz_target!(|input: &str| {
    match Reference::parse(input) {
        Ok(reference) => {
            assert_eq!(Reference::parse(reference.as_str()).as_ref(), Ok(&reference), "normalized form");
            let again = Reference::parse(&reference.familiar());
            assert_eq!(
                again.as_ref() == Ok(&reference),
                !is_ambiguous(&reference),
                "familiar form of {reference}"
            );
            let name = format!("{}/{}", reference.registry(), reference.repository());
            assert_eq!(reference.name(), name);
            assert_ne!(reference.tag().is_some(), reference.digest().is_some(), "a tag or a digest");
        }
        Err(error) => {
            assert!(input.is_char_boundary(error.offset()), "{error:?}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }
    match Digest::parse(input) {
        Ok(digest) => assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), input),
        Err(error) => assert!(input.is_char_boundary(error.offset()), "{error:?}"),
    }
});

/// Whether the familiar form names another registry, as its documentation says.
fn is_ambiguous(reference: &Reference) -> bool {
    let first = reference.repository().split_once('/').map(|(first, _)| first);
    reference.registry() == "docker.io"
        && first.is_some_and(|first| first == "localhost" || first.contains('.'))
}
