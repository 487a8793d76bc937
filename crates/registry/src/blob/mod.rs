//! A blob as a stream that survives broken connections; the digest is the caller's to check.
//!
//! ```text
//! blob: |----- read -----|-- head --|-- ahead --|-- ahead --|------ not asked for ------|
//! ```
//! The head streams through. Where the network is what the reader waits for, and more requests bring more, the ranges
//! after the head are fetched at the same time and wait in memory for their turn.

mod ahead;
mod part;
mod stretch;
mod width;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::Stream;
use oci::Descriptor;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, FetchError};
use crate::exchange::Location;
use crate::session::{Inner, Session};

use ahead::Ahead;
use stretch::Stretch;
use width::Width;

pub(crate) use width::KnownPace;

/// Bytes after which a broken connection counts as a new start: retries and hosts begin anew. Less would let a peer
/// that sends a byte for each request keep a pull busy for ever.
const PROGRESS_BYTES: u64 = 64 * 1024;

/// The bytes of a blob from an offset to its end.
///
/// Never yields more than the descriptor's size, and ends without an error only when it has yielded all. Where a
/// connection breaks or stalls, another request goes on from that byte, at the same host or the next.
pub struct Blob {
    source: Arc<BlobSource>,
    position: u64,
    head: Option<Head>,
    ahead: VecDeque<Ahead>,
    /// Where the part begins that nobody has asked for.
    asked_to: u64,
    width: Width,
}

/// What all requests for a blob have in common.
struct BlobSource {
    session: Arc<Inner>,
    descriptor: Descriptor,
    location: Location,
    /// The last host that sent bytes.
    served_by: Mutex<Option<Arc<Endpoint>>>,
}

impl BlobSource {
    fn served_by(&self) -> Option<Arc<Endpoint>> {
        self.served_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_no_ranges(&self) -> bool {
        self.served_by().is_some_and(|endpoint| endpoint.health.has_no_ranges())
    }
}

enum Head {
    Stretch(Box<Stretch>),
    Ahead(Ahead),
}

impl Session {
    /// Opens the blob that `descriptor` names at `offset` bytes from its start; returns once a host answers.
    ///
    /// Connections are held only until the [`Blob`] is dropped or at its end.
    ///
    /// # Errors
    /// [`FetchError`] with every host tried; transient failures were retried here already. An `offset` beyond the
    /// blob's size is a [`Kind::SizeMismatch`](crate::Kind::SizeMismatch).
    ///
    /// # Cancel safety
    /// Dropping the future drops the request.
    pub async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Blob, FetchError> {
        let error = |source| FetchError { digest: descriptor.digest.clone(), source };
        if offset > descriptor.size {
            let beyond = Failure::SizeMismatch { expected_bytes: descriptor.size, actual_bytes: offset };
            return Err(error(AccessError::Refused(beyond)));
        }
        let (session, descriptor) = (Arc::clone(&self.0), descriptor.clone());
        let width = Width::new(session.shared.config.ranges, descriptor.size - offset, session.pace.get());
        let (location, served_by) = (Location::default(), Mutex::default());
        let source = Arc::new(BlobSource { session, descriptor, location, served_by });
        let (position, asked_to) = (offset, offset);
        let mut blob = Blob { source, position, head: None, ahead: VecDeque::new(), asked_to, width };
        if offset < blob.size() {
            blob.begin_head().await.map_err(error)?;
        }
        Ok(blob)
    }
}

impl Blob {
    /// The next bytes; `None` once all of the blob has been yielded. A long silence and a broken connection are mended
    /// inside, so this may take as long as the retries of a request.
    ///
    /// # Errors
    /// [`FetchError`]: the hosts gave up, or sent more or fewer bytes than the descriptor says. The blob is then of no
    /// further use.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: the next call goes on from the same byte.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let next = self.next().await;
        next.map_err(|source| FetchError { digest: self.source.descriptor.digest.clone(), source })
    }

