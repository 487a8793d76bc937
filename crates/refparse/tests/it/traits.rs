//! Equality, order, hashing and conversions, as the documentation of the types says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use refparse::{Algorithm, Digest, ParseError, Reference};

fn parse(input: &str) -> Reference {
    Reference::parse(input).expect("the test gives a reference")
}

#[test]
fn spellings_of_one_reference_are_equal() {
    let spellings = [
        "busybox",
        "busybox:latest",
        "library/busybox",
        "docker.io/busybox",
        "index.docker.io/library/busybox",
    ];
    let distinct: BTreeSet<Reference> = spellings.into_iter().map(parse).collect();
    assert_eq!(
        distinct.into_iter().map(String::from).collect::<Vec<_>>(),
        ["docker.io/library/busybox:latest"]
    );
}

#[test]
fn order_is_that_of_the_text_with_tags_before_digests() {
    let digested = format!("x.io/app@sha256:{}", "0".repeat(64));
    let sorted = ["x.io/app-b:1", "x.io/app/b:1", "x.io/app:a", "x.io/app:z", &digested, "x.io/app_b:1"];
    let mut references: Vec<Reference> = sorted.iter().rev().map(|input| parse(input)).collect();
    references.sort();
    assert_eq!(references.iter().map(Reference::as_str).collect::<Vec<_>>(), sorted);
}

#[test]
fn maps_are_asked_with_text() {
    let reference = parse("busybox:1");
    let hashed = HashMap::from([(reference.clone(), 1)]);
    let ordered = BTreeMap::from([(reference, 2)]);
    assert_eq!(hashed.get("docker.io/library/busybox:1"), Some(&1));
    assert_eq!(ordered.get("docker.io/library/busybox:1"), Some(&2));

    let digest = Digest::from_sha256([1; 32]);
    let text = digest.to_string();
    assert_eq!(HashMap::from([(digest.clone(), 3)]).get(text.as_str()), Some(&3));
    assert_eq!(BTreeMap::from([(digest, 4)]).get(text.as_str()), Some(&4));
}

#[test]
fn conversions_agree_with_parse() -> Result<(), ParseError> {
    let parsed = Reference::parse("busybox:1")?;
    assert_eq!("busybox:1".parse::<Reference>()?, parsed);
    assert_eq!(Reference::try_from("busybox:1")?, parsed);
    assert_eq!(AsRef::<str>::as_ref(&parsed), "docker.io/library/busybox:1");
    assert_eq!(String::from(parsed.clone()), parsed.to_string());
    assert_eq!(format!("{parsed:?} {parsed:>30}"), format!("Reference(\"{parsed}\")    {parsed}"));
    Ok(())
}

#[test]
fn digests_of_bytes_are_in_lower_case_hex() {
    let sha256 = Digest::from_sha256([0xa0; 32]);
    assert_eq!((sha256.algorithm(), sha256.hex()), (Algorithm::Sha256, &*"a0".repeat(32)));
    let sha384 = Digest::from_sha384([0x0f; 48]);
    assert_eq!((sha384.algorithm(), sha384.hex()), (Algorithm::Sha384, &*"0f".repeat(48)));
    let sha512 = Digest::from_sha512([0x9b; 64]);
    assert_eq!((sha512.algorithm(), sha512.hex()), (Algorithm::Sha512, &*"9b".repeat(64)));
    for digest in [sha256, sha384, sha512] {
        assert_eq!(Digest::try_from(digest.as_str()).as_ref(), Ok(&digest));
        assert_eq!(digest.as_str().parse().as_ref(), Ok(&digest));
        assert_eq!(String::from(digest.clone()), AsRef::<str>::as_ref(&digest));
    }
}
