//! The wall clock of the fakes, as a value.
//!
//! Owns the only reading of real time in this crate. Relies on tokio's clock otherwise, so that a paused runtime
//! gives the same timestamps in every run. Never sleeps.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

/// Seconds between the Unix epoch and the instant at which [`Clock::simulated`] starts: 2026-01-01T00:00:00Z.
const SIMULATED_EPOCH_SECONDS: u64 = 1_767_225_600;

/// Where a fake reads wall time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that calls `now` for every reading.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// A clock that starts at 2026-01-01T00:00:00Z and advances with tokio's clock, paused or not.
    pub fn simulated() -> Clock {
        let start = tokio::time::Instant::now();
        Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(SIMULATED_EPOCH_SECONDS) + start.elapsed()
        })
    }

    /// The machine's clock, for fakes that serve a process with a clock of its own (demo, end-to-end tests).
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads real time")]
    pub fn system() -> Clock {
        Clock::new(SystemTime::now)
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Reads an RFC 3339 time, as the collector's expiry labels carry it.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(text.parse::<Timestamp>().ok()?).ok()
}
