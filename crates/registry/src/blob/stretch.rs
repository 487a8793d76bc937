//! A part of a blob, over as many requests as it takes: the hosts in their order, and again where a connection broke.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::part::{Part, Wanted};
use super::{BlobSource, PROGRESS_BYTES};
use crate::ClientConfig;
use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, HostFailure, Retry, chain};
use crate::rounds::Rounds;

pub(super) struct Stretch {
    source: Arc<BlobSource>,
    position: u64,
    end: u64,
    rounds: Rounds,
    current: Option<Current>,
    in_trouble: bool,
}

struct Current {
    endpoint: Arc<Endpoint>,
    part: Part,
    began_at: u64,
    _stream: Option<[OwnedSemaphorePermit; 2]>,
}

impl Stretch {
    /// The bytes from `begin` to `end`, which is more; nothing is asked yet.
    ///
    /// # Errors
    /// [`AccessError::Config`] and [`AccessError::NoHost`].
    pub(super) fn new(source: &Arc<BlobSource>, begin: u64, end: u64) -> Result<Stretch, AccessError> {
        let mut rounds = Rounds::of_blob(&source.session, &source.descriptor)?;
        if let Some(endpoint) = source.served_by() {
            rounds.prefer(endpoint.position);
        }
        let source = Arc::clone(source);
        Ok(Stretch { source, position: begin, end, rounds, current: None, in_trouble: false })
    }

    /// Where it ends; further than was asked for where it may be longer and the host sends more.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.endpoint.host.name())
    }

    /// Whether a request failed or broke.
    pub(super) fn was_in_trouble(&self) -> bool {
        self.in_trouble
    }

    /// The next bytes; `None` at the end. `or_longer`: whether a host that sends the whole blob may, and the end moves.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub(super) async fn next(&mut self, or_longer: bool) -> Result<Option<Bytes>, AccessError> {
        loop {
            let Some(current) = &mut self.current else {
                if self.position == self.end {
                    return Ok(None);
                }
                self.open(or_longer).await?;
                continue;
            };
            match current.part.next().await {
                Ok(Some(mut bytes)) => {
                    let left = self.end - self.position;
                    if bytes.len() as u64 > left {
                        bytes.truncate(usize::try_from(left).expect("less than the length of a buffer"));
                        // The rest is another request's.
                        self.current = None;
                    }
                    self.position += bytes.len() as u64;
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
                Ok(None) => {
                    self.current = None;
                    // A range shorter than asked for is progress enough (see `Part::open`) to ask all hosts anew.
                    self.rounds.restart();
                }
                Err(failure) => self.broken(failure)?,
            }
        }
    }

    /// Asks the hosts for the rest, in their order, until one answers.
    pub(super) async fn open(&mut self, or_longer: bool) -> Result<(), AccessError> {
        loop {
            let endpoint = self.rounds.next().await?;
            let stream = self.permits(&endpoint).await;
            let wanted = Wanted { offset: self.position, end: self.end, or_whole: or_longer };
            match Part::open(&self.source, &endpoint, wanted).await {
                Ok(part) => {
                    if or_longer {
                        self.end = self.end.max(part.end());
                    }
                    *self.source.served_by.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::clone(&endpoint));
                    self.current = Some(Current { endpoint, part, began_at: self.position, _stream: stream });
                    return Ok(());
                }
                Err(failure) => {
                    self.in_trouble = true;
                    self.rounds.failed(&endpoint, failure);
                }
            }
        }
    }

    /// The turn of a big blob among those of the host and of the node; small ones need none.
    async fn permits(&self, endpoint: &Endpoint) -> Option<[OwnedSemaphorePermit; 2]> {
        if self.source.descriptor.size <= ClientConfig::SMALL_BLOB_BYTES {
            return None;
        }
        // The host's first: who waits for a slow host holds nothing of the others'.
        let host = Arc::clone(&endpoint.health.streams).acquire_owned().await.ok()?;
        let node = Arc::clone(&self.source.session.shared.streams).acquire_owned().await.ok()?;
        Some([host, node])
    }

    /// Takes note that the connection broke. What breaks after the last byte is of no interest, unless it is a surplus.
    fn broken(&mut self, failure: Failure) -> Result<(), AccessError> {
        let Some(Current { endpoint, began_at, .. }) = self.current.take() else { return Ok(()) };
        let complete = self.position == self.end;
        if complete && !matches!(failure, Failure::SizeMismatch { .. }) {
            return Ok(());
        }
        self.in_trouble = true;
        self.source.location.forget();
        let progress = self.position - began_at >= PROGRESS_BYTES && failure.retry() != Retry::Never;
        if progress {
            let (host, cause) = (endpoint.host.name(), chain(&failure));
            tracing::debug!(host, position_bytes = self.position, cause, "blob goes on where it broke");
            self.rounds.restart();
        } else if complete {
            let host = endpoint.host.name().to_owned();
            return Err(AccessError::Hosts(vec![HostFailure { host, failure }]));
        } else {
            self.rounds.failed(&endpoint, failure);
        }
        Ok(())
    }
}
