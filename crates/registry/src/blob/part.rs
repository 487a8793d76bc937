//! One response's share of a blob: asked for, checked against what was asked, cut to it.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;

use super::{BlobSource, PROGRESS_BYTES};
use crate::body::Pace;
use crate::content_range::ContentRange;
use crate::endpoint::Endpoint;
use crate::error::{Failure, ProtocolError, chain};
use crate::exchange::Call;

/// Most characters shown of a peer's `Content-Range`.
const SHOWN_CHARS_MAX: usize = 60;

pub(super) struct Part {
    body: Incoming,
    pace: Pace,
    /// Bytes to discard first: the server sent the blob from its start.
    skip: u64,
    position: u64,
    /// Where this response ends in the blob.
    end: u64,
}

/// What is to be had of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) offset: u64,
    pub(super) end: u64,
    /// Whether the whole blob will do where the host sends no part of it.
    pub(super) or_whole: bool,
}

impl Part {
    /// Asks `endpoint` for the bytes from `offset`, which is less than the end. The answer may end earlier, or be the whole
    /// blob.
    pub(super) async fn open(
        source: &BlobSource,
        endpoint: &Endpoint,
        wanted: Wanted,
    ) -> Result<Part, Failure> {
        let size = source.descriptor.size;
        let from_start = wanted.offset == 0;
        let is_whole = from_start && (wanted.end == size || endpoint.health.has_no_ranges());
        if is_whole {
            let response = request(source, endpoint, None).await?;
            return Part::of(source, endpoint, Wanted { end: size, ..wanted }, response);
        }
        let range = range_header(wanted.offset, wanted.end);
        let part = match request(source, endpoint, Some(range)).await {
            Ok(response) => Part::of(source, endpoint, wanted, response),
            Err(failure) => Err(failure),
        };
        match part {
            // Some servers know no ranges and say so in their own way.
            Err(failure) if from_start && wanted.or_whole && is_about_range(&failure) => {
                let response = request(source, endpoint, None).await?;
                let part = Part::of(source, endpoint, Wanted { end: size, ..wanted }, response)?;
                // Only now it is known that the range was at fault, and not the blob.
                no_ranges(endpoint, &chain(&failure));
                Ok(part)
            }
            part => part,
        }
    }

    /// Checks a response against what was asked for.
    fn of(
        source: &BlobSource,
        endpoint: &Endpoint,
        wanted: Wanted,
        response: Response<Incoming>,
    ) -> Result<Part, Failure> {
        let (size, offset) = (source.descriptor.size, wanted.offset);
        let (skip, end) = match response.status() {
            StatusCode::PARTIAL_CONTENT => (0, partial_end(response.headers(), wanted, size)?),
            StatusCode::OK if offset == 0 && wanted.end == size => (0, size),
            StatusCode::OK => {
                no_ranges(endpoint, "it sends the whole");
                if !wanted.or_whole {
                    return Err(ProtocolError::NoRanges.into());
                }
                (offset, size)
            }
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
        Ok(Part { body, pace: source.session.shared.pace(), skip, position: offset, end })
    }

    /// Where this response ends in the blob.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next bytes of the blob; `None` where this response ends as announced.
    ///
    /// # Cancel safety
    /// No byte is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(mut bytes) = self.pace.next(&mut self.body).await? else {
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

async fn request(
    source: &BlobSource,
    endpoint: &Endpoint,
    range: Option<HeaderValue>,
) -> Result<Response<Incoming>, Failure> {
    let BlobSource { session, descriptor, location, .. } = source;
    let call = Call {
        method: Method::GET,
        path: format!("{}/blobs/{}", session.reference.repository(), descriptor.digest),
        accept: HeaderValue::from_static("*/*"),
        range,
    };
    session.exchange_at(endpoint, &call, location).await
}

fn no_ranges(endpoint: &Endpoint, cause: &str) {
    if endpoint.health.set_no_ranges() {
        tracing::info!(
            host = endpoint.host.name(),
            cause,
            "host sends no ranges: blobs come by one request each"
        );
    }
}

/// Whether a failure may come of the range, and not of the blob.
fn is_about_range(failure: &Failure) -> bool {
    match failure {
        Failure::Server { status, .. } => matches!(status, 204 | 400 | 405 | 416 | 501),
        Failure::Protocol(ProtocolError::Range { .. }) => true,
        _ => false,
    }
}

/// Both ends are named: an open end would let the server send what is not wanted.
fn range_header(offset: u64, end: u64) -> HeaderValue {
    let text = format!("bytes={offset}-{}", end - 1);
    HeaderValue::try_from(text).expect("digits and punctuation may stand in a header")
}

/// Where a 206 ends. It must begin at the offset and lie within what was asked for; it may be shorter than that, but not so
/// short that the requests never end.
fn partial_end(headers: &HeaderMap, wanted: Wanted, size: u64) -> Result<u64, Failure> {
    let offset = wanted.offset;
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
    let long_enough = end == wanted.end || end.saturating_sub(offset) >= PROGRESS_BYTES;
    if range.first == offset && end <= wanted.end && long_enough { Ok(end) } else { Err(refused()) }
}
