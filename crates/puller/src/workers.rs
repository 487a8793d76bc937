//! Blocking work of all pulls: so much at a time, and no pull waits for the whole of another.
//!
//! Work comes in pieces of a few milliseconds. Where more wait than may run, the next turn is that of the pull that has
//! had least so far, so that a small image is not stuck behind a huge one. Turns are counted in bytes, not in time, which
//! makes them the same in every run. Within a pull it is that of the lowest layer: snapshots are committed bottom-up, one
//! after the other, and so the commits go on beside the unpacking of the layers above. While a small image
//! [goes first](crate::precedence), the work of all others waits.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::PullError;
use crate::precedence::Precedence;

/// What a new pull is ahead of those that run: an image of that many bytes does not notice them. More would let a new
/// huge pull keep the others waiting for longer.
const HEAD_START_BYTES: u64 = 256 << 20;

/// The turns of one node.
#[derive(Clone, Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    niceness: i32,
    state: Mutex<State>,
    /// Nobody goes first any more.
    precedence_ended: Notify,
}

#[derive(Debug)]
struct State {
    free: usize,
    pulls: BTreeMap<u64, Waiting>,
    pulls_count: u64,
    precedence: Precedence,
}

/// What one pull has had, and what of it waits.
#[derive(Debug)]
struct Waiting {
    had: u64,
    /// By layer, then in the order in which they came.
    turns: BTreeMap<(usize, u64), oneshot::Sender<Turn>>,
    turns_count: u64,
}

/// The turns of one pull.
#[derive(Debug)]
pub(crate) struct Turns {
    workers: Workers,
    pull: u64,
    running: watch::Sender<usize>,
}

/// The turns of one layer of a pull.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerTurns<'a> {
    turns: &'a Turns,
    layer: usize,
}

/// Leave to run one piece of work. Goes to the next in line when it is dropped.
#[derive(Debug)]
struct Turn {
    workers: Option<Workers>,
}

impl Workers {
    /// Runs `count` pieces of work at a time, on threads of this niceness (0 is that of the process).
    pub(crate) fn new(count: NonZeroUsize, niceness: i32) -> Workers {
        let state = State {
            free: count.get(),
            pulls: BTreeMap::new(),
            pulls_count: 0,
            precedence: Precedence::default(),
        };
        let shared = Shared { niceness, state: Mutex::new(state), precedence_ended: Notify::new() };
        Workers { shared: Arc::new(shared) }
    }

    /// The turns of a new pull.
    pub(crate) fn pull(&self) -> Turns {
        let mut state = self.state();
        state.pulls_count += 1;
        let pull = state.pulls_count;
        let least = state.pulls.values().map(|waiting| waiting.had).min().unwrap_or_default();
        let had = least.saturating_sub(HEAD_START_BYTES);
        state.pulls.insert(pull, Waiting { had, turns: BTreeMap::new(), turns_count: 0 });
        drop(state);
        Turns { workers: self.clone(), pull, running: watch::Sender::new(0) }
    }

