//! The fakes, through their wires.

mod conformance;
mod containerd;
mod registry;
