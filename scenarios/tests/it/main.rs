//! Scenarios named as sentences. Small ones are enumerated exhaustively, larger ones run under many seeds.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

mod artifact;
mod behind_our_back;
mod collector;
mod crash;
mod credentials;
mod events;
mod expect;
mod explore;
mod faults;
mod joining;
mod layers;
mod records;
mod refused;
mod remove;
mod replay;
mod resume;
mod schema1;
mod soak;
mod usage;
