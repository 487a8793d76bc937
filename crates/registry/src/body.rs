//! Small bodies read whole: documents, token answers, error bodies; bounded in size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::error::Failure;

/// Longest time for a whole document, whatever its pace: 4 MiB at 35 kB/s. A trickle must not hold a pull for an hour.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(120);

/// Reads at most `limit` bytes.
///
/// # Errors
/// [`Failure::TooLarge`] beyond the limit, [`Failure::Stalled`] after `stall` without a byte, [`Failure::Broken`].
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn read(body: Incoming, limit: u64, stall: Duration) -> Result<Bytes, Failure> {
    match timeout(DOCUMENT_TIMEOUT, read_frames(body, limit, stall)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Failure::Stalled { after: DOCUMENT_TIMEOUT }),
    }
}

async fn read_frames(mut body: Incoming, limit: u64, stall: Duration) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(bytes) = next(&mut body, stall).await? {
        if (read.len() + bytes.len()) as u64 > limit {
            return Err(Failure::TooLarge { limit_bytes: limit });
        }
        read.extend_from_slice(&bytes);
    }
    Ok(read.freeze())
}

/// The next bytes of a body, `None` at its end; trailers are skipped.
///
/// # Cancel safety
/// No byte is lost when the future is dropped.
pub(crate) async fn next(body: &mut Incoming, stall: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        match timeout(stall, body.frame()).await {
            Err(_elapsed) => return Err(Failure::Stalled { after: stall }),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Failure::Broken(Box::new(error))),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}
