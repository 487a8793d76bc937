//! Which names of blobs are paths that a file can have in a layer.

use super::PathFault;

/// Longest component of a path, in bytes (Linux `NAME_MAX`).
const NAME_BYTES_MAX: usize = 255;

/// Longest path, in bytes (Linux `PATH_MAX`, without the NUL at its end).
const PATH_BYTES_MAX: usize = 4095;

/// What every unpacker reads as an order to remove (OCI image-spec 1.1, layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";

/// The path that `name` stands for: `./` and doubled slashes say nothing.
pub(super) fn of(name: &str) -> Result<String, PathFault> {
    if name.len() > PATH_BYTES_MAX {
        return Err(PathFault::Long(PATH_BYTES_MAX));
    }
    if name.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    // NUL ends a path. The others have no use but to fool whoever reads a log, or who tells archives by their first bytes.
    if name.chars().any(char::is_control) {
        return Err(PathFault::Control);
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in &parts {
        match *part {
            ".." => return Err(PathFault::Parent),
            _ if part.starts_with(WHITEOUT) => return Err(PathFault::Whiteout),
            _ if part.len() > NAME_BYTES_MAX => return Err(PathFault::LongPart(NAME_BYTES_MAX)),
            _ => {}
        }
    }
    if parts.is_empty() { Err(PathFault::Empty) } else { Ok(parts.join("/")) }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_for_a_path_stays_below_the_root(
            name in prop_oneof![any::<String>(), "[./a-c\\\\]{0,12}", "(\\.wh\\.|\\.\\.|a|/|\0){0,6}"],
        ) {
            let Ok(path) = of(&name) else { return Ok(()) };
            let parts: Vec<Component<'_>> = Path::new(&path).components().collect();
            prop_assert!(!parts.is_empty());
            prop_assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))));
            prop_assert_eq!(path.split('/').count(), parts.len());
            prop_assert!(!path.split('/').any(|part| part.starts_with(".wh.")));
            prop_assert!(!path.contains('\0'));
            // As a path it is taken for itself.
            prop_assert_eq!(of(&path), Ok(path.clone()));
        }
    }
}
