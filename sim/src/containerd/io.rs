//! A connection that breaks when containerd stops or its listener is closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Passes bytes through until one of its tokens is cancelled, then fails both directions.
#[derive(Debug)]
pub(crate) struct Breakable<S> {
    stream: S,
    tokens: [CancellationToken; 2],
    broken: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
}

impl<S> Breakable<S> {
    pub(crate) fn new(stream: S, stopping: CancellationToken, cut: CancellationToken) -> Breakable<S> {
        let tokens = [stopping, cut];
        let broken = tokens.clone().map(|token| Box::pin(token.cancelled_owned()));
        Breakable { stream, tokens, broken }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let was_cancelled = self.tokens.iter().any(CancellationToken::is_cancelled);
        if was_cancelled || self.broken.iter_mut().any(|broken| broken.as_mut().poll(context).is_ready()) {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "containerd stopped"));
        }
        Ok(())
    }
}

impl<S> Connected for Breakable<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Breakable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Breakable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
