//! Where the bytes of an unfinished write are: in memory, or in a file for clients on the same machine to read and write.
//!
//! Owns the layout `<root>/ingest/<name>/{ref,data}` of `content/local`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::length;
use crate::containerd::options::Options;

#[derive(Debug)]
pub(crate) enum IngestBytes {
    Memory(BytesMut),
    File(IngestFile),
}

/// The directory of an ingest, which goes with it.
#[derive(Debug)]
pub(crate) struct IngestFile {
    directory: PathBuf,
}

impl IngestBytes {
    /// None yet, of the ingest with this backend key.
    pub(super) fn new(options: &Options, key: &str) -> io::Result<IngestBytes> {
        if options.directory.is_none() {
            return Ok(IngestBytes::Memory(BytesMut::new()));
        }
        let directory = Path::new(&options.content_root()).join("ingest").join(key.replace('/', "_"));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("ref"), key)?;
        fs::write(directory.join("data"), "")?;
        Ok(IngestBytes::File(IngestFile { directory }))
    }

    pub(super) fn length(&self) -> io::Result<i64> {
        match self {
            IngestBytes::Memory(bytes) => Ok(length(bytes)),
            IngestBytes::File(file) => {
                i64::try_from(fs::metadata(file.data())?.len()).map_err(io::Error::other)
            }
        }
    }

    pub(super) fn read(&self) -> io::Result<Bytes> {
        match self {
            IngestBytes::Memory(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            IngestBytes::File(file) => fs::read(file.data()).map(Bytes::from),
        }
    }

    /// Writes `bytes` at `offset`, which is where the writer of the ingest is.
    pub(super) fn write(&mut self, bytes: &[u8], offset: i64) -> io::Result<()> {
        match self {
            IngestBytes::Memory(all) => all.extend_from_slice(bytes),
            IngestBytes::File(file) => {
                let offset = u64::try_from(offset).map_err(io::Error::other)?;
                File::options().write(true).open(file.data())?.write_all_at(bytes, offset)?;
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) -> io::Result<()> {
        match self {
            IngestBytes::Memory(bytes) => bytes.clear(),
            IngestBytes::File(file) => fs::write(file.data(), "")?,
        }
        Ok(())
    }
}

impl IngestFile {
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for IngestFile {
    fn drop(&mut self) {
        // containerd logs and goes on.
        let _left = fs::remove_dir_all(&self.directory);
    }
}
