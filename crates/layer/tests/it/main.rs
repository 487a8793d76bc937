//! The crate's public surface, by any user: what needs root (devices, other owners, attributes of the administrator) is
//! in the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

mod errors;
mod gnu_tar;
mod hostile;
mod layers;
mod pieces;
mod support;