    /// Offset of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The host that the bytes come from at present; `None` between two requests, and where they were fetched ahead.
    pub fn host(&self) -> Option<&str> {
        match &self.head {
            Some(Head::Stretch(stretch)) => stretch.host(),
            Some(Head::Ahead(_)) | None => None,
        }
    }

    /// The chunks as a stream, for combinators.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, FetchError>> + Send {
        futures::stream::try_unfold(self, |mut blob| async move {
            let chunk = blob.chunk().await?;
            Ok(chunk.map(|bytes| (bytes, blob)))
        })
    }

    fn size(&self) -> u64 {
        self.source.descriptor.size
    }

    async fn next(&mut self) -> Result<Option<Bytes>, AccessError> {
        loop {
            let began = Instant::now();
            if self.head.is_none() {
                if self.position == self.size() {
                    return Ok(None);
                }
                self.begin_head().await?;
                self.look_ahead();
            }
            let next = match &mut self.head {
                None => continue,
                Some(Head::Stretch(stretch)) => {
                    let next = stretch.next(self.ahead.is_empty()).await?;
                    // A server may send all that is left, and does so where it knows no ranges.
                    self.asked_to = self.asked_to.max(stretch.end());
                    next
                }
                Some(Head::Ahead(ahead)) => match ahead.next().await {
                    Ok(next) => next,
                    // It was only an attempt to be faster. One request after the other has all its retries yet.
                    Err(cause) => {
                        let position_bytes = self.position;
                        tracing::debug!(position_bytes, cause, "range fetched ahead failed");
                        self.give_up_ahead();
                        continue;
                    }
                },
            };
            let Some(bytes) = next else {
                if let Some(Head::Ahead(ahead)) = &self.head
                    && ahead.was_in_trouble()
                {
                    self.width.shrink(self.asked_to);
                }
                self.head = None;
                continue;
            };
            self.position += bytes.len() as u64;
            self.source.session.budget.earn(bytes.len() as u64);
            self.width.came(bytes.len() as u64, began.elapsed(), self.position, self.asked_to);
            if let Some(pace) = self.width.pace(self.position) {
                self.source.session.pace.set(pace);
            }
            self.look_ahead();
            return Ok(Some(bytes));
        }
    }

    /// Makes the next range the head.
    async fn begin_head(&mut self) -> Result<(), AccessError> {
        if let Some(ahead) = self.ahead.pop_front() {
            self.head = Some(Head::Ahead(ahead));
            return Ok(());
        }
        let rest = self.size() - self.position;
        let length = if self.source.has_no_ranges() { rest } else { self.width.head_bytes(rest) };
        self.width.begin_head(self.position);
        // In place before it is open, so that a dropped future leaves its retries counted.
        self.asked_to = self.position + length;
        let stretch = Stretch::new(&self.source, self.position, self.asked_to)?;
        if let Head::Stretch(stretch) = self.head.insert(Head::Stretch(Box::new(stretch))) {
            stretch.open(true).await?;
            self.asked_to = stretch.end();
        }
        Ok(())
    }

    /// Asks for as many ranges beside the head as the width says.
    fn look_ahead(&mut self) {
        while self.asked_to < self.size() && self.ahead.len() + 1 < self.width.now() {
            if self.source.has_no_ranges() {
                return;
            }
            let Ok(permit) = Arc::clone(&self.source.session.shared.ahead).try_acquire_owned() else {
                return;
            };
            let end = (self.asked_to + self.width.ahead_bytes()).min(self.size());
            self.ahead.push_back(Ahead::begin(&self.source, self.asked_to, end, permit));
            self.asked_to = end;
        }
    }

    fn give_up_ahead(&mut self) {
        self.head = None;
        self.ahead.clear();
        self.asked_to = self.position;
        self.width.shrink(self.asked_to);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("descriptor", &self.source.descriptor)
            .field("position", &self.position)
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}
