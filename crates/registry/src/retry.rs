//! How long to wait before trying again, and when to stop: backoff, jitter, `Retry-After`.
//!
//! Decides and waits on tokio's clock; what is tried again is the rounds' part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, header};
use tokio::time::sleep;

use crate::error::{Failure, Retry};

/// Tries after the first one.
const RETRIES_MAX: u32 = 6;
/// Tries after the first one when each took its whole time in silence.
const SILENT_RETRIES_MAX: u32 = 4;
/// Tries after the first one when no connection came about: the kubelet backs off by itself, and an operator waits for
/// "registry down".
const CONNECT_RETRIES_MAX: u32 = 2;
/// Longest sum of the waits of one request, however patient the server wants us to be.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// First wait; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest wait without the server's word.
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Longest wait on the server's word: a pull that sleeps for an hour looks hung to the kubelet.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Retries that a session has from its start.
const BUDGET: u64 = 64;
/// Bytes received that earn a session another one.
const BYTES_PER_RETRY: u64 = 1 << 20;

/// Deterministic random numbers for all clients of a process (splitmix64: one addition, then mixing), so that a node
/// full of pods does not knock at the same instant, and a simulated one always at the same.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter(AtomicU64::new(seed))
    }

    /// Between half of `wait` and the whole of it.
    fn spread(&self, wait: Duration) -> Duration {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let half = wait / 2;
        // The top 16 bits are enough for a jitter and keep the arithmetic in range.
        half + half * u32::try_from(mixed >> 48).unwrap_or(0) / (1 << 16)
    }
}

/// The retries that all requests of a session share, so that the forty layers of an image do not each ask a registry
/// in trouble seven times. Bytes received earn new ones.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    /// Bytes that have not earned a retry yet.
    bytes: AtomicU64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { left: AtomicU64::new(BUDGET), bytes: AtomicU64::new(0) }
    }
}

impl Budget {
    /// Takes note of bytes received.
    pub(crate) fn earn(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let earned = (before % BYTES_PER_RETRY + bytes) / BYTES_PER_RETRY;
        if earned > 0 {
            // More than at the start would let a session that went well for long be a burden for long.
            let add = |left: u64| Some(left.saturating_add(earned).min(BUDGET.max(left)));
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    fn spend(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// The retries of one request.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    made: u32,
    waited: Duration,
}

impl Retries {
    /// Waits before another try after `failure`; false, at once, when there is to be none.
    ///
    /// # Cancel safety
    /// A dropped wait counts as made.
    pub(crate) async fn pause(&mut self, jitter: &Jitter, budget: &Budget, failure: &Failure) -> bool {
        let Some(wait) = self.wait(jitter, failure) else { return false };
        if !budget.spend() {
            tracing::debug!(
                cause = crate::error::chain(failure),
                "not trying again: too many retries in this pull"
            );
            return false;
        }
        self.made += 1;
        self.waited += wait;
        tracing::debug!(retry = self.made, ?wait, cause = crate::error::chain(failure), "trying again");
        sleep(wait).await;
        true
    }

    fn wait(&self, jitter: &Jitter, failure: &Failure) -> Option<Duration> {
        let backoff = BACKOFF_MIN.saturating_mul(1 << self.made.min(16)).min(BACKOFF_MAX);
        let wait = match failure.retry() {
            Retry::Never => return None,
            Retry::Now => jitter.spread(backoff),
            // Never earlier than the server said, hence the jitter on top.
            Retry::After(after) => after.min(RETRY_AFTER_MAX) + jitter.spread(BACKOFF_MIN),
        };
        let is_allowed = match failure {
            Failure::Connect(_) => self.made < CONNECT_RETRIES_MAX,
            Failure::NoResponse { .. } | Failure::Stalled { .. } => self.made < SILENT_RETRIES_MAX,
            // A server that sets the pace ends the waiting too: by time, not by number.
            _ if matches!(failure.retry(), Retry::After(_)) => self.waited + wait <= WAIT_MAX,
            _ => self.made < RETRIES_MAX,
        };
        is_allowed.then_some(wait)
    }

    /// Starts counting anew, after progress.
    pub(crate) fn reset(&mut self) {
        *self = Retries::default();
    }
}

/// The `Retry-After` of a response (RFC 9110, section 10.2.3). A date is taken relative to the server's own `Date`, so
/// that this node's clock does not matter; without one it says nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(retry: &'static str, date: Option<&'static str>, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_static(date));
        }
        assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{retry}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        check("120", None, Some(120));
        check(" 0 ", None, Some(0));
        check("-1", None, None);
        check("soon", None, None);
        let later = "Sun, 06 Nov 1994 08:49:47 GMT";
        check(later, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(10));
        check(later, Some("Sun, 06 Nov 1994 09:00:00 GMT"), Some(0));
        check(later, None, None);
    }

    #[test]
    fn jitter_stays_between_half_and_whole_and_repeats_with_its_seed() {
        let waits = |seed| {
            let jitter = Jitter::new(seed);
            (0..100).map(|_| jitter.spread(Duration::from_secs(1))).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        assert!(waits(7).iter().all(|wait| (500..1000).contains(&wait.as_millis())));
    }
}
