//! Ways through a scenario: every order, many seeds, one event at every point.

use std::fmt::Display;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scenarios::{Run, Unpacking, World, on_host, run};
use sim::containerd::Fault;
use sim::schedule::{Choose, Exhaustive, Gate, Priorities, Random};
use tokio::time::timeout;

/// What a scenario answers: its own assertions are told as text, so that the run's log can be printed with them.
pub(crate) type Told<T> = Result<T, String>;

/// Events at more points than this belong to a scenario that does not end.
const POINTS_MAX: usize = 400;

/// Longest simulated time of a scenario.
const SCENARIO_WITHIN: Duration = Duration::from_secs(600);

/// An error as [`Told`].
pub(crate) fn told<T, E: Display>(result: Result<T, E>) -> Told<T> {
    result.map_err(|error| error.to_string())
}

/// `Err` with `why` unless `holds`.
pub(crate) fn ensure(holds: bool, why: impl Display) -> Told<()> {
    if holds { Ok(()) } else { Err(why.to_string()) }
}

/// Runs one way and fails with its log; `way` says how to replay it.
#[track_caller]
fn one<T>(
    way: impl Display,
    unpacking: Unpacking,
    choose: impl Choose,
    scenario: impl AsyncFnOnce(&mut World) -> Told<T>,
) -> (T, Vec<String>) {
    // All of its operations together stay below the longest deadline of one and some rest.
    let scenario = async |world: &mut World| match timeout(SCENARIO_WITHIN, scenario(world)).await {
        Ok(told) => told,
        Err(_) => Err(format!("not done after {} s of simulated time", SCENARIO_WITHIN.as_secs())),
    };
    let Run { outcome, log } = match catch_unwind(AssertUnwindSafe(|| run(unpacking, choose, scenario))) {
        Ok(run) => run,
        Err(panic) => {
            #[expect(
                clippy::print_stderr,
                reason = "a panic that is passed on says nothing of the run it came from"
            )]
            {
                eprintln!("{way}, {unpacking:?}: panicked");
            }
            resume_unwind(panic)
        }
    };
    match outcome {
        Ok(value) => (value, log),
        Err(why) => panic!("{way}, {unpacking:?}: {why}\n{}", log.join("\n")),
    }
}

/// Runs every order of the messages with each way of unpacking, and answers how many there were with the one that had
/// fewer. More than `max` is a failure: the scenario is not small.
#[track_caller]
pub(crate) fn every_order(max: usize, scenario: impl AsyncFn(&mut World) -> Told<()>) -> usize {
    let mut fewest = usize::MAX;
    for unpacking in Unpacking::ALL {
        let all = Exhaustive::new();
        let mut count = 0;
        loop {
            count += 1;
            let scenario = async |world: &mut World| scenario(world).await;
            one(format_args!("order {count}"), unpacking, all.run(), scenario);
            assert!(count <= max, "more than {max} orders");
            if !all.next() {
                break;
            }
        }
        fewest = fewest.min(count);
    }
    fewest
}

/// Runs under each seed, once with uniform choices and once with priorities; layers are unpacked by the differ with even
/// seeds and by the daemon with odd ones.
///
/// `cargo xtask sim --scenario NAME` says by the environment that other seeds are tried, or that one is replayed.
#[track_caller]
pub(crate) fn seeds(seeds: Range<u64>, scenario: impl AsyncFn(&mut World) -> Told<()>) {
    let (replayed, count) = (number("CRI_IMAGED_SIM_SEED"), number("CRI_IMAGED_SIM_SEEDS"));
    let seeds = match (replayed, count) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(count)) => 0..count,
        (None, None) => seeds,
    };
    for seed in seeds {
        let ways: [(&str, Box<dyn Choose>); 2] = [
            ("random", Box::new(Random::new(seed))),
            ("priorities", Box::new(Priorities::new(seed, 3, 200))),
        ];
        for (way, choose) in ways {
            let scenario = async |world: &mut World| scenario(world).await;
            let unpacking = if seed % 2 == 0 { Unpacking::Differ } else { Unpacking::Direct };
            let ((), log) = one(format_args!("{way}, seed {seed}"), unpacking, choose, scenario);
            if replayed.is_some() {
                #[expect(clippy::print_stdout, reason = "a replay is for reading")]
                {
                    println!("{way}, seed {seed}: nothing is wrong\n{}", log.join("\n"));
                }
            }
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")))
}

/// Runs once, with the messages that contain one of `late` behind all others: those of the last behind those of the first.
#[track_caller]
pub(crate) fn late(late: &'static [&'static str], scenario: impl AsyncFn(&mut World) -> Told<()>) {
    for unpacking in Unpacking::ALL {
        let scenario = async |world: &mut World| scenario(world).await;
        one(format_args!("late {late:?}"), unpacking, Late(late), scenario);
    }
}

/// The choice of [`late`].
struct Late(&'static [&'static str]);

