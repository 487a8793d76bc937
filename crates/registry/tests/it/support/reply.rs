//! What a scripted server answers, misbehaviour included.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    tail: Vec<u8>,
    end: End,
    delay: Option<Duration>,
}

/// How the body ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As it should, with its length in front.
    Sized,
    /// As it should, without a length in front.
    Chunked,
    /// The connection breaks.
    Broken,
    /// Nothing more comes.
    Silent,
    /// As it should, a piece of so many bytes each time.
    Slow(usize, Duration),
}

impl Reply {
    pub(crate) fn new(status: u16) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            tail: Vec::new(),
            end: End::Sized,
            delay: None,
        }
    }

    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::new(200).body(body)
    }

    /// A 206 with the right `Content-Range` for `blob[first..=last]`.
    pub(crate) fn part(blob: &[u8], first: usize, last: usize) -> Reply {
        Reply::new(206)
            .header("content-range", format!("bytes {first}-{last}/{}", blob.len()))
            .body(&blob[first..=last])
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Reply {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn chunked(mut self) -> Reply {
        self.end = End::Chunked;
        self
    }

    /// A second chunk after the body, without a length in front of either.
    pub(crate) fn followed_by(mut self, tail: impl AsRef<[u8]>) -> Reply {
        self.tail = tail.as_ref().to_vec();
        self.chunked()
    }

    /// Announces `length` bytes, sends the body and breaks the connection.
    pub(crate) fn broken(mut self, length: usize) -> Reply {
        self.end = End::Broken;
        self.header("content-length", length.to_string())
    }

    /// Announces `length` bytes, sends the body and then nothing more.
    pub(crate) fn silent(mut self, length: usize) -> Reply {
        self.end = End::Silent;
        self.header("content-length", length.to_string())
    }

    /// Sends the body in pieces of `bytes`, one after each `interval`.
    pub(crate) fn slow(mut self, bytes: usize, interval: Duration) -> Reply {
        self.end = End::Slow(bytes, interval);
        let length = self.body.len();
        self.header("content-length", length.to_string())
    }

    pub(crate) fn delayed(mut self, delay: Duration) -> Reply {
        self.delay = Some(delay);
        self
    }

    pub(crate) async fn into_response(self) -> Response<Body> {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        let bytes = Bytes::from(self.body);
        let sent = stream::iter([Ok(Frame::data(bytes.clone()))]);
        let body: Body = match self.end {
            End::Sized => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            End::Chunked => {
                let tail = Some(Bytes::from(self.tail)).filter(|tail| !tail.is_empty());
                StreamBody::new(sent.chain(stream::iter(tail.map(|tail| Ok(Frame::data(tail))))))
                    .boxed_unsync()
            }
            End::Broken => {
                // The yield lets the server write the first part before it meets the error.
                let error = stream::once(async {
                    tokio::task::yield_now().await;
                    Err(io::ErrorKind::ConnectionReset.into())
                });
                StreamBody::new(sent.chain(error)).boxed_unsync()
            }
            End::Slow(piece, interval) => {
                let pieces = stream::unfold(bytes, move |mut rest| async move {
                    let next = rest.split_to(piece.min(rest.len()));
                    tokio::time::sleep(interval).await;
                    (!next.is_empty()).then(|| (Ok(Frame::data(next)), rest))
                });
                StreamBody::new(pieces).boxed_unsync()
            }
            End::Silent => StreamBody::new(sent.chain(stream::pending())).boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            response
                .headers_mut()
                .append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        response
    }
}
