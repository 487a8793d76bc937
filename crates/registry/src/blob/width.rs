//! How many requests for one blob at the same time: as many as bring it sooner.
//!
//! More are tried while the reader mostly waits for bytes, and given back where they brought no more. Numbers in,
//! numbers out; time is told to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Ranges;

/// Shortest time over which a pace is measured.
const MEASURE: Duration = Duration::from_millis(250);
/// Cycles of all requests over which it is measured where there are several. The shortest: who is slow needs help now.
const CYCLES: u64 = 1;
/// How many are tried first where one is not enough.
const FIRST: usize = 4;
/// A blob is cut into at least so many ranges, unless they would be shorter than is worth a request.
const PARTS: u64 = 16;
const RANGE_BYTES_MIN: u64 = 512 << 10;
/// Ranges after which, having found that more requests bring nothing, it is tried again.
const HOLD_RANGES: u64 = 32;
/// The head's length in ranges where one request at a time is enough: each new one costs a round trip.
const HEAD_RANGES_MAX: u64 = 8;

pub(super) struct Width {
    max: usize,
    range_bytes: u64,
    now: usize,
    head_bytes: u64,
    /// Bytes a second with half as many requests.
    before: Option<f64>,
    /// Position up to which no more are tried.
    hold_to: u64,
    /// Position at which the measuring begins: bytes before it were asked for by fewer requests.
    measure_from: u64,
    measured: Option<Measured>,
    /// When the head was asked for, and its first byte; `None` once its pace is known.
    head: Option<(Instant, u64)>,
    /// Bytes a second of one request at its beginning, as last measured.
    pace: Option<f64>,
}

/// The pace of one request, bytes a second, that the last blob of a session came at.
#[derive(Debug, Default)]
pub(crate) struct KnownPace(AtomicU64);

impl KnownPace {
    /// `None` before it is known.
    pub(super) fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|pace| *pace > 0.0)
    }

    pub(super) fn set(&self, pace: f64) {
        self.0.store(pace.to_bits(), Ordering::Relaxed);
    }
}

struct Measured {
    began: Instant,
    bytes: u64,
    waited: Duration,
}

impl Width {
    /// For `rest` bytes. `pace` is that of an earlier blob, if it is known.
    pub(super) fn new(ranges: Ranges, rest: u64, pace: Option<f64>) -> Width {
        let (max, range_bytes) =
            (ranges.width_max.get(), ranges.bytes.min((rest / PARTS).max(RANGE_BYTES_MIN)).max(1));
        // Not worth a second request.
        let is_lone = max == 1 || rest <= range_bytes.saturating_mul(2);
        let head_bytes = if is_lone { u64::MAX } else { range_bytes };
        Width {
            max,
            range_bytes,
            now: 1,
            head_bytes,
            before: None,
            hold_to: 0,
            measure_from: 0,
            measured: None,
            head: None,
            pace,
        }
    }

    /// How many requests there should be.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// Bytes of one range that is fetched ahead.
    pub(super) fn ahead_bytes(&self) -> u64 {
        self.range_bytes
    }

    /// Bytes of a range that streams through, where `rest` are not asked for yet.
    pub(super) fn head_bytes(&self, rest: u64) -> u64 {
        // What is here sooner than a pace is measured needs no second request. Not more than a head may be: a server that
        // limits each connection may let its first bytes pass.
        let is_soon = || {
            let is_head = rest <= self.ahead_bytes() * HEAD_RANGES_MAX;
            is_head && self.pace.is_some_and(|pace| rest as f64 <= pace * MEASURE.as_secs_f64())
        };
        match self.now {
            1 if is_soon() => rest,
            1 => self.head_bytes.min(rest),
            _ => self.ahead_bytes().min(rest),
        }
    }

    /// The head is asked for, from `position` on.
    pub(super) fn begin_head(&mut self, position: u64) {
        self.head = Some((Instant::now(), position));
    }

    /// The pace of one request, if it is known by now; told once for each head.
    pub(super) fn pace(&mut self, position: u64) -> Option<f64> {
        let (began, from) = self.head?;
        let bytes = position.saturating_sub(from);
        if self.now > 1 || bytes < RANGE_BYTES_MIN {
            return None;
        }
        self.head = None;
        // From the request on: a reader that was late makes it less, and first bytes that no limit counts make it more.
        self.pace = Some(bytes as f64 / began.elapsed().as_secs_f64());
        self.pace
    }

    /// Takes note of bytes that came after a wait; the reader is at `position` now, and up to `asked_to` is asked for.
    pub(super) fn came(&mut self, bytes: u64, waited: Duration, position: u64, asked_to: u64) {
        if self.head_bytes == u64::MAX || position < self.measure_from {
            return;
        }
        let Some(measured) = &mut self.measured else {
            // From here on: how long these bytes were under way is not known.
            self.measured = Some(Measured { began: Instant::now(), bytes: 0, waited: Duration::ZERO });
            return;
        };
        measured.bytes += bytes;
        measured.waited += waited;
        let elapsed = measured.began.elapsed();
        let is_enough = if self.now == 1 {
            elapsed >= MEASURE
        } else {
            // Whole cycles of the requests, for their bytes come in bursts. No chunk goes beyond the end of its range, so
            // this ends at one as it began.
            measured.bytes >= CYCLES * self.now as u64 * self.range_bytes
        };
        if !is_enough {
            return;
        }
        let rate = measured.bytes as f64 / elapsed.as_secs_f64();
        let is_starved = measured.waited * 2 > elapsed;
        self.measured = None;
        self.measure_from = position;
        self.decide(rate, is_starved, position, asked_to);
    }

