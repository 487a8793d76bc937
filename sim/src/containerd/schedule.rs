//! When the collector runs by itself: containerd's defaults (plugins/gc/scheduler.go, v2.3.4).
//!
//! First 100 ms after the start, then at every interval in which something was deleted or 100 changes were made.
//! The interval is what containerd computes for collections as short as the ones here.

use std::time::Duration;

use super::gc;
use super::shared::Shared;

const STARTUP_DELAY: Duration = Duration::from_millis(100);
/// The least collection time that containerd assumes (5 ms), by its pause threshold (0.02), less that time.
const INTERVAL: Duration = Duration::from_millis(245);
const MUTATIONS_THRESHOLD: u64 = 100;

/// Collects until containerd stops.
pub(crate) async fn run(shared: Shared) {
    let stopping = shared.stopping();
    let mut delay = STARTUP_DELAY;
    let mut is_first = true;
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
        let is_due = {
            let state = shared.lock();
            is_first || state.deletions > 0 || state.mutations >= MUTATIONS_THRESHOLD
        };
        if is_due {
            gc::collect(&shared);
        }
        is_first = false;
        delay = INTERVAL;
    }
}
