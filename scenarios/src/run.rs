//! One run of a scenario.

use sim::schedule::Choose;

use crate::{Unpacking, World};

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<T> {
    /// What the scenario returned.
    pub outcome: T,
    /// Every message in the order of its turn, with the simulated time.
    pub log: Vec<String>,
}

/// Runs `scenario` in a new world on a paused clock of its own, the turns of messages chosen by `choose` as soon as the
/// scenario closes the gate.
///
/// # Panics
/// Where a runtime cannot be made.
pub fn run<T>(
    unpacking: Unpacking,
    mut choose: impl Choose,
    scenario: impl AsyncFnOnce(&mut World) -> T,
) -> Run<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    runtime.block_on(async {
        let mut world = World::start(unpacking).await;
        let gate = world.gate().clone();
        let watch = world.watch().clone();
        let mut released = |_: &str| watch.look();
        let outcome = tokio::select! {
            biased;
            outcome = scenario(&mut world) => outcome,
            () = gate.drive(&mut choose, &mut released) => unreachable!("a gate is driven for ever"),
        };
        Run { outcome, log: gate.log() }
    })
}
