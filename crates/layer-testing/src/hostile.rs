//! Archives that want something that no archive may have.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use layer::tar::{Entry, Kind};

use crate::{Archive, Header, entry};

/// A hostile archive and what it tries.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What it tries.
    pub name: String,
    /// Its bytes.
    pub archive: Vec<u8>,
}

/// All of them. `outside` is a directory of the machine with a file called `file`, which they would like to change.
pub fn hostile_archives(outside: &Path) -> Vec<Hostile> {
    let mut corpus = Vec::new();
    let mut add = |name: String, archive: Archive| corpus.push(Hostile { name, archive: archive.finish() });
    let outside = outside.as_os_str().as_bytes();
    let absolute = String::from_utf8_lossy(outside).into_owned();
    for path in ways_out(&absolute) {
        add(format!("file at {path:?}"), Archive::new().file(&path, "escaped"));
        add(format!("directory at {path:?}"), Archive::new().directory(&path));
        add(format!("symbolic link at {path:?}"), Archive::new().symlink(&path, &absolute));
        add(format!("whiteout in {path:?}"), Archive::new().file(format!("{path}/.wh.file"), ""));
        add(format!("opaque {path:?}"), Archive::new().file(format!("{path}/.wh..wh..opq"), ""));
        let linked = Archive::new().hard_link("link", &path).file("link", "escaped");
        add(format!("hard link to {path:?}"), linked);
    }
    for target in
        ways_out(&absolute).into_iter().chain(["/proc/self/root", "/proc/self/cwd"].map(str::to_owned))
    {
        for (name, archive) in through_a_link(&target, &absolute) {
            add(format!("{name} through a link to {target:?}"), archive);
        }
    }
    for (name, archive) in odd_links().into_iter().chain(odd_names()).chain(odd_headers()) {
        add(name.to_owned(), archive);
    }
    corpus
}

fn ways_out(absolute: &str) -> Vec<String> {
    let up = "../".repeat(40);
    vec![
        absolute.to_owned(),
        format!("{absolute}/file"),
        format!("{up}{absolute}/file"),
        format!("a/{up}{absolute}/file"),
        format!("./a/b/../../../{absolute}"),
        "../outside/file".to_owned(),
        "a/../../outside/file".to_owned(),
        "..".to_owned(),
        "../..".to_owned(),
        "/".to_owned(),
        "/..".to_owned(),
        ".".to_owned(),
        String::new(),
    ]
}

fn through_a_link(target: &str, absolute: &str) -> Vec<(&'static str, Archive)> {
    let link = || Archive::new().symlink("link", target);
    vec![
        ("a file", link().file("link/file", "escaped")),
        ("a file beside", link().file("link/outside/file", "escaped")),
        ("a file below the root", link().file(format!("link/{absolute}/file"), "escaped")),
        ("a new directory", link().file("link/new/file", "escaped")),
        (
            "attributes",
            link().directory("link/").entry(&Entry { mode: 0o777, ..entry("link/x", Kind::Directory) }, b""),
        ),
        ("a whiteout", link().file("link/.wh.file", "")),
        ("a whiteout of the link's own", link().file(".wh.link", "")),
        ("an opaque mark", link().file("link/.wh..wh..opq", "")),
        ("a hard link's target", link().hard_link("other", "link/file").file("other", "escaped")),
        (
            "a hard link",
            Archive::new().file("file", "x").symlink("link", target).hard_link("link/file", "file"),
        ),
        ("a hard link to the link", link().hard_link("other", "link").file("other/file", "escaped")),
        (
            "attributes of a hard link",
            link().entry(
                &Entry {
                    mode: 0o4777,
                    xattrs: vec![(b"user.x".to_vec(), b"x".to_vec())],
                    ..entry("other", Kind::HardLink(b"link".to_vec()))
                },
                b"",
            ),
        ),
        (
            "a second link",
            link().symlink("second", "link").symlink("third", "second").file("third/file", "escaped"),
        ),
        (
            "a link within",
            Archive::new().directory("d").symlink("d/link", target).file("d/link/file", "escaped"),
        ),
        ("the time of a directory", Archive::new().directory("link").symlink("link", target)),
        (
            "a directory that a link replaced",
            Archive::new().file("link/file", "inside").symlink("link", target).file("link/file", "escaped"),
        ),
        ("what it replaces", link().file("link", "inside").directory("link").file("link/file", "inside")),
        ("a symbolic link", link().symlink("link/file", absolute).file("link/file/x", "escaped")),
    ]
}