impl Choose for Late {
    fn choose(&mut self, waiting: &[String]) -> usize {
        let lateness =
            |label: &String| self.0.iter().position(|late| label.contains(late)).map_or(0, |at| at + 1);
        let earliest = waiting.iter().enumerate().min_by_key(|(_, label)| lateness(label));
        earliest.map_or(0, |(number, _)| number)
    }
}

/// Runs once for every point of what the scenario does, with each way of unpacking and with an event there, until the
/// scenario says that the event came too late; answers the number of points with the way that had fewer.
#[track_caller]
pub(crate) fn every_point(scenario: impl AsyncFn(&mut World, &At) -> Told<bool>) -> usize {
    let points = Unpacking::ALL.map(|unpacking| {
        for step in 0..POINTS_MAX {
            let at = At::new(step);
            let choose = at.choose();
            let scenario = async |world: &mut World| scenario(world, &at).await;
            let (came, _) = one(format_args!("event at point {step}"), unpacking, choose, scenario);
            if !came {
                assert!(step > 0, "the event never came");
                return step;
            }
        }
        panic!("no end after {POINTS_MAX} points")
    });
    points.into_iter().min().unwrap_or_default()
}

/// One event at one point: after so many messages of others.
#[derive(Debug)]
pub(crate) struct At {
    step: usize,
    due: Arc<Mutex<Due>>,
}

#[derive(Debug, Default)]
struct Due {
    left: usize,
    /// Only the calls whose label contains this are counted; everything where it is empty.
    counted: &'static str,
    /// Whether the messages of [`At::come`] and of the client `ctr` go now, and before all others.
    is_now: bool,
}

impl At {
    /// The run's number, from 0.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    fn new(step: usize) -> At {
        At { step, due: Arc::new(Mutex::new(Due { left: step, ..Due::default() })) }
    }

    fn choose(&self) -> impl Choose + 'static {
        Held(Arc::clone(&self.due))
    }

    /// Sets the point anew: right after `left` calls with `counted` in their label had their effect.
    pub(crate) fn after(&self, left: usize, counted: &'static str) {
        *self.due.lock().unwrap() = Due { left, counted, is_now: false };
    }

    /// Sets the point anew: the run's own, counted from now.
    pub(crate) fn again(&self) {
        self.after(self.step, "");
    }

    /// Waits for the point, under `label` at the gate.
    pub(crate) async fn come(&self, gate: &Gate, label: &str) {
        loop {
            gate.pass(&format!("event {label}")).await;
            if self.due.lock().unwrap().is_now {
                return;
            }
            // Nobody else had a message, for the product sleeps: the point is still to come.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Runs `work` and, at the point, `event` beside it. Answers whether the point came before the end of `work`.
    pub(crate) async fn beside<T>(
        &self,
        gate: &Gate,
        label: &str,
        work: impl Future<Output = T>,
        event: impl Future<Output = ()>,
    ) -> (T, bool) {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return (done, false),
            () = self.come(gate, label) => {}
        }
        let (done, ()) = futures::join!(work, event);
        (done, true)
    }

    /// Runs `work` up to the point and drops it there; `None` where it came.
    pub(crate) async fn until<T>(
        &self,
        gate: &Gate,
        label: &str,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.come(gate, label) => None,
        }
    }
}

/// Holds the event back until its point, and lets it go first from there on. All others go in order.
struct Held(Arc<Mutex<Due>>);

impl Choose for Held {
    fn choose(&mut self, waiting: &[String]) -> usize {
        let is_event = |label: &String| label.starts_with("event ") || label.starts_with("ctr ");
        let event = waiting.iter().position(is_event);
        let other = waiting.iter().position(|label| !is_event(label));
        let mut due = self.0.lock().unwrap();
        if due.left == 0 {
            due.is_now = true;
            return event.or(other).unwrap_or(0);
        }
        let Some(other) = other else { return event.unwrap_or(0) };
        let is_call = waiting[other].ends_with('>') && waiting[other].contains(due.counted);
        if due.counted.is_empty() || is_call {
            due.left -= 1;
        }
        other
    }
}

/// Pulls `app:1` and, at the point, lets `event` happen beside it. Answers whether the point came before the pull's end.
pub(crate) async fn pull_beside(
    world: &World,
    at: &At,
    label: &str,
    event: impl Future<Output = ()>,
) -> Told<bool> {
    let gate = world.gate().clone();
    gate.close();
    let name = on_host("app:1");
    let (pulled, came) = at.beside(&gate, label, world.daemon().pull(&name), event).await;
    told(pulled)?;
    Ok(came)
}

/// Makes call number `step` of this `daemon` from now go wrong; answers the count of its calls, which grows.
pub(crate) fn fault_at(world: &World, daemon: &'static str, step: usize, fault: Fault) -> Arc<AtomicUsize> {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    world.containerd().inject_by(move |call| {
        let is_it = call.client == daemon && count.fetch_add(1, Ordering::Relaxed) == step;
        is_it.then(|| fault.clone())
    });
    seen
}
