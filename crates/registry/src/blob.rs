//! A blob as a stream that survives broken connections; the digest is the caller's to check.

mod part;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use oci::Descriptor;

use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, FetchError, HostFailure, Retry};
use crate::hosts::Capability;
use crate::rounds::Rounds;
use crate::session::{Inner, Session};

use part::Part;

/// Bytes after which a broken connection counts as a new start: retries and hosts begin anew. Less would let a peer
/// that sends a byte for each request keep a pull busy for ever.
const PROGRESS_BYTES: u64 = 64 * 1024;

/// The bytes of a blob from an offset to its end.
///
/// Never yields more than the descriptor's size, and ends without an error only when it has yielded all. Where a
/// connection breaks or stalls, another request goes on from that byte, at the same host or the next.
pub struct Blob {
    session: Arc<Inner>,
    descriptor: Descriptor,
    position: u64,
    rounds: Rounds,
    current: Option<Current>,
}

struct Current {
    endpoint: Arc<Endpoint>,
    part: Part,
    began_at: u64,
}

impl Session {
    /// Opens the blob that `descriptor` names at `offset` bytes from its start; returns once a host answers.
    ///
    /// At most one host's connection is held, and only until the [`Blob`] is dropped or at its end.
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
        let mut blob = Blob {
            session: Arc::clone(&self.0),
            descriptor: descriptor.clone(),
            position: offset,
            rounds: Rounds::new(&self.0, Capability::Pull).map_err(error)?,
            current: None,
        };
        if offset < descriptor.size {
            blob.open().await.map_err(error)?;
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
        next.map_err(|source| FetchError { digest: self.descriptor.digest.clone(), source })
    }

    /// Offset of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The host that the bytes come from at present.
    pub fn host(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.endpoint.host.name())
    }

    /// The chunks as a stream, for combinators.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, FetchError>> + Send {
        futures::stream::try_unfold(self, |mut blob| async move {
            let chunk = blob.chunk().await?;
            Ok(chunk.map(|bytes| (bytes, blob)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, AccessError> {
        let stall = self.session.shared.config.stall_timeout;
        loop {
            let Some(current) = &mut self.current else {
                if self.position == self.descriptor.size {
                    return Ok(None);
                }
                self.open().await?;
                continue;
            };
            match current.part.next(stall).await {
                Ok(Some(bytes)) => {
                    self.position += bytes.len() as u64;
                    return Ok(Some(bytes));
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
    async fn open(&mut self) -> Result<(), AccessError> {
        loop {
            let endpoint = self.rounds.next().await?;
            match Part::open(&self.session, &endpoint, &self.descriptor, self.position).await {
                Ok(part) => {
                    self.current = Some(Current { endpoint, part, began_at: self.position });
                    return Ok(());
                }
                Err(failure) => self.rounds.failed(&endpoint, failure),
            }
        }
    }

    /// Takes note that the connection broke. What breaks after the last byte is of no interest, unless it is a surplus.
    fn broken(&mut self, failure: Failure) -> Result<(), AccessError> {
        let Some(Current { endpoint, began_at, .. }) = self.current.take() else { return Ok(()) };
        let complete = self.position == self.descriptor.size;
        if complete && !matches!(failure, Failure::SizeMismatch { .. }) {
            return Ok(());
        }
        let progress = self.position - began_at >= PROGRESS_BYTES && failure.retry() != Retry::Never;
        if progress {
            let (host, cause) = (endpoint.host.name(), crate::error::chain(&failure));
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

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("descriptor", &self.descriptor)
            .field("position", &self.position)
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}
