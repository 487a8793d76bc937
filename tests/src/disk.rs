//! A file system of its own: ext4 on a loop device over a sparse file, fresh each time, unmounted when dropped.
//!
//! Relies on `mkfs.ext4`, `mount`, `losetup` and root. The file has no name once it is mounted, so nothing of it outlives the mount.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::fs::{StatVfs, statvfs, syncfs};
use rustix::mount::UnmountFlags;
use tempfile::TempDir;
use tokio::process::Command;

use crate::until;

/// What a sector of `/sys/block/*/stat` is, whatever the device's own are.
const SECTOR_BYTES: u64 = 512;

/// A mounted file system.
#[derive(Debug)]
pub struct Disk {
    point: TempDir,
    device: String,
    file: PathBuf,
}

impl Disk {
    /// Makes one of `bytes`, whose file takes in `folder` what is written to it.
    ///
    /// # Errors
    /// Where it cannot be made or mounted.
    pub async fn new(folder: &Path, bytes: u64) -> anyhow::Result<Self> {
        let point = tempfile::Builder::new().prefix("cri-imaged-disk-").tempdir()?;
        let file = tempfile::Builder::new().prefix("disk-").tempfile_in(folder)?;
        file.as_file().set_len(bytes)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(file.path())).await?;
        // Inode tables that the kernel still initialises would be counted as bytes that a pull wrote.
        run(Command::new("mount").args(["-o", "loop,noinit_itable"]).arg(file.path()).arg(point.path()))
            .await?;
        let mut disk = Self { point, device: String::new(), file: file.path().to_owned() };
        disk.device = device_of(disk.path())?;
        // Else a flush of this disk, which each transaction of containerd ends with, waits for all that was ever written to
        // it: the pages of its file are cached once more below it.
        let device = format!("/dev/{}", disk.device);
        run(Command::new("losetup").args(["--direct-io=on", &device])).await?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    /// Brings everything written to it onto the device.
    ///
    /// # Errors
    /// Where the kernel reports one.
    pub fn sync(&self) -> anyhow::Result<()> {
        Ok(syncfs(File::open(self.path())?)?)
    }

    /// What was written to the device since it was mounted; what is still in the page cache is not.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn written_bytes(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(self.device_folder().join("stat"))?;
        let sectors: u64 = text.split_whitespace().nth(6).context("no count of sectors written")?.parse()?;
        Ok(sectors * SECTOR_BYTES)
    }

    /// How many files and folders are on it.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn file_count(&self) -> anyhow::Result<u64> {
        let StatVfs { f_files, f_ffree, .. } = statvfs(self.path())?;
        Ok(f_files - f_ffree)
    }

    /// Unmounts it and waits until its file is gone, so that its end costs no one else anything.
    ///
    /// # Errors
    /// Where something still uses it.
    pub async fn unmount(self) -> anyhow::Result<()> {
        until("the disk can be unmounted", Duration::from_secs(30), || async {
            match rustix::mount::unmount(self.path(), UnmountFlags::empty()) {
                Ok(()) => Ok(Some(())),
                Err(rustix::io::Errno::BUSY) => Ok(None),
                Err(error) => Err(error).context("cannot unmount the disk"),
            }
        })
        .await?;
        let backing = self.device_folder().join("loop/backing_file");
        until("the loop device is free", Duration::from_secs(30), || async {
            let file = fs::read_to_string(&backing).unwrap_or_default();
            Ok((!file.starts_with(&*self.file.to_string_lossy())).then_some(()))
        })
        .await
    }

    fn device_folder(&self) -> PathBuf {
        Path::new("/sys/block").join(&self.device)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // After `unmount` there is nothing there, and that is right.
        let _ = rustix::mount::unmount(self.path(), UnmountFlags::DETACH);
    }
}

/// The name of the loop device that is mounted at `point`.
fn device_of(point: &Path) -> anyhow::Result<String> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields.find(|fields| fields.get(1).is_some_and(|at| Path::new(at) == point));
    let device = found.and_then(|fields| fields.first()?.strip_prefix("/dev/").map(str::to_owned));
    device.with_context(|| format!("no device is mounted at {}", point.display()))
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.with_context(|| format!("cannot start {program}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, stderr.trim());
    Ok(())
}
