//! What the services of one fake have in common: state, clock, version, and the points at which a scheduler may
//! hold them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::fault::{Call, Fault, Faults};
use super::point::Point;
use super::state::State;

/// Called at every [`Point`]; containerd goes on when the future is ready.
pub type Pause = Arc<dyn Fn(Point) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    options: Options,
    faults: Mutex<Faults>,
    /// Ends connections, subscriptions and the plugin's task; replaced by a restart.
    running: Mutex<CancellationToken>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Shared {
        Shared(Arc::new(Inner {
            state: Mutex::default(),
            options,
            faults: Mutex::default(),
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

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that happens to a call.
    pub(crate) fn fault(&self, call: Call<'_>) -> Option<Fault> {
        self.faults().take(call)
    }

    /// Finishes `work` after `point`, whether or not the client waits for it: containerd's handlers run on when their
    /// client goes away, and end with the process.
    pub(crate) async fn finish(&self, point: Point, work: impl FnOnce(&Shared) + Send + 'static) {
        if self.0.options.pause.is_none() {
            work(self);
            return;
        }
        let shared = self.clone();
        let task = tokio::spawn(async move {
            let stopping = shared.stopping();
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = shared.pause(point) => work(&shared),
            }
        });
        // The task has no result to lose; a panic in it shows on its own.
        let _ended = task.await;
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
