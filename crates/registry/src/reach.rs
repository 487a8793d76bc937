//! Whether something on the network is out of reach, and who finds out when it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// First time after which what was out of reach is probed; doubled each time it still is.
const PROBE_AFTER_MIN: Duration = Duration::from_secs(5);
/// Longest such time.
const PROBE_AFTER_MAX: Duration = Duration::from_secs(120);

/// Out of reach since it was last asked, or not.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<Option<Down>>);

#[derive(Debug)]
struct Down {
    cause: Arc<str>,
    probe_after: Duration,
    probe_at: Instant,
    probing: bool,
}

impl Reach {
    /// Whether it was out of reach when it was last asked.
    pub(crate) fn is_down(&self) -> bool {
        self.state().is_some()
    }

    /// Why it [is down](Reach::is_down), where it is too early to ask again, or being found out.
    pub(crate) fn down_lately(&self) -> Option<Arc<str>> {
        let state = self.state();
        let lately = |down: &&Down| down.probing || Instant::now() < down.probe_at;
        state.as_ref().filter(lately).map(|down| Arc::clone(&down.cause))
    }

    /// Takes note that it is out of reach; true where that is news.
    pub(crate) fn set_down(&self, cause: &str) -> bool {
        let mut state = self.state();
        let (is_news, probe_after) = match &*state {
            None => (true, PROBE_AFTER_MIN),
            // Several requests that were under way fail for one reason.
            Some(down) if !down.probing && Instant::now() < down.probe_at => return false,
            Some(down) => (false, (down.probe_after * 2).min(PROBE_AFTER_MAX)),
        };
        let probe_at = Instant::now() + probe_after;
        *state = Some(Down { cause: cause.into(), probe_after, probe_at, probing: false });
        is_news
    }

    /// Takes note that it answered; true where that is news.
    pub(crate) fn set_up(&self) -> bool {
        self.state().take().is_some()
    }

    /// True once when it is time to find out whether it is back; who gets it must call [`Reach::set_up`] or
    /// [`Reach::set_down`] after, or drop the answer with [`Reach::probe_dropped`].
    pub(crate) fn claim_probe(&self) -> bool {
        match &mut *self.state() {
            Some(down) if !down.probing && Instant::now() >= down.probe_at => {
                down.probing = true;
                true
            }
            _ => false,
        }
    }

    /// The probe ended without an answer: another may be made.
    pub(crate) fn probe_dropped(&self) {
        if let Some(down) = &mut *self.state() {
            down.probing = false;
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Down>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_down_is_probed_by_one_at_growing_intervals() {
        let reach = Reach::default();
        assert!(!reach.claim_probe());
        assert!(reach.set_down("refused"));
        assert!(!reach.set_down("refused"));
        for seconds in [5, 10, 20, 40, 80, 120, 120] {
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!reach.claim_probe(), "{seconds}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(reach.claim_probe(), "{seconds}");
            assert!(!reach.claim_probe());
            assert!(!reach.set_down("refused"));
        }
        assert!(reach.set_up());
        assert!(!reach.is_down());
        assert!(!reach.set_up());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_dropped_can_be_made_again() {
        let reach = Reach::default();
        reach.set_down("refused");
        tokio::time::advance(PROBE_AFTER_MIN).await;
        assert!(reach.claim_probe());
        reach.probe_dropped();
        assert!(reach.claim_probe());
    }
}
