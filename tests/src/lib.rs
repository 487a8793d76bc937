//! The end-to-end harness: private containerds, registries and daemons as child processes, and a CRI client to judge
//! them by. The tests themselves are in `tests/e2e/`, run by `cargo xtask e2e`.
//!
//! Relies on the tools that xtask unpacked and names in the environment. Everything runs below one temporary folder a
//! test and is ended, unmounted and removed when its value is dropped. Never touches a containerd, a docker or an image
//! of the machine's own, and never leaves the machine: the loopback interface, and links to namespaces of its own.

mod containerd;
mod cri;
mod ctr;
mod daemon;
mod disk;
mod docker;
mod error;
mod faulty;
mod fixtures;
mod layout;
mod network;
mod node;
mod node_image;
mod pki;
mod pod;
mod process;
mod reap;
mod registry;
mod schema1;
mod skopeo;
mod socket;
mod state;
mod token_server;
mod tools;
mod version;
mod wait;

pub use containerd::{Containerd, ContainerdSetup, SANDBOX_IMAGE};
pub use cri::{Cri, image_spec};
pub use daemon::{Daemon, DaemonConfig};
pub use disk::Disk;
pub use docker::Docker;
pub use error::assert_status;
pub use faulty::FaultyRegistry;
pub use fixtures::{SIX_LAYERS_OUTPUT, busybox_layer, six_layers, size_bytes, small, small_on};
pub use network::{
    Answered, BlackHole, ForwardProxy, Front, Harm, Link, Nginx, ObjectStore, Quality, Relay, SocksProxy,
    StoreRequest, resets,
};
pub use node::Node;
pub use node_image::{SHARED, node_root, write_sandbox_image};
pub use pki::Authority;
pub use pod::{Pod, run_to_end};
pub use process::{Process, hide_logs, show_logs};
pub use registry::{Access, Registry, certs_d};
pub use schema1::{push_schema1, push_schema1_of};
pub use skopeo::{Format, push, push_layout};
pub use state::State;
pub use token_server::TokenServer;
pub use tools::{Tools, daemon as daemon_program};
pub use version::Version;
pub use wait::until;
