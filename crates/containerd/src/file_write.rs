//! Bytes that go into a file in large pieces, while the next one is gathered, and on to the disk.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use crate::write_back::WriteBack;

/// Bytes gathered before they are written.
const PIECE_BYTES: usize = 1 << 20;

/// Chunks gathered before they are written, however small they are: also the most slices that one call takes.
const PIECE_CHUNKS_MAX: usize = 512;

/// A file that is written from a place on. `K` is kept until nothing is written any more, however this ends.
#[derive(Debug)]
pub(crate) struct FileWrite<K> {
    file: Arc<File>,
    keep: Arc<K>,
    /// Bytes before the gathered ones.
    length: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    running: Option<JoinHandle<io::Result<()>>>,
    write_back: WriteBack,
}

impl<K: Send + Sync + 'static> FileWrite<K> {
    /// Writes `file` behind its first `length` bytes; what it has there is overwritten.
    pub(crate) fn new(file: File, length: u64, keep: K) -> FileWrite<K> {
        let file = Arc::new(file);
        FileWrite {
            write_back: WriteBack::new(Arc::clone(&file), length),
            file,
            keep: Arc::new(keep),
            length,
            gathered: Vec::new(),
            gathered_bytes: 0,
            running: None,
        }
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> &K {
        &self.keep
    }

    /// Appends `bytes`. An error may belong to those of an earlier call.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes >= PIECE_BYTES || self.gathered.len() >= PIECE_CHUNKS_MAX {
            self.write_gathered().await?;
        }
        Ok(())
    }

    /// Waits until all is written, and cuts off what the file had behind it.
    pub(crate) async fn finish(mut self) -> io::Result<K> {
        self.write_gathered().await?;
        self.written().await?;
        let (file, length) = (Arc::clone(&self.file), self.length);
        let cut = tokio::task::spawn_blocking(move || match file.metadata()?.len() {
            found if found == length => Ok(()),
            _ => file.set_len(length),
        });
        spawned(cut.await)?;
        Arc::into_inner(self.keep).ok_or_else(|| io::Error::other("a write that has ended still runs"))
    }

    async fn write_gathered(&mut self) -> io::Result<()> {
        self.written().await?;
        let (file, keep, at) = (Arc::clone(&self.file), Arc::clone(&self.keep), self.length);
        let gathered = std::mem::take(&mut self.gathered);
        self.length += std::mem::take(&mut self.gathered_bytes) as u64;
        self.running = Some(tokio::task::spawn_blocking(move || {
            let written = write_all(&file, gathered, at);
            drop(keep);
            written
        }));
        Ok(())
    }

    async fn written(&mut self) -> io::Result<()> {
        if let Some(running) = self.running.take() {
            spawned(running.await)?;
            self.write_back.advance(self.length);
        }
        Ok(())
    }
}

fn spawned<T>(outcome: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    outcome.map_err(io::Error::other)?
}

fn write_all(file: &File, mut chunks: Vec<Bytes>, mut at: u64) -> io::Result<()> {
    // The next one is at the end.
    chunks.reverse();
    loop {
        while chunks.last().is_some_and(Bytes::is_empty) {
            chunks.pop();
        }
        if chunks.is_empty() {
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> = chunks.iter().rev().map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = match rustix::io::pwritev(file, &slices, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        at += written as u64;
        while let Some(chunk) = chunks.last_mut().filter(|_| written > 0) {
            let taken = chunk.len().min(written);
            chunk.advance(taken);
            written -= taken;
            if chunk.is_empty() {
                chunks.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    fn contents(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn chunks_of_all_sizes_become_the_rest_of_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[9; 5_000_000]).unwrap();
        let mut write = FileWrite::new(file.try_clone().unwrap(), 3, "kept");
        let mut expected = vec![9; 3];
        // Thousands of small ones, and some that are larger than a piece.
        for (number, size) in
            (0u32..5000).map(|number| (number, number as usize % 7)).chain([(1, 3 << 20), (2, 9)])
        {
            let bytes = vec![u8::try_from(number % 251).unwrap(); size];
            expected.extend_from_slice(&bytes);
            write.write(bytes.into()).await.unwrap();
        }
        assert_eq!(write.finish().await.unwrap(), "kept");
        assert!(contents(file) == expected);
    }

    #[tokio::test]
    async fn nothing_written_leaves_what_was_before() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before, behind").unwrap();
        FileWrite::new(file.try_clone().unwrap(), 6, ()).finish().await.unwrap();
        assert_eq!(contents(file), b"before");
    }

    #[tokio::test]
    async fn a_file_that_takes_no_bytes_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let mut write = FileWrite::new(File::open(&path).unwrap(), 0, ());
        write.write(Bytes::from_static(b"bytes")).await.unwrap();
        assert!(write.finish().await.is_err());
    }
}
