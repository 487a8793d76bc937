//! One client's way to containerd and registry.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::Gate;
use crate::containerd::Containerd;
use crate::registry::Registry;

/// The connections of one client. All its messages wait at the gate under its name, and all end at once when the link
/// is cut: what a kill of the client looks like from outside. What its tasks try afterwards reaches nobody.
#[derive(Clone, Debug)]
pub struct Link {
    name: String,
    gate: Gate,
    cut: CancellationToken,
}

impl Link {
    /// A link for the client called `name`, one word.
    pub fn new(name: &str, gate: &Gate) -> Link {
        Link { name: name.to_owned(), gate: gate.clone(), cut: CancellationToken::new() }
    }

    /// Ends all connections and refuses new ones.
    pub fn cut(&self) {
        self.gate.note(&format!("{} is cut off", self.name));
        self.cut.cancel();
    }

    /// The gate at which its messages wait.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// A channel to `containerd`; it dials when first used and again after a break.
    pub fn containerd(&self, containerd: &Containerd) -> Channel {
        let (link, containerd) = (self.clone(), containerd.clone());
        Endpoint::from_static("http://containerd.sim").connect_with_connector_lazy(tower::service_fn(
            move |_| {
                let dialled = link.dial_containerd(&containerd).map(TokioIo::new);
                async { dialled }
            },
        ))
    }

    /// Opens a connection to `registry` as the host called `host`.
    ///
    /// # Errors
    /// Connection refused after the link was cut.
    pub fn dial_registry(&self, registry: &Registry, host: &str) -> io::Result<DuplexStream> {
        self.check()?;
        Ok(registry.dial_through(host, self.gate.clone(), self.name.clone(), self.cut.clone()))
    }

    fn dial_containerd(&self, containerd: &Containerd) -> io::Result<DuplexStream> {
        self.check()?;
        containerd.dial_through(&self.name, &self.gate, &self.cut)
    }

    fn check(&self) -> io::Result<()> {
        if self.cut.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "this client was cut off"));
        }
        Ok(())
    }
}
