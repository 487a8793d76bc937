//! What GNU tar archives as root: owners, devices and extended attributes; and the machine's own files.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use layer::Form;
use layer_testing::Tree;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};
use tests::{Containerd, Version};

use super::ours;
use super::theirs::{Applied, Theirs};

fn tar(folder: &Path, options: &[&str], files: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("tar");
    command.env_remove("TAR_OPTIONS").args(options).arg("-C").arg(folder).args(["-cf", "-"]).args(files);
    let output = command.output()?;
    // 1: a file of the machine changed while it was read; its bytes in the archive are what is compared.
    let is_done = matches!(output.status.code(), Some(0 | 1));
    ensure!(is_done, "tar: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn make_all_kinds(folder: &Path) -> anyhow::Result<()> {
    // Version 2, CAP_NET_BIND_SERVICE, effective.
    const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    fs::create_dir(folder.join("directory"))?;
    let kinds = [("character", FileType::CharacterDevice), ("block", FileType::BlockDevice)];
    for (number, (name, kind)) in (1..).zip(kinds) {
        mknodat(
            CWD,
            folder.join(name),
            kind,
            Mode::from_raw_mode(0o600 + number),
            makedev(250 + number, 70_000),
        )?;
    }
    mknodat(CWD, folder.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o622), 0)?;
    fs::write(folder.join("file"), "bytes")?;
    fs::hard_link(folder.join("file"), folder.join("directory/link"))?;
    symlink("file", folder.join("symbolic"))?;
    for (number, file) in (1..).zip(["directory", "character", "block", "fifo", "file"]) {
        chown(folder.join(file), Some(1000 * number), Some(100_000 * number))?;
    }
    std::os::unix::fs::lchown(folder.join("symbolic"), Some(77), Some(78))?;
    // Of a file with one name: GNU tar writes no attributes with a second name, whose owner is set as the first one's was,
    // and that takes the capability away, here as in containerd.
    fs::write(folder.join("capable"), "")?;
    setxattr(folder.join("capable"), "security.capability", &CAPABILITY, XattrFlags::empty())?;
    setxattr(folder.join("file"), "user.bytes", b"\0\n=\xff", XattrFlags::empty())?;
    setxattr(folder.join("directory"), "user.empty", b"", XattrFlags::empty())?;
    setxattr(folder.join("directory"), "trusted.of the administrator", b"left out", XattrFlags::empty())?;
    Ok(())
}

#[test]
fn owners_devices_and_attributes_arrive() -> anyhow::Result<()> {
    for format in ["--format=pax", "--format=gnu", "--format=ustar"] {
        let (source, target) = (tempfile::tempdir()?, tempfile::tempdir()?);
        make_all_kinds(source.path())?;
        let is_pax = format == "--format=pax";
        let xattrs = ["--xattrs", "--xattrs-include=*"];
        let options = [format].into_iter().chain(xattrs.into_iter().filter(|_| is_pax));
        let archive = tar(source.path(), &options.collect::<Vec<_>>(), &["."])?;
        let (counts, deferred) = ours::unpack_one(&archive, target.path(), Form::Lowest)?;
        deferred.settle(&[])?;
        assert_eq!(counts.skipped_xattrs, u64::from(is_pax), "{format}");
        let (mut expected, mut actual) = (Tree::read(source.path())?, Tree::read(target.path())?);
        for node in expected.nodes.values_mut() {
            if is_pax {
                node.xattrs.remove(b"trusted.of the administrator".as_slice());
            } else {
                node.xattrs.clear();
            }
        }
        for node in expected.nodes.values_mut().chain(actual.nodes.values_mut()) {
            // Only pax has parts of seconds.
            if !is_pax {
                node.modified.nanoseconds = 0;
            }
        }
        assert_eq!(expected.differences(&actual), "", "{format}");
    }
    Ok(())
}

pub(crate) async fn the_machines_own_files_are_the_same_tree_as_containerds(
    version: Version,
) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let mut theirs = Theirs::new(&containerd).await?;
    let base =
        tar(Path::new("/"), &["--format=pax", "--xattrs"], &["./etc", "./usr/sbin", "./usr/lib/python3"])?;
    // Without entries for the directories, and with some replaced and some removed.
    let upper = tempfile::tempdir()?;
    fs::create_dir_all(upper.path().join("usr/lib/python3/dist-packages"))?;
    fs::write(upper.path().join("usr/lib/python3/new"), "new")?;
    fs::write(upper.path().join("etc"), "a file now")?;
    fs::write(upper.path().join("usr/.wh.sbin"), "")?;
    let files = ["usr/lib/python3/new", "etc", "usr/.wh.sbin"];
    let upper = tar(upper.path(), &["--format=gnu"], &files)?;
    let layers = [base, upper];
    let Applied::Tree(expected) = theirs.tree(&layers).await? else {
        anyhow::bail!("containerd refuses the machine's own files");
    };
    let mut actual = ours::tree(&layers)?;
    // The time of a directory without an entry is the one of the unpack there, and that of the layer below here.
    for path in ["usr", "usr/lib", "usr/lib/python3"] {
        if let (Some(here), Some(there)) =
            (actual.nodes.get_mut(path.as_bytes()), expected.nodes.get(path.as_bytes()))
        {
            here.modified = there.modified;
        }
    }
    let differences = expected.differences(&actual);
    ensure!(differences.is_empty(), "the trees differ, theirs first:\n{differences}");
    ensure!(expected.nodes.len() > 100, "only {} files were compared", expected.nodes.len());
    Ok(())
}
