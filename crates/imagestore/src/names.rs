//! What the name of a record says: a repo tag, a repo digest, an image id, or nothing that CRI shows.

use refparse::Reference;

/// The classes in which CRI answers names; their order is the order in which containerd's CRI plugin sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameClass {
    /// `name:tag`.
    Tag,
    /// `name@digest`.
    Digest,
    /// The image id, or a name in no known form: kept, removed with the image, not shown.
    Other,
}

/// The class of `name`, with the normalized form in which CRI shows it. Records that other clients wrote may be in
/// familiar form (`busybox:1`).
pub(crate) fn classify(name: &str) -> (NameClass, Option<String>) {
    // An image id is 71 characters of `algorithm:hex`, which the reference grammar would take for name and tag.
    if refparse::Digest::parse(name).is_ok() {
        return (NameClass::Other, None);
    }
    let Ok(reference) = Reference::parse(name) else { return (NameClass::Other, None) };
    match (reference.digest(), reference.tag()) {
        (Some(_), _) => (NameClass::Digest, Some(reference.as_str().to_owned())),
        // `latest` that only normalization added is no tag that someone gave.
        (None, Some(tag)) if name.ends_with(&format!(":{tag}")) => {
            (NameClass::Tag, Some(reference.as_str().to_owned()))
        }
        _ => (NameClass::Other, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(name: &str, class: NameClass, shown: Option<&str>) {
        let name = name.replace("DIGEST", DIGEST);
        let shown = shown.map(|s| s.replace("DIGEST", DIGEST));
        assert_eq!(classify(&name), (class, shown), "{name}");
    }

    #[test]
    fn names_are_shown_as_containerd_shows_them() {
        check("docker.io/library/busybox:1", NameClass::Tag, Some("docker.io/library/busybox:1"));
        check("busybox:1", NameClass::Tag, Some("docker.io/library/busybox:1"));
        check("docker.io/library/busybox", NameClass::Other, None);
        check("localhost:5000/a@DIGEST", NameClass::Digest, Some("localhost:5000/a@DIGEST"));
        check("DIGEST", NameClass::Other, None);
        check("not a reference", NameClass::Other, None);
    }
}
