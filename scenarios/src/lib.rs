//! The product's own code, unchanged, in a simulated world: one thread, a paused clock, and a choice for every message.
//!
//! [`World`] is a containerd and a registry of the simulator and a [`Daemon`] between them. [`run`] makes one run of a
//! scenario under one way to choose; the same choices give the same log, line for line. [`World::check_at_rest`] says
//! whether what is left is what was promised.
//!
//! Scenarios are written by hand, or generated: a [`Workload`] is what several clients do, [`run_seed`] plays the one
//! that a seed determines under the schedule that it determines, and judges it, and [`shrink`] makes a short [`Story`]
//! of one that failed.
//!
//! This package imports the product and the simulator; neither knows it.

mod check;
mod choosing;
mod daemon;
mod generator;
mod history;
mod judge;
mod linear;
mod play;
mod run;
mod search;
mod soak;
mod watch;
mod workload;
mod world;

pub use check::Violation;
pub use choosing::Strategy;
pub use daemon::Daemon;
pub use history::{Answer, Event};
pub use play::{Played, play};
pub use run::{Run, run};
pub use search::{Story, run_seed, shrink, smaller, workload_of};
pub use soak::{Soaked, soak};
pub use workload::{
    Access, Cut, IMAGES, Name, Operation, RegistryFault, RegistryFaultKind, Step, TAGS, Who, Workload,
};
pub use world::{HOST, Unpacking, World, image, on_host};
