//! Bodies: the pace that each must keep, and small ones read whole (documents, token answers, error bodies).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use crate::error::Failure;

/// Longest time for a whole document, whatever its pace: 8 MiB at 70 kB/s. A trickle must not hold a pull for an hour.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(120);

/// Reads at most `limit` bytes, at `pace`.
///
/// # Errors
/// [`Failure::TooLarge`] beyond the limit, [`Failure::Stalled`], [`Failure::Broken`].
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn read(body: Incoming, limit: u64, pace: Pace) -> Result<Bytes, Failure> {
    match timeout(DOCUMENT_TIMEOUT, read_frames(body, limit, pace)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Failure::Stalled { after: DOCUMENT_TIMEOUT, bytes: 0 }),
    }
}

async fn read_frames(mut body: Incoming, limit: u64, mut pace: Pace) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(bytes) = pace.next(&mut body).await? {
        if (read.len() + bytes.len()) as u64 > limit {
            return Err(Failure::TooLarge { limit_bytes: limit });
        }
        read.extend_from_slice(&bytes);
    }
    Ok(read.freeze())
}

/// The slowest that a body may come: so many bytes in so much time of waiting for them. The time in which nobody waits
/// (a disk that is slow) does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Zero means any pace.
    window: Duration,
    least_bytes: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new(window: Duration, least_bytes: u64) -> Pace {
        Pace { window, least_bytes, waited: Duration::ZERO, bytes: 0 }
    }

    /// The next bytes of a body, `None` at its end; trailers are skipped.
    ///
    /// # Errors
    /// [`Failure::Stalled`] when they come too slowly, [`Failure::Broken`].
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped; the time of its wait is not counted.
    pub(crate) async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            let began = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            let Some(frame) = within(self.window, left, body.frame()).await else {
                return Err(Failure::Stalled { after: self.window, bytes: self.bytes });
            };
            self.waited += began.elapsed();
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::Broken(Box::new(error))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        self.came(bytes.len() as u64);
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    fn came(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= self.least_bytes {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}

/// What comes of `future` in the time that is left; `None` when it is up. A limit of zero is none.
async fn within<T>(limit: Duration, left: Duration, future: impl Future<Output = T>) -> Option<T> {
    if limit.is_zero() { Some(future.await) } else { timeout(left, future).await.ok() }
}
