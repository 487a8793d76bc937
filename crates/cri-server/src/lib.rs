//! cri-imaged, the daemon and its command line: serves the CRI `ImageService` on a unix socket.
//!
//! Owns the configuration, the socket, the life of the process (start, readiness, drain), logs, metrics and the
//! commands. Relies on `cri-api` for the messages and is given the service itself as a value, so that all of this runs
//! with any. Never decides about images: that is the service's, and below it the puller's and the image store's.
//!
//! The parts in the order a start meets them: [`Flags`] and [`Config::load`], [`Daemon::bind`], [`Daemon::serve`].

pub use command_line::run;
pub use config::{
    BadValue, Config, ConfigErrors, ContainerdConfig, CriAddress, DEFAULT_FILE, DEFAULT_TOML, Fault, Flags,
    MetricsConfig, Origin, Problem, RegistryConfig, Schema1,
};
pub use daemon::{DRAIN_GRACE, Daemon, ServeError, StartError};
pub use exit::Exit;
pub use imagestore::Readiness;
pub use metrics::{Metrics, PullInFlight, PullResult};
pub use reference::reference;
pub use socket::{Socket, SocketError, SocketPlace};

mod abort;
mod assemble;
mod check;
mod client;
mod command_line;
mod config;
mod daemon;
mod exit;
mod exposed;
mod grpc;
mod logs;
mod metrics;
mod notify;
mod print;
mod readiness;
mod reference;
mod serve;
mod service;
mod signals;
mod socket;
mod status;