fn odd_links() -> Vec<(&'static str, Archive)> {
    let chain = |count: usize| {
        let links = (0..count).fold(Archive::new(), |archive, number| {
            archive.symlink(format!("l{number}"), format!("l{}", number + 1))
        });
        links.file("l0/file", "x")
    };
    let deep = "d/".repeat(700);
    let deeper = (0..6).fold(Archive::new().file(format!("{deep}f"), ""), |archive, number| {
        let before = if number == 0 { String::new() } else { format!("s{}/", number - 1) };
        archive
            .symlink(format!("s{number}"), format!("{before}{deep}"))
            .file(format!("s{number}/{deep}f"), "")
    });
    vec![
        ("a link to itself", Archive::new().symlink("l", "l").file("l/file", "x")),
        (
            "links in a ring",
            Archive::new().symlink("a", "b").symlink("b", "c").symlink("c", "a").file("a/x/y", "x"),
        ),
        ("links that double", Archive::new().symlink("a", "b/x/b").symlink("b", "a/x/a").file("a/file", "x")),
        ("forty links in a row", chain(40)),
        ("too many links in a row", chain(300)),
        ("a hard link to itself", Archive::new().file("a", "x").hard_link("a", "a").hard_link("a", "./a")),
        ("a hard link to what is above it", Archive::new().directory("a").hard_link("a/b", "a")),
        (
            "a hard link in place of what holds its target",
            Archive::new().file("a/b", "x").hard_link("a", "a/b"),
        ),
        ("a tree deeper than a path, replaced", deeper.clone().file("d", "").file("s0", "")),
        ("a tree deeper than a path", deeper),
        ("a link with an empty target", Archive::new().symlink("a", "").file("a/b", "x")),
    ]
}

fn odd_names() -> Vec<(&'static str, Archive)> {
    let with_nul =
        Archive::new().records([("path", b"a\0/../b".as_slice())]).header(&Header::new(b'0', b"x", 0));
    vec![
        ("a name with a NUL", with_nul),
        (
            "a long name with a NUL",
            Archive::new().extension(b'L', b"a\0../../b").header(&Header::new(b'0', b"x", 0)),
        ),
        (
            "a link's target with a NUL",
            Archive::new().records([("linkpath", b"a\0b".as_slice())]).header(&Header::new(b'2', b"x", 0)),
        ),
        ("a name with line feeds", Archive::new().file("a\n\r\x1b[2Jb", "x")),
        ("a name that is no text", Archive::new().file(b"\xff\xfe/\x80", "x")),
        ("a name of 256 bytes", Archive::new().file("n".repeat(256), "x")),
        ("a path of 4096 bytes", Archive::new().directory("n/".repeat(2047) + "nn")),
        ("a path of 4097 bytes", Archive::new().file("n/".repeat(2048) + "n", "x")),
        (
            "a path of a megabyte",
            Archive::new().extension(b'L', &[b'n'; (1 << 20) - 1]).header(&Header::new(b'0', b"x", 0)),
        ),
        ("a target of 4096 bytes", Archive::new().symlink("l", "t".repeat(4096))),
        ("whiteouts of nothing", Archive::new().file(".wh.", "")),
        ("a whiteout of the directory", Archive::new().file("a/.wh..", "")),
        ("a whiteout of the directory above", Archive::new().file("a/b/.wh...", "")),
        (
            "a whiteout of a mark",
            Archive::new().directory("a").file("a/.wh..wh..opq", "").file("a/.wh..wh..wh..opq", ""),
        ),
        (
            "a directory called like a mark",
            Archive::new().directory("a/.wh..wh..opq").file("a/.wh..wh..opq/b", "x"),
        ),
        ("a mark as a parent", Archive::new().file(".wh.a/b", "x").file(".wh..wh..opq/b", "x")),
    ]
}

