//! A layer on another one, as far as any user can make it: whiteouts are the kernel's to allow (Linux 5.8).

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use layer::{Form, Limits};
use layer_testing::Archive;
use tempfile::TempDir;

use crate::support::unpack_with;

/// Unpacks `archive` as a layer on `lower`.
fn unpack_on(lower: &Path, archive: Archive) -> TempDir {
    let upper = TempDir::new().unwrap();
    let (_, deferred) =
        unpack_with(&archive.finish(), upper.path(), Form::Overlay, Limits::default()).unwrap();
    deferred.settle(&[lower.to_owned()]).unwrap();
    upper
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A directory `a/b` with modes of their own.
fn lower() -> TempDir {
    let lower = TempDir::new().unwrap();
    fs::create_dir_all(lower.path().join("a/b")).unwrap();
    for (path, mode) in [("a", 0o701), ("a/b", 0o710)] {
        fs::set_permissions(lower.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    lower
}

#[test]
fn a_directory_without_an_entry_is_as_it_is_below() {
    let lower = lower();
    let upper = unpack_on(lower.path(), Archive::new().file("a/b/c/file", ""));
    assert_eq!(mode(&upper.path().join("a")), 0o701);
    assert_eq!(mode(&upper.path().join("a/b")), 0o710);
    assert_eq!(mode(&upper.path().join("a/b/c")), 0o755, "new");
    let time = |folder: &TempDir| fs::metadata(folder.path().join("a/b")).unwrap().modified().unwrap();
    assert_eq!(time(&upper), time(&lower));
}

#[test]
fn a_directory_whose_entry_comes_late_is_as_the_entry_says() {
    let upper = unpack_on(lower().path(), Archive::new().file("a/file", "").directory("a"));
    assert_eq!(mode(&upper.path().join("a")), 0o755);
}

/// On ext4 the file gets the inode of the directory at once, by which the directory was known.
#[test]
fn what_replaces_a_directory_without_an_entry_owes_it_nothing() {
    let lower = lower();
    for replacing in [
        Archive::new().file("a/file", "").file("a", "bytes"),
        Archive::new().file("a/b/c/file", "").file("a", "bytes"),
        Archive::new().hard_link("a/link", "nothing").file("a", "bytes"),
    ] {
        let upper = unpack_on(lower.path(), replacing);
        assert_eq!(fs::read(upper.path().join("a")).unwrap(), b"bytes");
        assert_eq!(mode(&upper.path().join("a")), 0o644);
    }
    let again = Archive::new().file("a/file", "").file("a", "").directory("a").file("a/new", "");
    let upper = unpack_on(lower.path(), again);
    assert_eq!(mode(&upper.path().join("a")), 0o755);
}

#[test]
fn a_whiteout_is_a_device_and_what_replaces_it_is_not() {
    let archive = Archive::new().file("a/.wh.b", "").file(".wh.x", "").file("x", "new");
    let upper = unpack_on(lower().path(), archive);
    let whiteout = fs::symlink_metadata(upper.path().join("a/b")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    assert_eq!(fs::read(upper.path().join("x")).unwrap(), b"new");
}

#[test]
fn holes_below_stay_holes_in_the_copy() {
    let lower = TempDir::new().unwrap();
    let file = fs::File::create(lower.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"island", 40 << 20).unwrap();
    file.set_len(1 << 30).unwrap();
    let upper = unpack_on(lower.path(), Archive::new().hard_link("link", "sparse"));
    let copy = fs::metadata(upper.path().join("sparse")).unwrap();
    assert_eq!((copy.len(), copy.nlink()), (1 << 30, 2));
    assert!(copy.blocks() * 512 < 1 << 20, "{} blocks", copy.blocks());
    let mut island = [0; 6];
    let copy = fs::File::open(upper.path().join("link")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&copy, &mut island, 40 << 20).unwrap();
    assert_eq!(&island, b"island");
}
