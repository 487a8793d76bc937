//! Entries of any names and links, or any bytes, unpack into a directory or are an error; what lies beside the directory
//! stays as it is.

#![no_main]

use std::fs;
use std::path::Path;

use arbitrary::Arbitrary;
use layer::tar::{Entry, Kind};
use layer::{Form, Limits, UnpackError, Unpacker};
use layer_testing::{Archive, Tree, entry};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Part<'b> {
    File(Written<'b>, &'b [u8]),
    Directory(Written<'b>, u16),
    Symlink(Written<'b>, Written<'b>),
    HardLink(Written<'b>, Written<'b>),
    Fifo(Written<'b>),
    Whiteout(Written<'b>),
    Opaque(Written<'b>),
    Bytes(&'b [u8]),
}

/// A path of known parts, which meet, or any other.
#[derive(Arbitrary, Debug)]
enum Written<'b> {
    Known(bool, [u8; 4]),
    Any(&'b [u8]),
}

impl Written<'_> {
    fn bytes(&self) -> Vec<u8> {
        const PARTS: [&str; 8] = ["a", "b", "..", ".", "outside", "file", "", "c"];
        match self {
            Written::Any(bytes) => bytes.to_vec(),
            Written::Known(is_absolute, parts) => {
                let parts: Vec<_> = parts.iter().map(|part| PARTS[usize::from(part % 8)]).collect();
                format!("{}{}", if *is_absolute { "/" } else { "" }, parts.join("/")).into_bytes()
            }
        }
    }
}

fuzz_target!(|layers: [Vec<Part>; 2]| {
    // In memory, and fresh each time.
    let folder = tempfile::TempDir::new_in("/dev/shm").expect("memory has room");
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).expect("the folder is new");
    fs::write(outside.join("file"), "not to be touched").expect("the folder is new");
    let before = Tree::read(&outside).expect("it was just made");
    let mut lower = Vec::new();
    for (number, parts) in layers.iter().enumerate() {
        let directory = folder.path().join(number.to_string());
        fs::create_dir(&directory).expect("the folder is new");
        let form = if number == 0 { Form::Lowest } else { Form::Overlay };
        let archive = parts.iter().fold(Archive::new(), add).finish();
        if let Err(error) = unpack(&archive, &directory, form, &lower) {
            assert!(!error.to_string().contains(char::is_control));
            break;
        }
        lower.insert(0, directory);
    }
    assert_eq!(before.differences(&Tree::read(&outside).expect("it is still there")), "");
});

fn add(archive: Archive, part: &Part) -> Archive {
    match part {
        Part::File(path, bytes) => archive.file(path.bytes(), bytes),
        Part::Directory(path, mode) => {
            let mode = u32::from(*mode) & 0o7777;
            archive.entry(&Entry { mode, ..entry(path.bytes(), Kind::Directory) }, b"")
        }
        Part::Symlink(path, target) => archive.symlink(path.bytes(), target.bytes()),
        Part::HardLink(path, target) => archive.hard_link(path.bytes(), target.bytes()),
        Part::Fifo(path) => archive.entry(&entry(path.bytes(), Kind::Fifo), b""),
        Part::Whiteout(path) => {
            let path = path.bytes();
            let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            archive.file([&path[..at], b".wh.", &path[at..]].concat(), "")
        }
        Part::Opaque(path) => archive.file([&path.bytes()[..], b"/.wh..wh..opq"].concat(), ""),
        Part::Bytes(bytes) => archive.body(bytes),
    }
}

fn unpack(
    archive: &[u8],
    directory: &Path,
    form: Form,
    lower: &[std::path::PathBuf],
) -> Result<(), UnpackError> {
    let mut limits = Limits::default();
    limits.bytes_max = 1 << 20;
    limits.entries_max = 1000;
    let directory = fs::File::open(directory).expect("it was just made");
    let mut unpacker = Unpacker::new(directory.into(), form, limits);
    unpacker.push(archive)?;
    let (_, deferred) = unpacker.finish()?;
    deferred.settle(lower)
}