fn odd_headers() -> Vec<(&'static str, Archive)> {
    let attribute = |name: &[u8], value: &[u8]| {
        Archive::new().entry(
            &Entry { xattrs: vec![(name.to_vec(), value.to_vec())], ..entry("f", Kind::Regular) },
            b"x",
        )
    };
    let many: Vec<_> = (0..3000).map(|number| (format!("user.{number}").into_bytes(), Vec::new())).collect();
    let sparse = |size: &'static str, map: &'static str| {
        Archive::new()
            .records([
                ("GNU.sparse.major", b"0".as_slice()),
                ("GNU.sparse.minor", b"1"),
                ("GNU.sparse.numblocks", b"1"),
                ("GNU.sparse.size", size.as_bytes()),
                ("GNU.sparse.map", map.as_bytes()),
            ])
            .header(&Header::new(b'0', b"file", 3))
            .body(b"abc")
    };
    vec![
        ("an attribute of the overlay", attribute(b"trusted.overlay.redirect", b"/")),
        ("an attribute of the overlay's user", attribute(b"user.overlay.redirect", b"/")),
        ("an attribute without a name", attribute(b"", b"x")),
        ("an attribute of no namespace", attribute(b"none", b"x")),
        ("an attribute with a long name", attribute(&[b'u'; 300], b"x")),
        ("a large attribute", attribute(b"user.x", &[b'x'; 100_000])),
        ("a broken capability", attribute(b"security.capability", b"x")),
        (
            "three thousand attributes",
            Archive::new().entry(&Entry { xattrs: many, ..entry("f", Kind::Regular) }, b""),
        ),
        ("a sparse file of exabytes", sparse("9223372036854775807", "0,3")),
        ("a sparse file beyond 64 bits", sparse("18446744073709551615", "18446744073709551612,3")),
        ("a sparse file of more than 64 bits", sparse("18446744073709551616", "0,3")),
        ("segments that overlap", sparse("10", "0,2,1,1")),
        ("a size of exabytes", Archive::new().header(&Header::new(b'0', b"f", i64::MAX.unsigned_abs()))),
        ("a directory with a size", Archive::new().header(&Header::new(b'5', b"d", 1 << 40))),
        ("a link with a size", Archive::new().header(&Header::new(b'2', b"l", 5).bytes(157, b"t"))),
        ("a device", Archive::new().header(&Header::new(b'4', b"disk", 0).octal(329, 8, 8).octal(337, 8, 0))),
        (
            "a device that hides",
            Archive::new().header(&Header::new(b'3', b"hidden", 0).octal(329, 8, 0).octal(337, 8, 0)),
        ),
        (
            "a device beyond 32 bits",
            Archive::new().header(&Header::new(b'3', b"d", 0).octal(337, 8, 1 << 33)),
        ),
        (
            "a time before all times",
            Archive::new().records([("mtime", b"-9223372036854775807.999".as_slice())]).file("f", ""),
        ),
        (
            "a time after all times",
            Archive::new().records([("mtime", b"9223372036854775807".as_slice())]).file("f", ""),
        ),
        (
            "an extended header of an extended header",
            Archive::new()
                .extension(b'x', b"")
                .extension(b'g', b"")
                .extension(b'x', b"")
                .extension(b'L', b"")
                .file("f", "x"),
        ),
    ]
}
