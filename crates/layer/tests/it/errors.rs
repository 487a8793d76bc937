//! Every way in which an archive can be wrong has its own line.

use std::fs;

use layer::tar::{Entry, Kind, TarProblem};
use layer::{Form, Limits, UnpackError};
use layer_testing::{Archive, Header, entry};
use tempfile::TempDir;

use crate::support::{entries, events, unpack_with};

#[track_caller]
fn check_with(limits: Limits, archive: &[u8], expected: &str) {
    let error = events([archive], limits).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[track_caller]
fn check(archive: Archive, expected: &str) {
    check_with(Limits::default(), &archive.finish(), expected);
}

#[test]
fn what_is_no_archive() {
    check(
        Archive::new().raw(&[b'x'; 512]),
        "the tar archive is not usable at byte 512: the checksum of the header is wrong",
    );
    let mut block = Header::new(b'0', b"file", 0).sealed();
    block[0] = b'g';
    check(
        Archive::new().raw(&block),
        "the tar archive is not usable at byte 512: the checksum of the header is wrong",
    );
    check(
        Archive::new().file("a", "1").raw(&[0; 512]).file("b", "2"),
        "the tar archive is not usable at byte 3072: a single block of zeros stands between two entries",
    );
}

#[test]
fn what_ends_too_early() {
    let whole = Archive::new().file("name", "bytes").cut();
    for (length, place) in [(1, ""), (600, ""), (1024, ""), (1537, " (`name`)"), (2047, " (`name`)")] {
        if length == 2047 {
            // The filling of the last block is missing, after all bytes of the file.
            assert!(whole.len() == 2048);
        }
        let error = events([&whole[..length]], Limits::default()).unwrap_err();
        let place = if length == 2047 { "" } else { place };
        let expected = format!("the tar archive is not usable at byte {length}{place}: it ends too early");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.problem, TarProblem::Truncated);
    }
    check(
        Archive::new().records([("path", b"x".as_slice())]),
        "the tar archive is not usable at byte 2048: it ends too early",
    );
}

#[test]
fn what_ends_between_two_entries_is_whole() {
    assert_eq!(entries(&[]), []);
    assert_eq!(entries(&Archive::new().file("a", "1").cut()).len(), 1);
    assert_eq!(entries(&Archive::new().file("a", "1").raw(&[0; 512]).cut()).len(), 1);
    // What comes after the end is not looked at.
    assert_eq!(entries(&Archive::new().file("a", "1").raw(&[0; 1024]).raw(b"anything").cut()).len(), 1);
}

#[test]
fn fields_that_are_no_numbers() {
    let header = || Header::new(b'0', b"file", 0);
    for (offset, length, name) in
        [(100, 8, "mode"), (108, 8, "uid"), (116, 8, "gid"), (124, 12, "size"), (136, 12, "mtime")]
    {
        check(
            Archive::new().header(&header().bytes(offset, &b"9\0\0\0\0\0\0\0\0\0\0\0"[..length])),
            &format!(
                "the tar archive is not usable at byte 512: the field `{name}` has the unusable value \
                 `9{}`",
                "\\x00".repeat(length - 1)
            ),
        );
    }
    check(
        Archive::new().header(&header().bytes(124, &[0xff; 12])),
        "the tar archive is not usable at byte 512 (`file`): the field `size` has the unusable value `-1`",
    );
    check(
        Archive::new().header(&header().bytes(108, &[0xff; 8])),
        "the tar archive is not usable at byte 512 (`file`): the field `uid` has the unusable value `-1`",
    );
    check(
        Archive::new().header(&header().octal(116, 8, u32::MAX.into())),
        "the tar archive is not usable at byte 512 (`file`): the field `gid` has the unusable value \
         `4294967295`",
    );
    check(
        Archive::new().header(&Header::new(b'3', b"device", 0).octal(329, 8, 1 << 40)),
        "the tar archive is not usable at byte 512 (`device`): the field `device number` has the unusable \
         value `1099511627776`",
    );
    for (key, value) in [("size", "-1"), ("size", "1k"), ("uid", "x"), ("gid", "+1"), ("mtime", "now")] {
        let archive = Archive::new().records([(key, value.as_bytes())]).finish();
        let error = events([archive.as_slice()], Limits::default()).unwrap_err();
        assert_eq!(error.problem.to_string(), format!("the field `{key}` has the unusable value `{value}`"));
    }
}

