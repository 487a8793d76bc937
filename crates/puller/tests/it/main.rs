//! Pulls against the in-process containerd and registry, over in-memory streams, on a paused clock.
//!
//! - `pull`: what a pull leaves in containerd, and what it asks of the registry.
//! - `documents`: the way down from a tag to the image.
//! - `failure`: what a pull that fails leaves, which is nothing.
//! - `remove`: removal, alone and beside pulls.
//! - `recover`: a daemon that starts after one that was cut off.
//! - `artifact`: pulls of OCI artifacts.
//! - `schema1`: pulls of Docker schema 1 images.
//! - `behind_our_back`: other clients of containerd.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

mod artifact;
mod behind_our_back;
mod documents;
mod failure;
mod node;
mod pull;
mod recover;
mod remove;
mod schema1;
