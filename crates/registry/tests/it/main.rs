//! The crate's public surface against HTTP servers in this process: over memory with a paused clock, and over loopback
//! TCP with real certificates.
//!
//! `support` holds the servers and what they record; each other module is one subject, each test one sentence.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

mod blob;
mod credential_domain;
mod credentials;
mod fallback;
mod foreign;
mod health;
mod hosts;
mod manifest;
mod node_credentials;
mod probe;
mod proxy;
mod ranges;
mod redirect;
mod resolve;
mod retry;
mod schema1;
mod secrets;
mod settings;
mod support;
mod tls;
