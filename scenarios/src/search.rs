//! From a seed to a run, and from a failing run to the shortest story that still fails.

use std::fmt;
use std::sync::PoisonError;

use sim::schedule::Script;

use crate::choosing::{Recorder, Strategy};
use crate::generator::Generator;
use crate::play::{Played, play};
use crate::workload::{Access, Operation, Workload};

/// Runs that shrinking may take.
const ATTEMPTS_MAX: u32 = 4000;
/// Fresh schedules that are tried for a smaller workload, whose messages the old choices no longer fit.
const SCHEDULES: u64 = 24;

/// Runs the workload and the schedule that `seed` determines.
pub fn run_seed(seed: u64, strategy: Strategy) -> Played {
    let mut random = Generator::new(seed);
    let workload = Workload::generate(random.fork());
    play(&workload, strategy.choices(random.fork()))
}

/// The workload that `seed` determines.
pub fn workload_of(seed: u64) -> Workload {
    Workload::generate(Generator::new(seed).fork())
}

/// A failing run: what was done, and which message went at each turn.
#[derive(Clone, Debug)]
pub struct Story {
    /// What was done.
    pub workload: Workload,
    /// Which of the waiting messages went, turn by turn.
    pub script: Vec<u8>,
    /// What came of it.
    pub played: Played,
    /// Runs that it took to find so short a one.
    pub attempts: u32,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.workload)?;
        writeln!(f, "\nWhat happened, message by message (> before its effect, < before its answer):")?;
        for line in &self.played.log {
            writeln!(f, "{line}")?;
        }
        match &self.played.outcome {
            Ok(()) => writeln!(f, "\nNothing is wrong."),
            Err(violation) => writeln!(f, "\nBroken: {violation}"),
        }
    }
}

/// Shrinks the failing run of `seed`: fewer operations first, then fewer turns out of order.
pub fn shrink(seed: u64, strategy: Strategy) -> Story {
    let mut random = Generator::new(seed);
    let workload = Workload::generate(random.fork());
    let (recorder, made) = Recorder::new(strategy.choices(random.fork()));
    let played = play(&workload, recorder);
    let script = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut story = Story { workload, script, played, attempts: 1 };
    while story.attempts < ATTEMPTS_MAX && fewer(&mut story, strategy) {}
    simpler(&mut story);
    story
}

/// Takes the first smaller workload that fails too; says whether there was one.
fn fewer(story: &mut Story, strategy: Strategy) -> bool {
    for candidate in smaller(&story.workload) {
        let mut schedules: Vec<Box<dyn sim::schedule::Choose>> =
            vec![Box::new(Script::new(story.script.iter().copied()))];
        schedules.extend((0..SCHEDULES).map(|seed| strategy.choices(seed)));
        for schedule in schedules {
            story.attempts += 1;
            let (recorder, made) = Recorder::new(schedule);
            let played = play(&candidate, recorder);
            if played.outcome.is_err() {
                story.script = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
                story.workload = candidate;
                story.played = played;
                return true;
            }
            if story.attempts >= ATTEMPTS_MAX {
                return false;
            }
        }
    }
    false
}

/// Workloads with one thing less, the largest steps first.
pub fn smaller(workload: &Workload) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Workload)| {
        let mut changed = workload.clone();
        change(&mut changed);
        changed.clients.retain(|steps| !steps.is_empty());
        if changed != *workload {
            all.push(changed);
        }
    };
    for client in 0..workload.clients.len() {
        with(&|w| drop(w.clients.remove(client)));
    }
    for (client, steps) in workload.clients.iter().enumerate() {
        for step in 0..steps.len() {
            with(&|w| {
                if let Some(steps) = w.clients.get_mut(client) {
                    steps.remove(step);
                }
            });
        }
    }
    with(&|w| w.faults.clear());
    with(&|w| w.cuts.clear());
    with(&|w| w.redirect = false);
    with(&|w| w.access = Access::Open);
    for number in 0..workload.pulled.len() {
        with(&|w| {
            w.pulled.remove(number);
        });
    }
    for (client, steps) in workload.clients.iter().enumerate() {
        for (number, step) in steps.iter().enumerate() {
            let set = |w: &mut Workload, change: &dyn Fn(&mut crate::workload::Step)| {
                if let Some(step) = w.clients.get_mut(client).and_then(|steps| steps.get_mut(number)) {
                    change(step);
                }
            };
            if step.wait > 0 {
                with(&|w| set(w, &|step| step.wait = 0));
                with(&|w| set(w, &|step| step.wait /= 2));
            }
            match step.operation {
                Operation::Pull { tag, who, patience: Some(_) } => {
                    with(&|w| set(w, &|step| step.operation = Operation::Pull { tag, who, patience: None }));
                    with(&|w| {
                        set(w, &|step| step.operation = Operation::Pull { tag, who, patience: Some(0) })
                    });
                }
                Operation::Delete { name, sync: true } => {
                    with(&|w| set(w, &|step| step.operation = Operation::Delete { name, sync: false }));
                }
                _ => {}
            }
        }
    }
    all
}

/// Puts turns back into order: the tail first, then blocks, then one by one.
fn simpler(story: &mut Story) {
    let mut block = story.script.len().max(1);
    while block > 0 && story.attempts < ATTEMPTS_MAX {
        let mut at = story.script.len();
        while at > 0 && story.attempts < ATTEMPTS_MAX {
            let from = at.saturating_sub(block);
            let mut script = story.script.clone();
            for choice in script.iter_mut().take(at).skip(from) {
                *choice = 0;
            }
            at = from;
            if script == story.script {
                continue;
            }
            story.attempts += 1;
            let played = play(&story.workload, Script::new(script.iter().copied()));
            if played.outcome.is_err() {
                story.script = script;
                story.played = played;
            }
        }
        block /= 2;
    }
    let ordered = story.script.iter().rev().take_while(|choice| **choice == 0).count();
    story.script.truncate(story.script.len() - ordered);
}
