//! Our side: each layer into a directory of its own, settled from the lowest up, and mounted by hand.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use layer::{Counts, Form, Limits, UnpackError, Unpacker};
use layer_testing::Tree;
use rustix::fs::{Mode, OFlags, open};

use crate::mounted::Mounted;

/// Unpacks `layers`, the lowest first, below `folder`; answers their directories, the uppermost first.
pub(crate) fn unpack(layers: &[Vec<u8>], folder: &Path) -> Result<Vec<PathBuf>, UnpackError> {
    let mut open_ones = Vec::new();
    for (number, archive) in layers.iter().enumerate() {
        let directory = folder.join(number.to_string());
        let form = if number == 0 { Form::Lowest } else { Form::Overlay };
        std::fs::create_dir(&directory).expect("the folder is new");
        let (_, deferred) = unpack_one(archive, &directory, form)?;
        open_ones.push((directory, deferred));
    }
    let mut directories = Vec::new();
    for (directory, deferred) in open_ones {
        deferred.settle(&directories)?;
        directories.insert(0, directory);
    }
    Ok(directories)
}

pub(crate) fn unpack_one(
    archive: &[u8],
    directory: &Path,
    form: Form,
) -> Result<(Counts, layer::Deferred), UnpackError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(directory, flags, Mode::empty()).expect("the directory is new");
    let mut unpacker = Unpacker::new(root, form, Limits::default());
    for piece in archive.chunks(60_001) {
        unpacker.push(piece)?;
    }
    unpacker.finish()
}

/// The tree that a container would see.
pub(crate) fn tree(layers: &[Vec<u8>]) -> anyhow::Result<Tree> {
    let folder = tempfile::tempdir()?;
    let mut lower = unpack(layers, folder.path())?;
    // The kernel wants two lower directories where nothing is above them.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty)?;
    lower.push(empty);
    let lower: Vec<_> = lower.iter().map(|path| path.display().to_string()).collect();
    let mounted = Mounted::overlay(&format!("lowerdir={}", lower.join(":")))?;
    Tree::read(mounted.path()).context("cannot read our tree")
}
