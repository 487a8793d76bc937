//! Public surface of `cri-api`: what it is on the wire, and what it prints.

mod auth_config;
mod fields;
mod rpc;
mod strategies;
mod twin;
mod wire;
