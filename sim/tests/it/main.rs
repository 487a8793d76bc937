//! The fakes, through their wires.

#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod conformance;
mod containerd;
mod fault;
mod registry;
