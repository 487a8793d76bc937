//! Every run of a small scenario, once each.

use std::sync::{Arc, Mutex, PoisonError};

use super::Choose;

/// Enumerates all sequences of choices: a run is made with [`Exhaustive::run`], and [`Exhaustive::next`] moves on to
/// the next one until all were made. Works for scenarios whose runs are finite and depend on the choices alone.
#[derive(Clone, Debug, Default)]
pub struct Exhaustive {
    /// What was chosen at each step of the run, and among how many.
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    choices: Vec<(usize, usize)>,
    step: usize,
}

/// The choices of one run.
#[derive(Debug)]
struct Run(Exhaustive);

impl Exhaustive {
    /// Before the first run.
    pub fn new() -> Exhaustive {
        Exhaustive::default()
    }

    /// The choices of the present run.
    pub fn run(&self) -> impl Choose + 'static {
        self.lock().step = 0;
        Run(self.clone())
    }

    /// Moves to the next run; `false` when all were made.
    pub fn next(&self) -> bool {
        let mut taken = self.lock();
        while let Some((choice, among)) = taken.choices.pop() {
            if choice + 1 < among {
                taken.choices.push((choice + 1, among));
                return true;
            }
        }
        false
    }

    /// The choices of the present run, to be replayed by a [`Script`](super::Script).
    pub fn choices(&self) -> Vec<usize> {
        self.lock().choices.iter().map(|(choice, _)| *choice).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Choose for Run {
    fn choose(&mut self, waiting: &[String]) -> usize {
        let mut taken = self.0.lock();
        let step = taken.step;
        taken.step += 1;
        match taken.choices.get_mut(step) {
            Some((choice, among)) => {
                *among = waiting.len();
                *choice
            }
            None => {
                taken.choices.push((0, waiting.len()));
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_sequence_is_made_once() {
        let all = Exhaustive::new();
        let mut seen = BTreeSet::new();
        loop {
            let mut run = all.run();
            // A second choice only after the first was 1, among three.
            let two = vec!["a".to_owned(), "b".to_owned()];
            let three = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
            let mut made = vec![run.choose(&two)];
            if made == [1] {
                made.push(run.choose(&three));
            }
            assert!(seen.insert(made));
            if !all.next() {
                break;
            }
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [vec![0], vec![1, 0], vec![1, 1], vec![1, 2]]);
    }
}
