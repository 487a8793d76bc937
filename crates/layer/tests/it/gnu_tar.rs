//! What GNU tar archives, in each of its formats, comes out as it went in.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use layer::tar::{Kind, Time};
use layer_testing::Tree;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};
use tempfile::TempDir;

use crate::support::{Owned, entries, events, unpack};

/// Archives the content of `source`.
#[track_caller]
fn tar(source: &Path, options: &[&str]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.env_remove("TAR_OPTIONS").args(options).arg("-C").arg(source).args(["-cf", "-", "."]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Gives every file below `directory` a time of its own.
fn set_times(directory: &Path, nanoseconds: i64) {
    let mut todo = vec![directory.to_owned()];
    let mut all = Vec::new();
    while let Some(path) = todo.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()));
        }
        all.push(path);
    }
    all.sort();
    for (number, path) in all.iter().enumerate().rev() {
        let tv_nsec = if nanoseconds == 0 { 0 } else { nanoseconds + i64::try_from(number).unwrap() };
        let time = Timespec { tv_sec: 1_600_000_000 + i64::try_from(number).unwrap(), tv_nsec };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// A tree that even the oldest format can hold.
fn short_names(source: &Path) {
    for (name, size) in
        [("empty", 0), ("one", 1), ("less", 511), ("block", 512), ("more", 513), ("large", 99_999)]
    {
        let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        fs::write(source.join(name), bytes).unwrap();
    }
    fs::create_dir_all(source.join("a/b/c")).unwrap();
    fs::create_dir(source.join("nothing in it")).unwrap();
    fs::write(source.join("a/b/c/file"), "x").unwrap();
    for (name, mode) in [("one", 0o4755), ("less", 0o2711), ("block", 0), ("a", 0o1777), ("a/b", 0o750)] {
        // The owner reads all, else only root could archive it.
        let mode = if name == "block" { 0o400 } else { mode };
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::hard_link(source.join("more"), source.join("other more")).unwrap();
    fs::hard_link(source.join("more"), source.join("a/third more")).unwrap();
    symlink("../one", source.join("a/up")).unwrap();
    symlink("/absolute/nowhere", source.join("dangling")).unwrap();
}

/// Names that need prefixes, long names or records.
fn long_names(source: &Path) {
    let mut directory = source.to_owned();
    for letter in 'a'..='f' {
        directory.push(letter.to_string().repeat(60));
    }
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("x".repeat(255)), "deep").unwrap();
    fs::hard_link(directory.join("x".repeat(255)), source.join("other name of the deep one")).unwrap();
    symlink("t/".repeat(1000), source.join("link with a long target")).unwrap();
    for length in [98, 99, 100, 101, 154, 155, 156] {
        fs::write(source.join("n".repeat(length)), format!("{length}")).unwrap();
    }
    fs::write(source.join("line\nfeed = \u{fc} \\ \u{1f600}"), "odd").unwrap();
}

#[track_caller]
fn check(make: &[fn(&Path)], nanoseconds: i64, options: &[&str]) {
    let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for make in make {
        make(source.path());
    }
    set_times(source.path(), nanoseconds);
    let archive = tar(source.path(), options);
    let counts = unpack(&archive, target.path()).unwrap();
    let (expected, actual) = (Tree::read(source.path()).unwrap(), Tree::read(target.path()).unwrap());
    assert_eq!(expected.differences(&actual), "", "{options:?}");
    // The root is an entry too.
    assert_eq!(counts.entries, expected.nodes.len() as u64 + 1, "{options:?}");
    // Sockets are no files of an archive, so nothing here may be one.
    assert!(expected.nodes.len() > 3);
}

fn fifo(source: &Path) {
    mknodat(CWD, source.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
}

/// Names that `prefix` and `name` of a ustar header hold together, and only so.
fn names_with_a_prefix(source: &Path) {
    let directory = source.join("p".repeat(90)).join("q".repeat(50));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("n".repeat(98)), "in two fields").unwrap();
}

#[test]
fn a_tree_in_the_v7_format() {
    check(&[short_names], 0, &["--format=v7"]);
}

#[test]
fn a_tree_in_the_ustar_format() {
    check(&[short_names, fifo, names_with_a_prefix], 0, &["--format=ustar"]);
}

#[test]
fn a_tree_in_the_oldgnu_format() {
    check(&[short_names, long_names, fifo], 0, &["--format=oldgnu"]);
}

#[test]
fn a_tree_in_the_gnu_format() {
    check(&[short_names, long_names, fifo, names_with_a_prefix], 0, &["--format=gnu"]);
}

#[test]
fn a_tree_in_the_pax_format() {
    check(&[short_names, long_names, fifo, names_with_a_prefix], 123_456_789, &["--format=pax"]);
    // With the times of access and change too, which no layer heeds, and a global header.
    let options = ["--format=posix", "--pax-option=delete=,globexthdr.name=g,comment=all"];
    check(&[short_names, long_names, fifo], 987_654_321, &options);
}

#[test]
fn absolute_names_and_parents_that_no_entry_describes() {
    let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    short_names(source.path());
    set_times(source.path(), 5);
    let archive = Command::new("tar")
        .args(["--format=pax", "-P", "-cf", "-"])
        .args([source.path().join("a/b/c/file"), source.path().join("large")])
        .output()
        .unwrap();
    unpack(&archive.stdout, target.path()).unwrap();
    let below = target.path().join(source.path().strip_prefix("/").unwrap());
    let (expected, actual) = (Tree::read(source.path()).unwrap(), Tree::read(&below).unwrap());
    for name in ["a/b/c/file", "large"] {
        assert_eq!(actual.nodes[name.as_bytes()], expected.nodes[name.as_bytes()], "{name}");
    }
    assert_eq!(actual.nodes[b"a/b".as_slice()].mode, 0o755, "implied");
}

/// A sparse file: `count` islands of three bytes.
fn sparse_file(path: &Path, count: u64, size: u64) {
    let file = File::create(path).unwrap();
    for number in 0..count {
        file.write_all_at(b"abc", number * 0x20_000 + 7).unwrap();
    }
    file.set_len(size).unwrap();
}

fn sparse_files(source: &Path) {
    let mib = 1 << 20;
    sparse_file(&source.join("only a hole"), 0, 5 * mib);
    sparse_file(&source.join("hole at the end"), 1, 2 * mib + 1);
    sparse_file(&source.join("no hole at the end"), 3, 2 * 0x20_000 + 10);
    sparse_file(&source.join("as many as the header has"), 4, mib);
    sparse_file(&source.join("one more block"), 5, mib);
    sparse_file(&source.join("three more blocks"), 60, 9 * mib);
    sparse_file(&source.join(format!("long name {}", "n".repeat(200))), 4, mib);
    fs::write(source.join("not sparse"), "x").unwrap();
}

#[test]
fn sparse_files_in_every_form() {
    for options in [
        ["--sparse", "--format=gnu"].as_slice(),
        &["--sparse", "--format=oldgnu"],
        &["--sparse", "--format=posix", "--sparse-version=0.0"],
        &["--sparse", "--format=posix", "--sparse-version=0.1"],
        &["--sparse", "--format=posix", "--sparse-version=1.0"],
    ] {
        check(&[sparse_files], 0, options);
    }
}

#[test]
fn holes_stay_holes() {
    for options in [["--sparse", "--format=gnu"], ["--sparse", "--format=posix"]] {
        let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        sparse_file(&source.path().join("file"), 2, 1 << 30);
        unpack(&tar(source.path(), &options), target.path()).unwrap();
        let metadata = fs::metadata(target.path().join("file")).unwrap();
        assert_eq!(metadata.len(), 1 << 30);
        assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    }
}

#[test]
fn numbers_that_octal_cannot_hold() {
    let source = TempDir::new().unwrap();
    let terabytes = 9u64 << 40;
    sparse_file(&source.path().join("file"), 2, terabytes);
    for (options, nanoseconds) in [
        (["--sparse", "--format=gnu", "--owner=a:3000000001", "--group=b:3000000002", "--mtime=@-77"], 0),
        (
            [
                "--sparse",
                "--format=pax",
                "--owner=a:3000000001",
                "--group=b:3000000002",
                "--mtime=@-77.000000001",
            ],
            999_999_999,
        ),
    ] {
        let archive = tar(source.path(), &options);
        let entries = entries(&archive);
        let file = entries.iter().find(|entry| entry.kind == Kind::Regular).unwrap();
        assert_eq!(file.size, terabytes);
        assert_eq!((file.uid, file.gid), (3_000_000_001, 3_000_000_002));
        let seconds = if nanoseconds == 0 { -77 } else { -78 };
        assert_eq!(file.modified, Time { seconds, nanoseconds }, "{options:?}");
        assert_eq!(file.modified.bounded(), Time::default());
        let data = events([archive.as_slice()], layer::Limits::default()).unwrap();
        let stored: u64 = data
            .iter()
            .map(|event| match event {
                Owned::Data(_, bytes) => bytes.len() as u64,
                _ => 0,
            })
            .sum();
        assert!(stored < 1 << 20, "{stored}");
    }
}

#[test]
fn a_fat_file_has_a_size_in_base_256() {
    // Without bytes: the header alone, as GNU tar writes it for nine gigabytes.
    let source = TempDir::new().unwrap();
    File::create(source.path().join("file")).unwrap().set_len(9 << 30).unwrap();
    let mut child = Command::new("tar")
        .args(["--format=gnu", "-cf", "-", "file"])
        .current_dir(source.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut block = [0; 512];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut block).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut parser = layer::tar::Parser::new(layer::Limits::default());
    match parser.next(&mut block.as_slice()).unwrap() {
        Some(layer::tar::Event::Entry(entry)) => assert_eq!(entry.size, 9 << 30),
        other => panic!("{other:?}"),
    }
}
