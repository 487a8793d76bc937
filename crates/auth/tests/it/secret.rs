//! What a secret is and does not show.

use std::collections::{BTreeSet, HashSet};

use auth::Secret;

#[test]
fn debug_shows_neither_text_nor_length() {
    assert_eq!(format!("{:?}", Secret::from("")), format!("{:?}", Secret::from("hunter2")));
    assert_eq!(format!("{:#?}", Secret::from("hunter2")), "Secret(****)");
}

#[test]
fn equality_order_and_hash_are_those_of_the_text() {
    let texts = ["", "a", "b", "ab", "a"];
    let secrets = texts.map(Secret::from);
    for (text, secret) in texts.iter().zip(&secrets) {
        for (other_text, other) in texts.iter().zip(&secrets) {
            assert_eq!(secret == other, text == other_text);
            assert_eq!(secret.cmp(other), text.cmp(other_text));
        }
    }
    assert_eq!(secrets.iter().collect::<HashSet<_>>().len(), 4);
    let sorted: Vec<&str> = secrets.iter().collect::<BTreeSet<_>>().into_iter().map(Secret::expose).collect();
    assert_eq!(sorted, ["", "a", "ab", "b"]);
}

#[test]
fn clones_share_the_text() {
    let secret = Secret::from(String::from("hunter2"));
    let clone = secret.clone();
    assert_eq!(secret.expose().as_ptr(), clone.expose().as_ptr());
    drop(secret);
    assert_eq!(clone.expose(), "hunter2");
}
