//! Whether a file is open to every user of the machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Whether others than owner and group may read `path`; a file that is not there is not open.
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
