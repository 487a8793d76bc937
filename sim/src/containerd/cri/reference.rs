//! The few rules of image references that the plugin's lookups need.

/// Completes a familiar name: registry, `library/` and `latest`; a tag beside a digest is dropped.
pub(crate) fn normalize(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let is_domain =
        |part: &str| part.contains(['.', ':']) || part == "localhost" || part.to_lowercase() != part;
    let full = match path.split_once('/') {
        Some(("index.docker.io", rest)) => format!("docker.io/{rest}"),
        Some((domain, _)) if is_domain(domain) => path.to_owned(),
        Some(_) => format!("docker.io/{path}"),
        None => format!("docker.io/library/{path}"),
    };
    let full = match full.strip_prefix("docker.io/") {
        Some(rest) if !rest.contains('/') => format!("docker.io/library/{rest}"),
        _ => full,
    };
    match (digest, tag) {
        (Some(digest), _) => format!("{full}@{digest}"),
        (None, tag) => format!("{full}:{}", tag.unwrap_or("latest")),
    }
}

/// Whether a record's name is `name@digest`.
pub(crate) fn is_digested(name: &str) -> bool {
    name.contains('@')
}

/// Whether a record's name is an image id rather than a reference.
pub(crate) fn is_id(name: &str) -> bool {
    crate::digest::is_valid(name)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn familiar_names_are_completed() {
        for (input, expected) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("a/b", "docker.io/a/b:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/a/b:c", "docker.io/a/b:c"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("r.example/a:b@sha256:00", "r.example/a@sha256:00"),
        ] {
            assert_eq!(normalize(input), expected);
        }
    }
}
