//! The client on the other end of a link's connection: its name, and the faults that happen to its calls.
//!
//! The layer of the connection puts a [`Caller`] into every request's extensions, so that a service whose call has
//! messages of its own finds it there.

use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::fault::{Call, Fault};
use super::point::shorten;
use super::shared::Shared;
use crate::schedule::Gate;

/// Who calls, over which connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) client: String,
    pub(crate) gate: Gate,
    pub(crate) shared: Shared,
    /// Breaks the connection.
    pub(crate) connection: CancellationToken,
}

/// What is left to happen after the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Aftermath {
    Nothing,
    LoseReply,
    Stall,
    Disconnect,
}

impl Caller {
    /// The caller of a request; `None` on a connection without a name.
    pub(crate) fn of<T>(request: &Request<T>) -> Option<Caller> {
        request.extensions().get::<Caller>().cloned()
    }

    /// The name of whoever makes a request; empty on a connection without one.
    pub(crate) fn name<T>(request: &Request<T>) -> String {
        request.extensions().get::<Caller>().map(|caller| caller.client.clone()).unwrap_or_default()
    }

    /// Lets happen what happens before the effect.
    ///
    /// # Errors
    /// The answer, when there is to be no effect.
    pub(crate) async fn before(&self, method: &str, subject: &str) -> Result<Aftermath, Status> {
        let call = Call { client: &self.client, method, subject };
        let Some(fault) = self.shared.fault(call) else { return Ok(Aftermath::Nothing) };
        self.gate.note(&format!("{} {method} {} has the fault {fault:?}", self.client, shorten(subject)));
        match fault {
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Ok(Aftermath::Nothing)
            }
            Fault::Fail(code, message) => Err(Status::new(code, message)),
            Fault::LoseReply => Ok(Aftermath::LoseReply),
            Fault::Stall => std::future::pending().await,
            Fault::StallReply => Ok(Aftermath::Stall),
            Fault::Disconnect => self.disconnect().await,
            Fault::DisconnectAfter => Ok(Aftermath::Disconnect),
        }
    }

    /// Lets happen what happens after the effect.
    ///
    /// # Errors
    /// The answer, when the true one is lost.
    pub(crate) async fn after(&self, aftermath: Aftermath) -> Result<(), Status> {
        match aftermath {
            Aftermath::Nothing => Ok(()),
            Aftermath::LoseReply => Err(lost()),
            Aftermath::Stall => std::future::pending().await,
            Aftermath::Disconnect => self.disconnect().await,
        }
    }

    /// Never answers, for the connection that would carry the answer is no more.
    async fn disconnect<T>(&self) -> T {
        self.connection.cancel();
        std::future::pending().await
    }
}

/// How a client sees a stream end whose answer never came.
pub(crate) fn lost() -> Status {
    Status::unavailable("error reading from server: EOF")
}
