//! The product's own code, unchanged, in a simulated world: one thread, a paused clock, and a choice for every message.
//!
//! [`World`] is a containerd and a registry of the simulator and a [`Daemon`] between them. [`run`] makes one run of a
//! scenario under one way to choose; the same choices give the same log, line for line. [`World::check_at_rest`] says
//! whether what is left is what was promised.
//!
//! This package imports the product and the simulator; neither knows it.

mod check;
mod daemon;
mod run;
mod world;

pub use check::Violation;
pub use daemon::Daemon;
pub use run::{Run, run};
pub use world::{HOST, World, image, on_host};
