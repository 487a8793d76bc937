//! Scenarios named as sentences. Small ones are enumerated exhaustively, larger ones run under many seeds.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

mod collector;
mod crash;
mod expect;
mod explore;
mod replay;
