//! Generates the server halves of containerd's services.
//!
//! The messages are those of `containerd-client` (one set of types on both ends of the wire), so `proto/` has only
//! their names. The snapshots service is whole: the crate's copy lacks `CommitSnapshotRequest.parent` (containerd 2.2),
//! so messages, client and server are generated here. protox compiles the files, no `protoc` is needed for this crate.

use std::error::Error;

/// The services, each a file of `proto/` and a package of containerd.
const SERVICES: [&str; 8] =
    ["content", "diff", "events", "images", "introspection", "leases", "namespaces", "version"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");

    let files = SERVICES.map(|service| format!("{service}.proto"));
    let mut servers = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .extern_path(".containerd.types", "::containerd_client::types");
    for service in SERVICES {
        servers = servers
            .extern_path(format!(".containerd.services.{service}.v1"), "::containerd_client::services::v1");
    }
    servers.compile_fds(protox::compile(&files, ["proto"])?)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .extern_path(".containerd.types", "::containerd_client::types")
        .compile_fds(protox::compile(["snapshots.proto"], ["proto"])?)?;
    Ok(())
}
