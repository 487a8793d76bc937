//! Lists the public items of a crate from its sources, so that a test can hold them against a committed file.
//!
//! Owns the reading of sources and the form of the listing; relies on `syn`; never compiles anything, so it needs no
//! nightly compiler and no rustdoc JSON. The price: what a macro expands to is not seen, and types are told apart by
//! their name alone.
//!
//! A crate's test is one call:
//!
//! ```no_run
//! api_listing::check(env!("CARGO_MANIFEST_DIR"));
//! ```

pub use check::check;
pub use listing::listing;

mod check;
mod exports;
mod impls;
mod listing;
mod print;
mod sources;
