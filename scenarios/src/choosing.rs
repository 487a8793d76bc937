//! Ways to choose that a search uses: one of several by name, and one that remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sim::schedule::{Choose, Priorities, Random};

use crate::generator::Generator;

/// Messages of a typical run: where the changes of priority are spread.
const STEPS: u64 = 250;
/// Changes of priority in a run.
const CHANGES: usize = 3;

/// How a schedule is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each message is as likely as any other.
    Random,
    /// Clients have priorities, which change a few times.
    Priorities,
    /// Each kind of message has a priority, which change a few times: so one message of a client stands still while its
    /// others go on.
    Labels,
    /// One of these, by the seed.
    Mixed,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 4] =
        [Strategy::Random, Strategy::Priorities, Strategy::Labels, Strategy::Mixed];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Random => "random",
            Strategy::Priorities => "priorities",
            Strategy::Labels => "labels",
            Strategy::Mixed => "mixed",
        }
    }

    /// The choices that `seed` determines.
    pub fn choices(self, seed: u64) -> Box<dyn Choose> {
        match self {
            Strategy::Random => Box::new(Random::new(seed)),
            Strategy::Priorities => Box::new(Priorities::new(seed, CHANGES, STEPS)),
            Strategy::Labels => Box::new(Labels::new(seed)),
            Strategy::Mixed => match seed % 3 {
                0 => Strategy::Random.choices(seed),
                1 => Strategy::Priorities.choices(seed),
                _ => Strategy::Labels.choices(seed),
            },
        }
    }
}

/// The highest priority goes; each label has its own.
#[derive(Debug)]
struct Labels {
    random: Generator,
    priorities: BTreeMap<String, u64>,
}

impl Labels {
    fn new(seed: u64) -> Labels {
        Labels { random: Generator::new(seed), priorities: BTreeMap::new() }
    }
}

impl Choose for Labels {
    fn choose(&mut self, waiting: &[String]) -> usize {
        // Rarely all begins anew: a message that stood still long enough gets its turn.
        if self.random.below(50) == 0 {
            self.priorities.clear();
        }
        let mut best = (0, 0);
        for (number, label) in waiting.iter().enumerate() {
            let priority = match self.priorities.get(label) {
                Some(priority) => *priority,
                None => {
                    let priority = self.random.fork();
                    self.priorities.insert(label.clone(), priority);
                    priority
                }
            };
            if number == 0 || priority > best.1 {
                best = (number, priority);
            }
        }
        best.0
    }
}

/// Remembers what another chose, to be replayed as a script.
pub(crate) struct Recorder {
    inner: Box<dyn Choose>,
    made: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub(crate) fn new(inner: Box<dyn Choose>) -> (Recorder, Arc<Mutex<Vec<u8>>>) {
        let made = Arc::new(Mutex::default());
        (Recorder { inner, made: Arc::clone(&made) }, made)
    }
}

impl Choose for Recorder {
    fn choose(&mut self, waiting: &[String]) -> usize {
        let chosen = self.inner.choose(waiting);
        let number = u8::try_from(chosen).unwrap_or(u8::MAX);
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        usize::from(number)
    }
}