#[test]
fn extended_headers_that_are_none() {
    for records in ["x", "5 a=b", "9999 a=b\n", "6 a=bc\n", "3\n", "7 a b\n"] {
        check(
            Archive::new().extension(b'x', records.as_bytes()),
            "the tar archive is not usable at byte 1024: the extended header is malformed: a record is not \
             `length key=value`"
                .replace("1024", &(512 + records.len()).to_string())
                .as_str(),
        );
    }
    check(
        Archive::new().records([("path", b"a\0b".as_slice())]),
        "the tar archive is not usable at byte 524: the extended header is malformed: a name has a NUL byte \
         or no key",
    );
}

#[test]
fn maps_of_sparse_files_that_are_none() {
    let sparse = |records: &[(&'static str, &'static str)]| {
        let records: Vec<_> = records.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        Archive::new().records(records)
    };
    let failure = |archive: Archive| {
        let error = events([archive.finish().as_slice()], Limits::default()).unwrap_err();
        error.problem.to_string()
    };
    let with_map = |map: &'static str| {
        let records = [("GNU.sparse.numblocks", "1"), ("GNU.sparse.size", "10"), ("GNU.sparse.map", map)];
        failure(sparse(&records).header(&Header::new(b'0', b"file", 3)).body(b"abc"))
    };
    let outside = "the map of the sparse file is malformed: segments overlap or lie outside of the file";
    assert_eq!(with_map("8,3"), outside);
    assert_eq!(with_map("0,2,1,1"), outside);
    assert_eq!(with_map("18446744073709551615,1"), outside);
    let unfit = "the map of the sparse file is malformed: it does not fit the stored bytes";
    assert_eq!(with_map("0,2"), unfit);
    assert_eq!(with_map("0,4"), unfit);
    assert_eq!(with_map("0"), "the map of the sparse file is malformed: an offset without a length");
    assert_eq!(with_map("0,x"), "the map of the sparse file is malformed: not a list of numbers");
    assert_eq!(
        failure(sparse(&[("GNU.sparse.numbytes", "1")])),
        "the map of the sparse file is malformed: offsets and lengths do not alternate"
    );
    let version_1 = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    let file = |size| Header::new(b'0', b"file", size);
    assert_eq!(
        failure(sparse(&version_1).header(&file(0))),
        "the map of the sparse file is malformed: the size of the file is missing"
    );
    let version_1 = [version_1[0], version_1[1], ("GNU.sparse.realsize", "10")];
    let map_1 = |map: &[u8]| failure(sparse(&version_1).header(&file(512)).body(map));
    assert_eq!(map_1(b"x\n"), "the map of the sparse file is malformed: a line is no number");
    assert_eq!(map_1(&[b'1'; 30]), "the map of the sparse file is malformed: a line is no number");
    assert_eq!(map_1(b"1\n8\n3\n"), outside);
    assert_eq!(
        failure(sparse(&version_1).header(&file(0)).body(b"1\n0\n3\n")),
        "the map of the sparse file is malformed: it is longer than the entry"
    );
    assert_eq!(
        map_1(b"99999999\n"),
        "the count of a sparse file's segments is more than the limit of 262144"
    );
    let old = Header::new(b'S', b"file", 0).gnu();
    assert_eq!(
        failure(Archive::new().header(&old.clone().bytes(483, b"x"))),
        "the map of the sparse file is malformed: the size of the file is no number"
    );
    assert_eq!(
        failure(Archive::new().header(&old.bytes(386, b"x"))),
        "the map of the sparse file is malformed: an offset or length is no number"
    );
}

