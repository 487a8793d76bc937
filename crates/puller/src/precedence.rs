//! Small images go first: while one is pulled, the others' work waits for a moment.
//!
//! A small pull mostly waits for containerd, and containerd for the disk. The next turn among the
//! [workers](crate::workers) is of little use to it where a huge pull keeps disk and processors busy in between.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Compressed bytes of the layers of an image that is small.
const SMALL_BYTES_MAX: u64 = 16 << 20;

/// How long the others wait in one go, whatever keeps the small ones. They then have as long for themselves, so that no
/// flood of small images takes more than half of the time.
const PERIOD_MAX: Duration = Duration::from_millis(500);

/// Which pulls go first.
#[derive(Debug, Default)]
pub(crate) struct Precedence {
    pulls: BTreeSet<u64>,
    period: Option<Period>,
}

/// The time of small pulls, or that of the others which follows it.
#[derive(Clone, Copy, Debug)]
struct Period {
    since: Instant,
    ended: Option<Instant>,
}

impl Period {
    /// When the others' time begins.
    fn end(self) -> Instant {
        self.ended.unwrap_or(self.since + PERIOD_MAX)
    }

    /// When the others have had theirs.
    fn next(self) -> Instant {
        self.end() + (self.end() - self.since)
    }
}

impl Precedence {
    /// Lets `pull`, of an image with `bytes`, go first from `now` on, where it is small and it is not the others' time.
    pub(crate) fn ask(&mut self, pull: u64, bytes: u64, now: Instant) {
        if bytes > SMALL_BYTES_MAX {
            return;
        }
        match self.period {
            Some(period) if now < period.end() => {}
            Some(period) if now < period.next() => return,
            _ => {
                self.pulls.clear();
                self.period = Some(Period { since: now, ended: None });
            }
        }
        self.pulls.insert(pull);
    }

    /// `pull` has ended. Answers whether those that wait may go on.
    pub(crate) fn end(&mut self, pull: u64, now: Instant) -> bool {
        let is_last = self.pulls.remove(&pull) && self.pulls.is_empty();
        match &mut self.period {
            Some(period) if is_last && now < period.end() => period.ended = Some(now),
            _ => {}
        }
        is_last
    }

    /// Until when `pull` has to wait at the most, where it has to.
    pub(crate) fn until(&self, pull: u64, now: Instant) -> Option<Instant> {
        let end = self.period?.end();
        (now < end && !self.pulls.contains(&pull)).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: u64 = 1 << 20;
    const HUGE: u64 = 1 << 30;

    fn at(begin: Instant, milliseconds: u64) -> Instant {
        begin + Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn a_huge_pull_waits_for_small_ones_and_they_for_nobody() {
        let (mut precedence, begin) = (Precedence::default(), Instant::now());
        precedence.ask(1, HUGE, begin);
        assert_eq!(precedence.until(1, begin), None);
        precedence.ask(2, SMALL, begin);
        precedence.ask(3, SMALL, at(begin, 100));
        assert_eq!(precedence.until(1, at(begin, 100)), Some(at(begin, 500)));
        assert_eq!(precedence.until(2, at(begin, 100)), None);
        assert_eq!(precedence.until(3, at(begin, 100)), None);
        assert!(!precedence.end(2, at(begin, 150)), "there is another one");
        assert!(precedence.end(3, at(begin, 200)));
        assert_eq!(precedence.until(1, at(begin, 200)), None);
        assert!(!precedence.end(1, at(begin, 200)), "it had none");
    }

    #[tokio::test]
    async fn small_pulls_take_no_more_than_half_of_the_time() {
        let (mut precedence, begin) = (Precedence::default(), Instant::now());
        precedence.ask(2, SMALL, begin);
        assert!(precedence.end(2, at(begin, 200)));
        precedence.ask(3, SMALL, at(begin, 399));
        assert_eq!(precedence.until(1, at(begin, 399)), None, "the others' time");
        precedence.ask(4, SMALL, at(begin, 400));
        assert_eq!(precedence.until(1, at(begin, 400)), Some(at(begin, 900)));
        assert_eq!(precedence.until(3, at(begin, 400)), Some(at(begin, 900)), "it came too early");
    }

    #[tokio::test]
    async fn a_small_pull_that_does_not_end_holds_up_nobody_for_long() {
        let (mut precedence, begin) = (Precedence::default(), Instant::now());
        precedence.ask(2, SMALL, begin);
        assert_eq!(precedence.until(1, at(begin, 500)), None);
        precedence.ask(3, SMALL, at(begin, 999));
        assert_eq!(precedence.until(1, at(begin, 999)), None);
        precedence.ask(4, SMALL, at(begin, 1000));
        assert_eq!(precedence.until(1, at(begin, 1000)), Some(at(begin, 1500)));
        assert_eq!(precedence.until(2, at(begin, 1000)), Some(at(begin, 1500)), "it had its time");
        assert!(!precedence.end(2, at(begin, 1100)));
        assert!(precedence.end(4, at(begin, 1100)));
    }
}
