//! Ways to choose the next message.

use std::collections::BTreeMap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

/// Picks which of the waiting messages goes next.
pub trait Choose: Send {
    /// An index into `waiting`, the labels in their order; `waiting` is never empty.
    fn choose(&mut self, waiting: &[String]) -> usize;
}

impl<C: Choose + ?Sized> Choose for Box<C> {
    fn choose(&mut self, waiting: &[String]) -> usize {
        (**self).choose(waiting)
    }
}

/// Each message is as likely as any other.
#[derive(Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Choices that `seed` determines.
    pub fn new(seed: u64) -> Random {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
}

impl Choose for Random {
    fn choose(&mut self, waiting: &[String]) -> usize {
        self.0.random_range(0..waiting.len())
    }
}

/// Choices written down; the first message when they are used up.
///
/// A choice beyond the last message is the last message, not the remainder: so a shrinker that makes numbers smaller
/// moves towards the run in which every message goes in order.
#[derive(Clone, Debug)]
pub struct Script(std::collections::VecDeque<u8>);

impl Script {
    /// These choices, in this order.
    pub fn new(choices: impl IntoIterator<Item = u8>) -> Script {
        Script(choices.into_iter().collect())
    }
}

impl Choose for Script {
    fn choose(&mut self, waiting: &[String]) -> usize {
        usize::from(self.0.pop_front().unwrap_or(0)).min(waiting.len().saturating_sub(1))
    }
}

/// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): each client has a random priority, the highest
/// goes as long as it has a message, and at a few random steps the one that goes falls to the lowest. A bug that needs
/// `d` such changes among `k` steps of `n` clients is found with probability at least `1/(n k^d)`, however long one
/// client must stand still for it; uniform choices make long standstills exponentially rare.
#[derive(Debug)]
pub struct Priorities {
    random: Xoshiro256PlusPlus,
    priorities: BTreeMap<String, u64>,
    change_at: Vec<u64>,
    step: u64,
    lowest: u64,
}

impl Priorities {
    /// Priorities and their `changes` changes among the first `steps` steps, which `seed` determines.
    pub fn new(seed: u64, changes: usize, steps: u64) -> Priorities {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let change_at = (0..changes).map(|_| random.random_range(0..steps.max(1))).collect();
        Priorities { random, priorities: BTreeMap::new(), change_at, step: 0, lowest: u64::from(u32::MAX) }
    }

    fn priority(&mut self, client: &str) -> u64 {
        if let Some(priority) = self.priorities.get(client) {
            return *priority;
        }
        let priority = self.random.random_range(u64::from(u32::MAX) + 1..=u64::MAX);
        self.priorities.insert(client.to_owned(), priority);
        priority
    }
}

/// The client of a label is its first word.
fn client(label: &str) -> &str {
    label.split(' ').next().unwrap_or(label)
}

impl Choose for Priorities {
    fn choose(&mut self, waiting: &[String]) -> usize {
        let mut best = (0, 0);
        for (number, label) in waiting.iter().enumerate() {
            let priority = self.priority(client(label));
            if number == 0 || priority > best.1 {
                best = (number, priority);
            }
        }
        if self.change_at.contains(&self.step) {
            self.lowest = self.lowest.saturating_sub(1);
            let fallen = client(&waiting[best.0]).to_owned();
            self.priorities.insert(fallen, self.lowest);
        }
        self.step += 1;
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_seed_chooses_the_same() {
        let waiting = labels(&["a 1", "b 1", "c 1"]);
        let run = |mut choose: Box<dyn Choose>| (0..50).map(|_| choose.choose(&waiting)).collect::<Vec<_>>();
        assert_eq!(run(Box::new(Random::new(7))), run(Box::new(Random::new(7))));
        assert_ne!(run(Box::new(Random::new(7))), run(Box::new(Random::new(8))));
        let priorities = || Box::new(Priorities::new(7, 3, 50));
        assert_eq!(run(priorities()), run(priorities()));
    }

    #[test]
    fn a_client_goes_on_until_its_priority_falls() {
        let waiting = labels(&["a 1", "b 1", "c 1"]);
        let mut choose = Priorities::new(3, 2, 40);
        let chosen: Vec<usize> = (0..40).map(|_| choose.choose(&waiting)).collect();
        let changes = chosen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((1..=2).contains(&changes), "{chosen:?}");
    }

    #[test]
    fn a_script_that_is_used_up_takes_the_first() {
        let mut choose = Script::new([9, 1]);
        let waiting = labels(&["a", "b", "c"]);
        assert_eq!([(); 3].map(|()| choose.choose(&waiting)), [2, 1, 0]);
    }
}
