//! An overlay that is mounted for as long as a value lives.

use std::ffi::CString;
use std::path::Path;

use anyhow::Context as _;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

pub(crate) struct Mounted {
    target: TempDir,
}

impl Mounted {
    pub(crate) fn overlay(options: &str) -> anyhow::Result<Mounted> {
        let target = tempfile::tempdir()?;
        let text = CString::new(options)?;
        mount("overlay", target.path(), "overlay", MountFlags::empty(), text.as_c_str())
            .with_context(|| format!("cannot mount an overlay with {options}"))?;
        Ok(Mounted { target })
    }

    pub(crate) fn path(&self) -> &Path {
        self.target.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A mount that stays shows by the folder that cannot be removed.
        let _ = unmount(self.target.path(), UnmountFlags::DETACH);
    }
}
