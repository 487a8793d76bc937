//! Public surface of `cri-server`: the library's parts, and the program `cri-imaged` run as an operator runs it.

mod check;
mod client;
mod config;
mod dummy;
mod exit_codes;
mod metrics;
mod program;
mod reference;
mod serve;
mod socket;
mod stop;
