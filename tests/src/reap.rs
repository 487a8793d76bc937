//! Ends and unmounts what a private containerd left: shims and containers outlive it on purpose.
//!
//! Only what names the containerd's own temporary folder is touched: a shim by its command line, a container by the
//! mounts of its own mount namespace, a mount by its place.

use std::fs;
use std::path::Path;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};

/// Ends every process of `folder` and detaches every mount below it.
pub(crate) fn reap(folder: &Path) {
    let folder = folder.to_string_lossy();
    let own_mounts = fs::read_link("/proc/self/ns/mnt").ok();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        if pid == rustix::process::getpid() {
            continue;
        }
        let mentions = |file: &str| {
            fs::read(entry.path().join(file))
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&*folder))
        };
        let is_container =
            fs::read_link(entry.path().join("ns/mnt")).ok() != own_mounts && mentions("mountinfo");
        if is_container || mentions("cmdline") {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    // Later mounts lie on top of earlier ones.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| point.starts_with(&*folder)) {
        let _ = rustix::mount::unmount(point, UnmountFlags::DETACH);
    }
}
