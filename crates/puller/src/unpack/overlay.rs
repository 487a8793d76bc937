//! Which directory a snapshot's mounts stand for, where they are overlayfs's on this machine.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use containerd::Mount;
use rustix::fs::{Mode, OFlags, ResolveFlags, XattrFlags, fremovexattr, fsetxattr, openat2};

/// The directory that an active snapshot writes into, and those below it, the next one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upper {
    pub(crate) directory: PathBuf,
    pub(crate) lower: Vec<PathBuf>,
}

impl Upper {
    /// Understands the mounts of containerd's overlay snapshotter, whose directory is `root`: a bind mount of
    /// `<root>/snapshots/<id>/fs` for a lowest layer, else one overlay of such directories. `None` for anything else, also
    /// for options that say that the layer is to be in another form (`userxattr`, identity mapping).
    pub(crate) fn of(mounts: &[Mount], root: &Path) -> Option<Upper> {
        let [mount] = mounts else { return None };
        match mount.r#type.as_str() {
            "bind" => {
                let is_known = mount.options.iter().all(|option| matches!(option.as_str(), "rw" | "rbind"));
                let directory = layer(root, &mount.source)?;
                is_known.then_some(Upper { directory, lower: Vec::new() })
            }
            "overlay" => {
                let (mut upper, mut lower) = (None, Vec::new());
                for option in &mount.options {
                    match option.split_once('=') {
                        Some(("upperdir", directory)) => upper = Some(layer(root, directory)?),
                        Some(("lowerdir", directories)) => {
                            lower =
                                directories.split(':').map(|one| layer(root, one)).collect::<Option<_>>()?;
                        }
                        Some(("workdir", _) | ("index", "off")) => {}
                        _ => return None,
                    }
                }
                Some(Upper { directory: upper?, lower })
            }
            _ => None,
        }
    }
}

/// A directory as the snapshotter names them.
fn layer(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path).strip_prefix(root.join("snapshots")).ok()?;
    let mut names = relative.iter().map(|name| name.to_str());
    match (names.next(), names.next(), names.next()) {
        (Some(Some(id)), Some(Some("fs")), None) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(PathBuf::from(path))
        }
        _ => None,
    }
}

/// Opens `directory` for a layer to be written into, and proves that this process may: that it is here and not on another
/// machine, that the kernel has `openat2` (Linux 5.6), that attributes of the overlay may be set. Blocking.
///
/// # Errors
/// Which of these is not so, as words.
pub(crate) fn open(directory: &Path) -> Result<OwnedFd, String> {
    const PROBE: &str = "trusted.cri-imaged.probe";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let shown = directory.display();
    let failed = |what: &str, error| format!("{what} `{shown}`: {error}");
    let opened = rustix::fs::open(directory, flags, Mode::empty()).map_err(|error| failed("open", error))?;
    openat2(&opened, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
        .map_err(|error| failed("openat2 of", error))?;
    fsetxattr(&opened, PROBE, b"y", XattrFlags::empty())
        .and_then(|()| fremovexattr(&opened, PROBE))
        .map_err(|error| failed("set a trusted attribute of", error))?;
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, source: &str, options: &[&str]) -> Option<(String, Vec<String>)> {
        let mount = Mount {
            r#type: kind.to_owned(),
            source: source.to_owned(),
            target: String::new(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        let upper = Upper::of(&[mount], Path::new("/v/overlayfs"))?;
        let text = |path: &PathBuf| path.display().to_string();
        Some((text(&upper.directory), upper.lower.iter().map(text).collect()))
    }

    #[test]
    fn the_mounts_of_containerds_overlay_snapshotter_are_understood() {
        let bind = of("bind", "/v/overlayfs/snapshots/1/fs", &["rw", "rbind"]);
        assert_eq!(bind, Some(("/v/overlayfs/snapshots/1/fs".to_owned(), vec![])));
        let options = [
            "index=off",
            "workdir=/v/overlayfs/snapshots/3/work",
            "upperdir=/v/overlayfs/snapshots/3/fs",
            "lowerdir=/v/overlayfs/snapshots/2/fs:/v/overlayfs/snapshots/1/fs",
        ];
        let lower = vec!["/v/overlayfs/snapshots/2/fs".to_owned(), "/v/overlayfs/snapshots/1/fs".to_owned()];
        assert_eq!(
            of("overlay", "overlay", &options),
            Some(("/v/overlayfs/snapshots/3/fs".to_owned(), lower))
        );
    }

    #[test]
    fn other_mounts_are_left_to_containerd() {
        let upper = "upperdir=/v/overlayfs/snapshots/3/fs";
        let lower = "lowerdir=/v/overlayfs/snapshots/1/fs";
        for (kind, source, options) in [
            ("bind", "/v/native/snapshots/1", vec!["rw", "rbind"]),
            ("bind", "/v/overlayfs/snapshots/1/fs", vec!["ro", "rbind"]),
            ("bind", "/v/overlayfs/snapshots/../fs", vec!["rw"]),
            ("bind", "/v/overlayfs/snapshots/1/fs/etc", vec!["rw"]),
            ("overlay", "overlay", vec![lower]),
            ("overlay", "overlay", vec![upper, lower, "userxattr"]),
            ("overlay", "overlay", vec![upper, lower, "uidmap=0:1000:65536"]),
            ("overlay", "overlay", vec![upper, "lowerdir=/elsewhere"]),
            ("fuse.fuse-overlayfs", "overlay", vec![upper, lower]),
        ] {
            assert_eq!(of(kind, source, &options), None, "{kind} {source} {options:?}");
        }
        assert_eq!(Upper::of(&[], Path::new("/v")), None);
    }

    /// As root, for the attribute is one that only root may set.
    #[test]
    fn only_a_directory_is_written_into_and_no_link_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"x").unwrap();
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        open(folder.path()).unwrap();
        for other in [file, link] {
            let error = open(&other).unwrap_err();
            assert!(error.starts_with(&format!("open `{}`: ", other.display())), "{error}");
        }
    }
}
