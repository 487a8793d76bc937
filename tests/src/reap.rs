//! Ends and unmounts what a private containerd left: shims and containers outlive it on purpose.
//!
//! Only what names the containerd's own temporary folder is touched: a shim by its command line, a container by its root
//! file system, a mount by its place.

use std::fs;
use std::path::Path;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};

/// Ends every process of `folder` and detaches every mount below it.
pub(crate) fn reap(folder: &Path) {
    let folder = folder.to_string_lossy();
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
        if has_its_root_below(&entry.path(), &folder) || mentions("cmdline") {
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

/// Whether the root of a process is an overlay of directories below `folder`. Its other mounts say nothing: a container
/// that is about to start, of any test, still has a copy of all mounts of this machine.
fn has_its_root_below(process: &Path, folder: &str) -> bool {
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    let mut roots = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/"));
    roots.any(|root| root.contains(folder))
}