    fn decide(&mut self, rate: f64, is_starved: bool, position: u64, asked_to: u64) {
        // A fifth more is worth it; less may be chance.
        let has_gained = self.before.take().is_none_or(|before| rate > before * 1.2);
        let may_grow = position >= self.hold_to && self.now < self.max;
        if !has_gained {
            self.shrink(asked_to);
        } else if is_starved && may_grow {
            // Of one request the pace is not known well enough to compare: others hide its round trips in any case.
            self.before = (self.now > 1).then_some(rate);
            let more = if self.now == 1 { FIRST } else { self.now * 2 };
            self.now = more.min(self.max);
            self.measure_from = asked_to;
        } else if self.now == 1 && !is_starved {
            self.head_bytes = (self.head_bytes * 2).min(self.ahead_bytes() * HEAD_RANGES_MAX);
        }
    }

    /// Half as many from now on, and no more for a while: they brought nothing, or trouble.
    pub(super) fn shrink(&mut self, asked_to: u64) {
        self.now = (self.now / 2).max(1);
        self.before = None;
        self.measured = None;
        self.measure_from = asked_to;
        self.hold_to = asked_to.saturating_add(HOLD_RANGES * self.ahead_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: u64 = 1 << 20;

    /// Reads `ranges` ranges, each of which takes `time(width)` of which the reader waits the share `waiting`.
    async fn read(
        width: &mut Width,
        position: &mut u64,
        ranges: u64,
        time: impl Fn(usize) -> Duration,
        waiting: f64,
    ) {
        for _ in 0..ranges {
            for _ in 0..4 {
                let took = time(width.now()) / 4;
                tokio::time::advance(took).await;
                *position += RANGE / 4;
                let asked_to = position.next_multiple_of(RANGE) + (width.now() as u64 - 1) * RANGE;
                width.came(RANGE / 4, took.mul_f64(waiting), *position, asked_to);
            }
        }
    }

    fn width() -> Width {
        Width::new(Ranges { bytes: RANGE, ..Ranges::default() }, 1 << 40, None)
    }

    #[tokio::test(start_paused = true)]
    async fn it_grows_while_that_brings_more() {
        let (mut width, mut position) = (width(), 0);
        read(&mut width, &mut position, 100, |width| Duration::from_millis(800).div_f64(width as f64), 1.0)
            .await;
        assert_eq!(width.now(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_where_the_link_is_full() {
        let (mut width, mut position) = (width(), 0);
        let full = |width: usize| Duration::from_millis(800).div_f64(width.min(2) as f64);
        read(&mut width, &mut position, 40, full, 1.0).await;
        assert_eq!(width.now(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_one_for_a_reader_that_does_not_wait_and_the_head_grows() {
        let (mut width, mut position) = (width(), 0);
        read(&mut width, &mut position, 100, |_| Duration::from_millis(400), 0.3).await;
        assert_eq!((width.now(), width.head_bytes(1 << 40)), (1, 8 * RANGE));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_halves_it_and_it_grows_again_later() {
        let (mut width, mut position) = (width(), 0);
        let fast = |width: usize| Duration::from_millis(800).div_f64(width as f64);
        read(&mut width, &mut position, 100, fast, 1.0).await;
        width.shrink(position);
        width.shrink(position);
        assert_eq!(width.now(), 2);
        read(&mut width, &mut position, HOLD_RANGES - 1, fast, 1.0).await;
        assert_eq!(width.now(), 2);
        read(&mut width, &mut position, 100, fast, 1.0).await;
        assert_eq!(width.now(), 8);
    }

    #[test]
    fn a_small_blob_is_asked_for_at_once_and_a_larger_one_in_ranges_that_are_worth_it() {
        let head = |rest| Width::new(Ranges::default(), rest, None).head_bytes(rest);
        assert_eq!(head(RANGE), RANGE);
        assert_eq!(head(RANGE + 1), RANGE_BYTES_MIN);
        assert_eq!(head(32 * RANGE), 2 * RANGE);
        assert_eq!(head(1 << 40), 4 * RANGE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_soon_at_the_pace_so_far_is_asked_for_at_once() {
        let mut width = width();
        width.begin_head(0);
        tokio::time::advance(Duration::from_millis(25)).await;
        assert_eq!(width.pace(RANGE_BYTES_MIN - 1), None);
        let pace = width.pace(RANGE_BYTES_MIN);
        assert_eq!(pace, Some(40.0 * RANGE_BYTES_MIN as f64));
        assert_eq!(width.pace(RANGE_BYTES_MIN), None);
        let soon = 10 * RANGE_BYTES_MIN;
        assert_eq!(width.head_bytes(soon), soon);
        assert_eq!(width.head_bytes(soon + 1), RANGE);
        // So it is of the next blob, unless that is more than a head may be.
        let next = Width::new(Ranges::default(), soon, pace);
        let most = HEAD_RANGES_MAX * RANGE_BYTES_MIN;
        assert_eq!((next.head_bytes(most), next.head_bytes(most + 1)), (most, RANGE_BYTES_MIN));
    }
}
