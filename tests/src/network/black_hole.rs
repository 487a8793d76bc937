//! A host that is there for nobody: what is sent to it is neither answered nor refused, as behind a bad firewall.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Long enough that a connection over loopback that could be made would have been made.
const PROOF: Duration = Duration::from_millis(50);

/// Most connections that a kernel takes for a listener that wants none.
const QUEUE_MAX: usize = 4;

/// A loopback port whose SYNs are dropped.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Makes one. The kernel drops a SYN for which the listener's queue has no place, so the queue is made as short as it
    /// can be and filled; nobody accepts.
    ///
    /// # Errors
    /// Where connections are still made.
    pub fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
        let address = listener.local_addr()?;
        rustix::net::listen(&listener, 0).context("the queue cannot be made shorter")?;
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, PROOF) {
            queued.push(stream);
            ensure!(queued.len() <= QUEUE_MAX, "the kernel still makes connections to {address}");
        }
        Ok(Self { address, _listener: listener, _queued: queued })
    }

    /// Its `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}
