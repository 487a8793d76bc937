//! What the services of one fake have in common: state, clock, version, and the points at which a scheduler may
//! hold them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::state::State;

/// A place between two steps of containerd at which other requests may run.
///
/// Requests and replies are points too, but those a scheduler sees on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Point {
    /// A synchronous delete has removed its record and is about to collect.
    BeforeCollect,
    /// The CRI plugin has taken an image event from its queue and is about to look at the record.
    BeforeCacheUpdate,
}

/// Called at every [`Point`]; containerd goes on when the future is ready.
pub type Pause = Arc<dyn Fn(Point) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    options: Options,
    /// Ends connections, subscriptions and the plugin's task; replaced by a restart.
    running: Mutex<CancellationToken>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Shared {
        Shared(Arc::new(Inner {
            state: Mutex::default(),
            options,
            running: Mutex::new(CancellationToken::new()),
        }))
    }

    /// The state. A panic while it was held is a bug of the fake that the test already reports.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.options.clock.now()
    }

    /// Cancelled when this incarnation of containerd ends.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends this incarnation and begins the next.
    pub(crate) fn begin_incarnation(&self) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *running, CancellationToken::new()).cancel();
    }

    pub(crate) async fn pause(&self, point: Point) {
        if let Some(pause) = &self.0.options.pause {
            pause(point).await;
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.0.options).finish_non_exhaustive()
    }
}
