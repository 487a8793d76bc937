//! Archives in, events or files out.

use std::os::fd::OwnedFd;
use std::path::Path;

use layer::tar::{Entry, Event, Parser, TarError};
use layer::{Counts, Deferred, Form, Limits, UnpackError, Unpacker};
use rustix::fs::{Mode, OFlags, open};

pub(crate) fn open_directory(path: &Path) -> OwnedFd {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Unpacks in pieces that fit no block.
pub(crate) fn unpack_with(
    archive: &[u8],
    directory: &Path,
    form: Form,
    limits: Limits,
) -> Result<(Counts, Deferred), UnpackError> {
    let mut unpacker = Unpacker::new(open_directory(directory), form, limits);
    for piece in archive.chunks(9973) {
        unpacker.push(piece)?;
    }
    unpacker.finish()
}

/// Unpacks and settles with nothing below.
pub(crate) fn unpack(archive: &[u8], directory: &Path) -> Result<Counts, UnpackError> {
    let (counts, deferred) = unpack_with(archive, directory, Form::Lowest, Limits::default())?;
    deferred.settle(&[])?;
    Ok(counts)
}

/// An event that owns its bytes; bytes in a row are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Entry(Box<Entry>),
    Data(u64, Vec<u8>),
    Done,
    End,
}

/// All events of an archive in these pieces.
pub(crate) fn events<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    limits: Limits,
) -> Result<Vec<Owned>, TarError> {
    let mut parser = Parser::new(limits);
    let mut events = Vec::new();
    for mut piece in pieces {
        while let Some(event) = parser.next(&mut piece)? {
            match (event, events.last_mut()) {
                (Event::Data { offset, bytes }, Some(Owned::Data(start, before)))
                    if *start + before.len() as u64 == offset =>
                {
                    before.extend_from_slice(bytes);
                }
                (Event::Data { offset, bytes }, _) => events.push(Owned::Data(offset, bytes.to_vec())),
                (Event::Entry(entry), _) => events.push(Owned::Entry(entry)),
                (Event::Done, _) => events.push(Owned::Done),
                (Event::End, _) => events.push(Owned::End),
            }
        }
        assert!(piece.is_empty(), "what is not taken is asked for again");
    }
    parser.finish()?;
    Ok(events)
}

/// The entries of an archive.
pub(crate) fn entries(archive: &[u8]) -> Vec<Entry> {
    let entry = |event| match event {
        Owned::Entry(entry) => Some(*entry),
        _ => None,
    };
    events([archive], Limits::default()).unwrap().into_iter().filter_map(entry).collect()
}
