//! One response's share of a blob: asked for, checked against what was asked, cut to it.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use oci::Descriptor;

use super::PROGRESS_BYTES;
use crate::body;
use crate::content_range::ContentRange;
use crate::endpoint::Endpoint;
use crate::error::{Failure, ProtocolError};
use crate::exchange::Call;
use crate::session::Inner;

/// Most characters shown of a peer's `Content-Range`.
const SHOWN_CHARS_MAX: usize = 60;

pub(super) struct Part {
    body: Incoming,
    /// Bytes to discard first: the server sent the blob from its start.
    skip: u64,
    position: u64,
    /// Where this response ends in the blob.
    end: u64,
}

impl Part {
    /// Asks `endpoint` for the bytes from `offset`, which is less than the size.
    pub(super) async fn open(
        session: &Inner,
        endpoint: &Endpoint,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Part, Failure> {
        let range = (offset > 0).then(|| range_header(offset, descriptor.size));
        let call = Call {
            method: Method::GET,
            path: format!("{}/blobs/{}", session.reference.repository(), descriptor.digest),
            accept: HeaderValue::from_static("*/*"),
            range,
        };
        let response = session.exchange(endpoint, &call).await?;
        let (skip, end) = match response.status() {
            StatusCode::PARTIAL_CONTENT => (0, partial_end(response.headers(), offset, descriptor.size)?),
            StatusCode::OK => (offset, descriptor.size),
            status => {
                let (status, says) = (status.as_u16(), Default::default());
                return Err(Failure::Server { status, after: None, says });
            }
        };
        let body = response.into_body();
        let length = skip + (end - offset);
        if let Some(announced) = body.size_hint().exact()
            && announced != length
        {
            return Err(Failure::SizeMismatch { expected_bytes: length, actual_bytes: announced });
        }
        Ok(Part { body, skip, position: offset, end })
    }

    /// The next bytes of the blob; `None` where this response ends as announced.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub(super) async fn next(&mut self, stall: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(mut bytes) = body::next(&mut self.body, stall).await? else {
                return if self.position == self.end && self.skip == 0 {
                    Ok(None)
                } else {
                    Err(self.mismatch(0))
                };
            };
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            bytes.advance(usize::try_from(skipped).expect("not more than the length of a buffer"));
            if bytes.is_empty() {
                continue;
            }
            let length = bytes.len() as u64;
            if length > self.end - self.position {
                return Err(self.mismatch(length));
            }
            self.position += length;
            return Ok(Some(bytes));
        }
    }

    fn mismatch(&self, surplus: u64) -> Failure {
        Failure::SizeMismatch { expected_bytes: self.end, actual_bytes: self.position - self.skip + surplus }
    }
}

/// Both ends are named: an open end would let the server send what is not wanted.
fn range_header(offset: u64, size: u64) -> HeaderValue {
    let text = format!("bytes={offset}-{}", size - 1);
    HeaderValue::try_from(text).expect("digits and punctuation may stand in a header")
}

/// Where a 206 ends. It must begin at `offset` and lie within the blob; it may be shorter than asked for, but not so
/// short that the requests never end.
fn partial_end(headers: &HeaderMap, offset: u64, size: u64) -> Result<u64, Failure> {
    let refused = || {
        let got =
            headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let got = got.chars().take(SHOWN_CHARS_MAX).collect();
        Failure::from(ProtocolError::Range { offset_bytes: offset, got })
    };
    let range = ContentRange::of(headers).ok_or_else(refused)?;
    if let Some(actual_bytes) = range.size.filter(|whole| *whole != size) {
        return Err(Failure::SizeMismatch { expected_bytes: size, actual_bytes });
    }
    let end = range.last.saturating_add(1);
    let long_enough = end == size || end.saturating_sub(offset) >= PROGRESS_BYTES;
    if range.first == offset && end <= size && long_enough { Ok(end) } else { Err(refused()) }
}
