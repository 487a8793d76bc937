//! Brings a file that grows to the disk, piece by piece.

use std::fs::File;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};
use tokio::task::JoinHandle;

/// Bytes that may wait in the page cache before the disk is set to work: enough for large transfers, little for the sync
/// at the end.
const PIECE_BYTES: u64 = 8 << 20;

/// A file that grows, and how much of it is on its way to the disk.
#[derive(Debug)]
pub(crate) struct WriteBack {
    file: Arc<File>,
    begun: u64,
    running: Option<JoinHandle<()>>,
}

impl WriteBack {
    /// Of what comes behind the first `length` bytes.
    pub(crate) fn new(file: Arc<File>, length: u64) -> WriteBack {
        WriteBack { file, begun: length, running: None }
    }

    /// Takes note that the file has `length` bytes. Neither waits nor fails: that the bytes are on the disk is what the
    /// sync at the end says.
    pub(crate) fn advance(&mut self, length: u64) {
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if length < self.begun.saturating_add(PIECE_BYTES) || is_running {
            return;
        }
        let (file, from) = (Arc::clone(&self.file), self.begun);
        self.begun = length;
        // Of all calls that begin writing without waiting for it, this is the one that needs no `unsafe`. It also lets go
        // of pages that are written already.
        self.running = Some(tokio::task::spawn_blocking(move || {
            let _ = fadvise(&*file, from, None, Advice::DontNeed);
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_disk_is_set_to_work_by_large_pieces_one_after_the_other() {
        let mut write_back = WriteBack::new(Arc::new(tempfile::tempfile().unwrap()), 0);
        write_back.advance(PIECE_BYTES - 1);
        assert!(write_back.running.is_none(), "too little");
        write_back.advance(PIECE_BYTES);
        assert_eq!(write_back.begun, PIECE_BYTES);
        // As if the first piece took long.
        let (go, gone) = std::sync::mpsc::channel::<()>();
        write_back.running = Some(tokio::task::spawn_blocking(move || gone.recv().unwrap()));
        write_back.advance(2 * PIECE_BYTES);
        assert_eq!(write_back.begun, PIECE_BYTES, "one at a time");
        go.send(()).unwrap();
        write_back.running.as_mut().unwrap().await.unwrap();
        write_back.advance(3 * PIECE_BYTES);
        assert_eq!(write_back.begun, 3 * PIECE_BYTES, "what came meanwhile goes along");
    }
}