    async fn let_others_go_first(&self, pull: u64) {
        loop {
            let ended = self.shared.precedence_ended.notified();
            let Some(until) = self.state().precedence.until(pull, Instant::now()) else { return };
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a turn to the next in line, or notes that one is free.
    fn give(&self) {
        loop {
            let next = {
                let mut state = self.state();
                let waiting = state.pulls.values_mut().filter(|waiting| !waiting.turns.is_empty());
                let next = waiting.min_by_key(|waiting| waiting.had).and_then(|pull| pull.turns.pop_first());
                if next.is_none() {
                    state.free += 1;
                }
                next.map(|(_, next)| next)
            };
            let Some(next) = next else { return };
            match next.send(Turn { workers: Some(self.clone()) }) {
                Ok(()) => return,
                // Nobody waits for it any more; it is given to another one here, not in its drop.
                Err(mut turn) => turn.workers = None,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.give();
        }
    }
}

impl LayerTurns<'_> {
    /// Runs `work`, which passes about `bytes`, on a thread that may block, when its turn comes.
    ///
    /// # Errors
    /// [`PullError::Ended`] where it panicked.
    ///
    /// # Cancel safety
    /// Work that has begun goes on to its end; see [`Turns::idle`].
    pub(crate) async fn run<T: Send + 'static>(
        self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PullError> {
        let turn = self.turn(bytes as u64).await;
        let niceness = self.turns.workers.shared.niceness;
        let running = Running::new(&self.turns.running);
        let task = tokio::task::spawn_blocking(move || {
            let _held = (turn, running);
            be_nice(niceness);
            work()
        });
        task.await.map_err(|error| PullError::Ended(error.to_string()))
    }

    async fn turn(self, bytes: u64) -> Turn {
        let Turns { workers, pull, .. } = self.turns;
        workers.let_others_go_first(*pull).await;
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = workers.state();
            let state = &mut *state;
            if let Some(waiting) = state.pulls.get_mut(pull) {
                waiting.had = waiting.had.saturating_add(bytes);
                if state.free == 0 {
                    waiting.turns_count += 1;
                    waiting.turns.insert((self.layer, waiting.turns_count), sender);
                } else {
                    state.free -= 1;
                    return Turn { workers: Some(workers.clone()) };
                }
            }
        }
        match receiver.await {
            Ok(turn) => turn,
            // Entries are removed with their last turn only, so this cannot be; a turn of no count is the safe answer.
            Err(_) => Turn { workers: None },
        }
    }
}

impl Turns {
    /// The turns of the layer `number`, counted from the lowest.
    pub(crate) fn of_layer(&self, number: usize) -> LayerTurns<'_> {
        LayerTurns { turns: self, layer: number }
    }

    /// Says how many compressed bytes the layers of the image have: a small one may go first, until this is dropped.
    pub(crate) fn of_image(&self, bytes: u64) {
        self.workers.state().precedence.ask(self.pull, bytes, Instant::now());
    }

    /// Work of no layer, or that all layers wait for: before that of any.
    ///
    /// # Errors
    /// As [`LayerTurns::run`].
    ///
    /// # Cancel safety
    /// As [`LayerTurns::run`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PullError> {
        self.of_layer(0).run(bytes, work).await
    }

    /// Waits until no work of this pull runs.
    pub(crate) async fn idle(&self) {
        // The sender is here, so that the wait cannot fail.
        let _ = self.running.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        let mut state = self.workers.state();
        state.pulls.remove(&self.pull);
        if state.precedence.end(self.pull, Instant::now()) {
            self.workers.shared.precedence_ended.notify_waiters();
        }
    }
}

/// Counts work that runs.
struct Running(watch::Sender<usize>);

