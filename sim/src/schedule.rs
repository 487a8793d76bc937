//! Who goes next: every message of every client waits at a [`Gate`], and a [`Choose`] picks one at a time.
//!
//! With tokio's clock paused a timer fires only when no task can run. So a driver that sleeps a millisecond wakes up
//! exactly when everything is parked, and releases one waiting message. What happens between two messages is the
//! choice and nothing else: the same choices give the same run, message for message.
//!
//! A message waits before it takes effect and again before its answer leaves; a fault that a rule has for it happens
//! when it is its turn. Who sent it is the name of its [`Link`],
//! a client's way to containerd and registry, which can be cut as a kill would cut it.

mod choose;
mod exhaustive;
mod gate;
mod layer;
mod link;
mod subject;

pub use choose::{Choose, Priorities, Random, Script};
pub use exhaustive::Exhaustive;
pub use gate::Gate;
pub(crate) use layer::GateLayer;
pub use link::Link;
