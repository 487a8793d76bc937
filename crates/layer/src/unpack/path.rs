//! Paths as archives write them.

/// The components of `path` with `.` and `..` taken out by the text alone, as Go's `filepath.Clean` does: no path leads
/// above the root.
pub(super) fn clean(path: &[u8]) -> Vec<&[u8]> {
    let mut components = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            name => components.push(name),
        }
    }
    components
}

/// The components with slashes between them.
pub(super) fn join(components: &[&[u8]]) -> Vec<u8> {
    components.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_above_the_root() {
        let check = |path: &str, expected: &str| {
            assert_eq!(join(&clean(path.as_bytes())), expected.as_bytes(), "{path}");
        };
        check("a/b", "a/b");
        check("/a//./b/", "a/b");
        check("../../etc", "etc");
        check("a/../../b", "b");
        check("./", "");
        check("..", "");
    }
}