impl Running {
    fn new(count: &watch::Sender<usize>) -> Running {
        count.send_modify(|count| *count += 1);
        Running(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Gives the calling thread its niceness, once. The priority of its I/O follows (ioprio_set(2)).
fn be_nice(niceness: i32) {
    thread_local! {
        static NICE: Cell<bool> = const { Cell::new(false) };
    }
    if niceness == 0 || NICE.replace(true) {
        return;
    }
    // Of the calling thread alone: on Linux a thread is what this takes for a process.
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        tracing::warn!(%error, niceness, "threads that unpack keep the priority of the process");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn workers(count: usize) -> Workers {
        Workers::new(NonZeroUsize::new(count).unwrap(), 0)
    }

    #[tokio::test]
    async fn no_more_work_runs_than_there_are_workers() {
        let workers = workers(2);
        let pulls: Vec<Turns> = (0..4).map(|_| workers.pull()).collect();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = Vec::new();
        for turns in pulls.iter().cycle().take(200) {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            all.push(turns.run(1, move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        futures::future::try_join_all(all).await.unwrap();
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(workers.state().free, 2, "every turn is given back");
        drop(pulls);
        assert!(workers.state().pulls.is_empty());
    }

    #[tokio::test]
    async fn work_runs_with_its_niceness_or_that_of_the_process() {
        let of_thread = || rustix::process::getpriority_process(None).unwrap();
        for (niceness, expected) in [(0, of_thread()), (19, 19)] {
            let workers = Workers::new(NonZeroUsize::MIN, niceness);
            assert_eq!(workers.pull().run(1, of_thread).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_new_pull_is_ahead_of_those_that_run_by_a_small_image() {
        let workers = workers(1);
        let huge = workers.pull();
        drop(huge.of_layer(0).turn(3 * HEAD_START_BYTES).await);
        let _new = workers.pull();
        let had: Vec<u64> = workers.state().pulls.values().map(|waiting| waiting.had).collect();
        assert_eq!(had, [3 << 28, 2 << 28]);
    }

    #[tokio::test]
    async fn the_lowest_layer_is_next() {
        let workers = workers(1);
        let pull = workers.pull();
        let first = pull.of_layer(2).turn(0).await;
        let order = Mutex::new(Vec::new());
        let note = async |layer| {
            let turn = pull.of_layer(layer).turn(1).await;
            order.lock().unwrap().push(layer);
            drop(turn);
        };
        futures::join!(note(2), note(1), note(0), note(1), async { drop(first) });
        assert_eq!(*order.lock().unwrap(), [0, 1, 1, 2]);
    }

    #[tokio::test]
    async fn the_pull_that_has_had_least_is_next() {
        let workers = workers(1);
        let (huge, small) = (workers.pull(), workers.pull());
        let first = huge.of_layer(0).turn(1000).await;
        let order = Mutex::new(Vec::new());
        async fn note(turns: &Turns, name: &'static str, bytes: u64, order: &Mutex<Vec<&'static str>>) {
            let turn = turns.of_layer(0).turn(bytes).await;
            order.lock().unwrap().push(name);
            drop(turn);
        }
        let waiting = futures::future::join3(
            note(&huge, "huge", 1000, &order),
            note(&small, "small", 10, &order),
            note(&small, "small", 10, &order),
        );
        futures::join!(waiting, async { drop(first) });
        assert_eq!(*order.lock().unwrap(), ["small", "small", "huge"]);
    }

    #[tokio::test(start_paused = true)]
    async fn work_waits_until_a_small_image_is_pulled() {
        let workers = workers(2);
        let (huge, small) = (workers.pull(), workers.pull());
        small.of_image(1);
        let begin = Instant::now();
        let mut waits = Box::pin(huge.of_layer(0).turn(1));
        assert!(futures::poll!(&mut waits).is_pending());
        drop(small.of_layer(0).turn(1).await);
        assert!(futures::poll!(&mut waits).is_pending());
        drop(small);
        drop(waits.await);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_goes_to_the_next() {
        let workers = workers(1);
        let (one, two) = (workers.pull(), workers.pull());
        let held = one.of_layer(0).turn(0).await;
        let mut given_up = Box::pin(one.of_layer(0).turn(0));
        assert!(futures::poll!(&mut given_up).is_pending());
        let mut waits = Box::pin(two.of_layer(0).turn(5));
        assert!(futures::poll!(&mut waits).is_pending());
        drop(given_up);
        drop(held);
        drop(waits.await);
        assert_eq!(workers.state().free, 1);
    }

    #[tokio::test]
    async fn work_of_a_caller_that_went_away_is_waited_for() {
        let workers = workers(1);
        let turns = workers.pull();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let done = Arc::new(AtomicUsize::new(0));
        let mut work = Box::pin(turns.run(1, {
            let done = Arc::clone(&done);
            move || {
                gone.recv().unwrap();
                done.store(1, Ordering::SeqCst);
            }
        }));
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        go.send(()).unwrap();
        turns.idle().await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
