//! The project's instrument: a containerd and a registry inside the test's own process.
//!
//! Both are real services over real protocols (gRPC, HTTP), so the product's own clients talk to them unchanged,
//! over unix sockets and TCP or over in-memory streams on a paused clock. This crate imports nothing of what it
//! tests.

mod clock;
pub mod conformance;
pub mod containerd;
mod digest;
pub mod image;
pub mod registry;
pub mod schedule;
mod stub;

pub use clock::Clock;
