//! Properties of printing and parsing, and the strategies for inputs.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use refparse::{Digest, Reference};

/// Pieces that references are made of, and some that they are not.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    ":",
    ":",
    "@",
    ".",
    "_",
    "__",
    "-",
    "--",
    "[",
    "]",
    "a",
    "b0",
    "app",
    "busybox",
    "library/",
    "localhost",
    "docker.io/",
    "index.docker.io/",
    "example.com",
    "my_host",
    "5000",
    "v1.2",
    "A",
    "Team",
    "[::1]",
    ":5000/",
    "latest",
    "sha256:",
    "sha384:",
    "sha512:",
    "@sha256:",
    "md5:",
    "é",
    " ",
    "\n",
    "%",
    "\u{202e}",
];

/// Strings of a few pieces, most of them near the grammar, many of them in it.
pub(crate) fn near_reference() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(PIECES).prop_map(str::to_owned),
        1 => "[a-f0-9]{64}",
        1 => "[a-z0-9]{1,9}",
    ];
    prop_oneof![vec(piece, 0..9).prop_map(|pieces| pieces.concat()), reference()]
}

fn digest() -> impl Strategy<Value = String> {
    prop_oneof!["sha256:[a-f0-9]{64}", "sha384:[a-f0-9]{96}", "sha512:[a-f0-9]{128}"]
}

/// Strings of the grammar.
fn reference() -> impl Strategy<Value = String> {
    let registry = prop_oneof![
        Just(String::new()),
        Just("docker.io/".to_owned()),
        Just("index.docker.io/".to_owned()),
        "(localhost|[A-Z][a-z]{0,4}|[a-z0-9]{1,5}(-[a-z]{1,3})?(\\.[a-zA-Z]{2,4}){1,2}|\\[[0-9a-f:]{2,9}:\\])(:[0-9]{1,5})?/",
        "[a-z]{1,3}_[a-z]{1,3}\\.[a-z]{2}/",
    ];
    let component = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}";
    let path = prop_oneof![
        vec(component, 1..4).prop_map(|components| components.join("/")),
        "library(/[a-z]{1,4}){0,2}",
        "(localhost|a\\.b|docker\\.io)(/[a-z]{1,4}){0,2}",
    ];
    let tag = prop_oneof![Just(String::new()), ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"];
    let digest = prop_oneof![3 => Just(String::new()), 1 => digest().prop_map(|digest| format!("@{digest}"))];
    (registry, path, tag, digest)
        .prop_map(|(registry, path, tag, digest)| format!("{registry}{path}{tag}{digest}"))
}

/// Whether the familiar form names another registry, as its documentation says.
fn is_ambiguous(reference: &Reference) -> bool {
    let first = reference.repository().split_once('/').map(|(first, _)| first);
    reference.registry() == "docker.io"
        && first.is_some_and(|first| first == "localhost" || first.contains('.'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_in_the_grammar_parses(input in reference()) {
        prop_assert!(Reference::parse(&input).is_ok(), "{:?}", Reference::parse(&input));
    }

    #[test]
    fn the_normalized_form_parses_to_the_same(input in near_reference()) {
        if let Ok(reference) = Reference::parse(&input) {
            let again = Reference::parse(reference.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&reference));
            prop_assert_eq!(again.map(String::from), Ok(reference.to_string()));
        }
    }

    #[test]
    fn the_familiar_form_parses_to_the_same_unless_it_is_ambiguous(input in near_reference()) {
        if let Ok(reference) = Reference::parse(&input) {
            let again = Reference::parse(&reference.familiar());
            prop_assert!(again.is_ok(), "{:?}", again);
            prop_assert_eq!(again.as_ref() == Ok(&reference), !is_ambiguous(&reference), "{}", reference);
        }
    }

    #[test]
    fn the_parts_make_up_the_whole(input in near_reference()) {
        if let Ok(reference) = Reference::parse(&input) {
            let name = format!("{}/{}", reference.registry(), reference.repository());
            prop_assert_eq!(reference.name(), &name);
            let whole = match (reference.tag(), reference.digest()) {
                (Some(tag), None) => format!("{name}:{tag}"),
                (None, Some(digest)) => format!("{name}@{digest}"),
                both => panic!("either a tag or a digest: {both:?}"),
            };
            prop_assert_eq!(reference.as_str(), whole);
        }
    }

    #[test]
    fn a_digest_can_be_put_in_place_of_the_suffix(input in reference(), digest in digest()) {
        let digest = Digest::parse(&digest).expect("it is of the grammar");
        let reference = Reference::parse(&input).expect("it is of the grammar").with_digest(&digest);
        prop_assert_eq!(reference.digest(), Some(&digest));
        let again = Reference::parse(reference.as_str());
        prop_assert_eq!(again.as_ref(), Ok(&reference));
        prop_assert_eq!(again.map(|again| again.repository().to_owned()), Ok(reference.repository().to_owned()));
    }

    #[test]
    fn errors_point_into_any_input_and_show_no_control_character(input in prop_oneof![any::<String>(), near_reference()]) {
        if let Err(error) = Reference::parse(&input) {
            prop_assert!(input.is_char_boundary(error.offset()), "{:?}", error);
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
        if let Err(error) = Digest::parse(&input) {
            prop_assert!(input.is_char_boundary(error.offset()), "{:?}", error);
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
    }

    #[test]
    fn a_digest_prints_as_it_was_read(input in digest()) {
        let digest = Digest::parse(&input).expect("it is of the grammar");
        prop_assert_eq!(digest.to_string(), &*input);
        prop_assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), input);
        prop_assert_eq!(digest.hex().len(), digest.algorithm().hex_count());
    }
}
