//! An overlay that is mounted for as long as a value lives.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use containerd::{Client, Prepared};
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

/// What `read` says of the files of the chain of snapshots that is called `top`.
pub(crate) async fn look<T>(
    client: &Client,
    top: &str,
    read: impl FnOnce(&Path) -> std::io::Result<T>,
) -> anyhow::Result<T> {
    // Without a lease containerd's collector takes the snapshot while it is looked at.
    #[expect(clippy::disallowed_methods, reason = "a real containerd compares it with the wall's clock")]
    let expires = SystemTime::now() + Duration::from_secs(3600);
    let lease = client.leases().create("look", expires, BTreeMap::new()).await?;
    let snapshots = client.with_lease(&lease).snapshots("overlayfs");
    let Prepared::Active(mounts) = snapshots.prepare("look", top, &BTreeMap::new()).await? else {
        anyhow::bail!("another snapshot is called look");
    };
    let options = mounts.first().context("a snapshot has a mount")?.options.join(",");
    let mounted = Mounted::overlay(&options)?;
    let seen = read(mounted.path())?;
    drop(mounted);
    snapshots.remove("look").await?;
    client.leases().delete(&lease, false).await?;
    Ok(seen)
}
