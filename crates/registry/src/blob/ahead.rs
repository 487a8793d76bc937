//! A range that is fetched before its turn, into memory, on a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use super::BlobSource;
use super::stretch::Stretch;
use crate::error::{AccessError, chain};

/// A range in memory, or on its way there. Dropped, it ends its request.
pub(super) struct Ahead {
    /// Not bounded by itself, but by the length of the range.
    bytes: mpsc::UnboundedReceiver<Result<Bytes, AccessError>>,
    left: u64,
    in_trouble: Arc<AtomicBool>,
    task: JoinHandle<()>,
    _permit: OwnedSemaphorePermit,
}

impl Ahead {
    /// Begins to fetch the bytes from `begin` to `end`; `permit` stands for the memory that they take.
    pub(super) fn begin(
        source: &Arc<BlobSource>,
        begin: u64,
        end: u64,
        permit: OwnedSemaphorePermit,
    ) -> Ahead {
        let (sender, bytes) = mpsc::unbounded_channel();
        let in_trouble = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let (source, in_trouble) = (Arc::clone(source), Arc::clone(&in_trouble));
            async move {
                if let Err(error) = fetch(&source, begin, end, &in_trouble, &sender).await {
                    // Nobody listens where the blob was dropped just now.
                    let _ = sender.send(Err(error));
                }
            }
        });
        Ahead { bytes, left: end - begin, in_trouble, task, _permit: permit }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// Why the rest does not come, as a text.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        match self.bytes.recv().await {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(chain(&error)),
            None if self.left == 0 => Ok(None),
            None => Err("its task ended".to_owned()),
        }
    }

    /// Whether a request for it failed or broke.
    pub(super) fn was_in_trouble(&self) -> bool {
        self.in_trouble.load(Ordering::Relaxed)
    }
}

async fn fetch(
    source: &Arc<BlobSource>,
    begin: u64,
    end: u64,
    in_trouble: &AtomicBool,
    sender: &mpsc::UnboundedSender<Result<Bytes, AccessError>>,
) -> Result<(), AccessError> {
    let mut stretch = Stretch::new(source, begin, end)?;
    loop {
        let next = stretch.next(false).await;
        in_trouble.store(stretch.was_in_trouble(), Ordering::Relaxed);
        let Some(bytes) = next? else { return Ok(()) };
        if sender.send(Ok(bytes)).is_err() {
            return Ok(());
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
