//! Response bodies that can break on the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes of one frame. Small enough that a fault in mid-body hits mid-stream.
const FRAME_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Reset,
    Stall,
}

/// A body of known length that may end early.
#[derive(Debug)]
pub(super) struct Payload {
    declared: u64,
    rest: Bytes,
    end: End,
    flushed: bool,
}

impl Payload {
    pub(super) fn new(bytes: Bytes) -> Payload {
        Payload { declared: bytes.len() as u64, rest: bytes, end: End::Complete, flushed: false }
    }

    /// Sends the first `length` bytes, then breaks the connection.
    pub(super) fn reset_after(self, length: u64) -> Payload {
        self.cut(length, End::Reset)
    }

    /// Sends the first `length` bytes, then nothing more.
    pub(super) fn stall_after(self, length: u64) -> Payload {
        self.cut(length, End::Stall)
    }

    fn cut(mut self, length: u64, end: End) -> Payload {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < self.rest.len() {
            self.rest.truncate(length);
            self.end = end;
        }
        self
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.rest.is_empty() {
            let length = FRAME_BYTES.min(self.rest.len());
            let frame = self.rest.split_to(length);
            self.declared -= length as u64;
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match self.end {
            End::Complete => Poll::Ready(None),
            // hyper drops what it has buffered when a body fails, and flushes when one is not ready.
            End::Reset if !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Reset => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            // Nothing will wake this again: the client's own timeout ends it.
            End::Stall => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.end == End::Complete
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared)
    }
}
