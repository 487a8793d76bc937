//! The gate at which messages wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Choose;

/// How far the clock moves between two releases. The shortest timer of the product is longer, so that its timers fire
/// between messages and not instead of them.
const TICK: Duration = Duration::from_millis(1);

/// Messages wait here for their turn. Clones are the same gate. Open at first: messages pass, unlogged.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told of each arrival: a driver that ticked while nobody waits would stop at every millisecond of a long pause.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    /// By label and order of arrival, so that nothing but these decides what a choice means.
    waiting: BTreeMap<(String, u64), oneshot::Sender<()>>,
    arrivals: u64,
    log: Vec<String>,
    began: Option<Instant>,
}

impl Gate {
    /// An open gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// From now on messages wait. The log begins anew.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.log.clear();
        state.began = Some(Instant::now());
    }

    /// Lets all go that wait, and all that come.
    pub fn open(&self) {
        let mut state = self.lock();
        state.is_closed = false;
        for sender in std::mem::take(&mut state.waiting).into_values() {
            // A waiter that went away needs no release.
            let _ = sender.send(());
        }
    }

    /// Waits until it is the turn of `label`, whose first word is the client.
    ///
    /// # Cancel safety
    /// A dropped waiter loses its turn to the others.
    pub async fn pass(&self, label: &str) {
        let turn = {
            let mut state = self.lock();
            if !state.is_closed {
                return;
            }
            let (sender, turn) = oneshot::channel();
            state.arrivals += 1;
            let key = (label.to_owned(), state.arrivals);
            state.waiting.insert(key, sender);
            self.0.arrived.notify_one();
            turn
        };
        // The sender is dropped only together with the gate, when nobody can decide any more.
        let _ = turn.await;
    }

    /// Writes a line into the log: what a client did that is no message.
    pub fn note(&self, line: &str) {
        let mut state = self.lock();
        if state.is_closed {
            state.record(line);
        }
    }

    /// What passed since the gate was closed, in order, each with the simulated time.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// How many messages passed since the gate was closed.
    pub fn passed_count(&self) -> usize {
        self.lock().log.len()
    }

    /// Releases one message at a time, as `choose` says, for as long as it is polled. `released` hears each label
    /// after the message before it has had all its effects.
    ///
    /// # Cancel safety
    /// Dropping it stops all messages that wait.
    pub async fn drive(&self, choose: &mut dyn Choose, released: &mut (dyn FnMut(&str) + Send)) {
        loop {
            tokio::time::sleep(TICK).await;
            let Some((label, sender)) = self.next(choose) else {
                self.0.arrived.notified().await;
                continue;
            };
            released(&label);
            let _ = sender.send(());
        }
    }

    fn next(&self, choose: &mut dyn Choose) -> Option<(String, oneshot::Sender<()>)> {
        let mut state = self.lock();
        state.waiting.retain(|_, sender| !sender.is_closed());
        let labels: Vec<String> = state.waiting.keys().map(|(label, _)| label.clone()).collect();
        if labels.is_empty() {
            return None;
        }
        let chosen = choose.choose(&labels).min(labels.len() - 1);
        let key = state.waiting.keys().nth(chosen)?.clone();
        let sender = state.waiting.remove(&key)?;
        state.record(&key.0);
        Some((key.0, sender))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(&mut self, line: &str) {
        let elapsed = self.began.map(|began| began.elapsed()).unwrap_or_default();
        self.log.push(format!("{:>9.3}s {line}", elapsed.as_secs_f64()));
    }
}