#[test]
fn types_that_no_layer_has() {
    for (type_flag, shown) in [(b'M', "M"), (b'V', "V"), (b'D', "D"), (0xff, "\\u{ff}"), (b'\n', "\\n")] {
        check(
            Archive::new().header(&Header::new(type_flag, b"odd", 0)),
            &format!(
                "the tar archive is not usable at byte 512 (`odd`): entries of type `{shown}` are not \
                 supported in layers"
            ),
        );
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn what_is_more_than_the_limits_of_the_parser() {
    check_with(
        limits(|limits| limits.entries_max = 1),
        &Archive::new().file("a", "").file("b", "").finish(),
        "the tar archive is not usable at byte 3072: the count of entries is more than the limit of 1",
    );
    check_with(
        limits(|limits| limits.path_bytes_max = 3),
        &Archive::new().file("abcd", "").finish(),
        "the tar archive is not usable at byte 1536 (`abcd`): the length of a path is more than the limit of 3",
    );
    check_with(
        limits(|limits| limits.path_bytes_max = 3),
        &Archive::new().symlink("a", "bcde").finish(),
        "the tar archive is not usable at byte 1536 (`a`): the length of a path is more than the limit of 3",
    );
    for type_flag in [b'x', b'g', b'L', b'K'] {
        check(
            Archive::new().header(&Header::new(type_flag, b"large", (1 << 20) + 1)),
            "the tar archive is not usable at byte 512: the size of an extended header is more than the \
             limit of 1048576",
        );
    }
}

#[test]
fn a_long_path_is_shown_in_part() {
    let error =
        events([Archive::new().file("\u{1}".repeat(5000), "").finish().as_slice()], Limits::default());
    assert!(error.unwrap_err().to_string().len() < 1400);
}

#[track_caller]
fn check_unpack(form: Form, limits: Limits, archive: Archive, expected: &str) {
    let directory = TempDir::new().unwrap();
    let error = match unpack_with(&archive.finish(), directory.path(), form, limits) {
        Err(error) => error,
        Ok((_, deferred)) => deferred.settle(&[]).unwrap_err(),
    };
    assert_eq!(error.to_string(), expected);
    assert!(!error.is_no_space());
}

#[test]
fn what_cannot_be_unpacked() {
    let default = Limits::default();
    let check = |archive, expected: &str| check_unpack(Form::Lowest, default, archive, expected);
    check(Archive::new().file("a", "").file("a/b", ""), "`a` is within something that is not a directory");
    check(
        Archive::new().file("a", "").file("a/b/c/d", ""),
        "`a/b/c` is within something that is not a directory",
    );
    check(
        Archive::new().symlink("a", "b").symlink("b", "a").file("a/b", ""),
        "cannot follow the links of `a`: Too many levels of symbolic links (os error 40)",
    );
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..."] {
        check(Archive::new().file(name, ""), &format!("`{name}` is a whiteout of nothing"));
    }
    for target in ["nothing", "", "/", "..", "a/b", "loop/x"] {
        check(
            Archive::new().symlink("loop", "loop").file("a", "").hard_link("b", target),
            &format!("`b` is a hard link to `{target}`, which is not in this layer nor in those below"),
        );
    }
    check(
        Archive::new().directory("a").hard_link("b", "a"),
        "cannot create `b`: Operation not permitted (os error 1)",
    );
    check(
        Archive::new().file("x".repeat(256), ""),
        &format!("cannot create `{}`: File name too long (os error 36)", "x".repeat(256)),
    );
    check_unpack(
        Form::Overlay,
        default,
        Archive::new().hard_link("b", "a"),
        "`b` is a hard link to `a`, which is not in this layer nor in those below",
    );
    let error = UnpackError::Io { operation: "write", path: Vec::new(), source: rustix::io::Errno::NOSPC };
    assert!(error.is_no_space());
}

#[test]
fn what_is_more_than_the_limits_of_the_unpacker() {
    let check = |limits, archive, expected: &str| check_unpack(Form::Lowest, limits, archive, expected);
    check(
        limits(|limits| limits.bytes_max = 3),
        Archive::new().file("a", "12").file("b", "34"),
        "the size of all files together is more than the limit of 3",
    );
    check(
        limits(|limits| limits.entries_max = 2),
        Archive::new().file("a/b/c/d", ""),
        "the count of directories without an entry is more than the limit of 2",
    );
    let memory = "the memory for the layer's directories and links, in bytes, is more than the limit of 1000";
    let few = limits(|limits| limits.kept_bytes_max = 1000);
    check(few, Archive::new().file("a/b/c/d/e/f/g/h/i", ""), memory);
    check(few, (0..9).fold(Archive::new(), |archive, _| archive.directory("a")), memory);
    let large =
        Entry { xattrs: vec![(b"user.a".to_vec(), vec![0; 999])], ..entry("a", Kind::HardLink(b"b".into())) };
    check_unpack(Form::Overlay, few, Archive::new().entry(&large, b""), memory);
}

#[test]
fn a_failed_archive_leaves_what_came_before() {
    let directory = TempDir::new().unwrap();
    let archive = Archive::new().file("a", "whole").file("b", "cut").cut();
    let unpacked =
        unpack_with(&archive[..archive.len() - 511], directory.path(), Form::Lowest, Limits::default());
    assert!(matches!(unpacked, Err(UnpackError::Tar(_))));
    assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"whole");
}
