//! Generates the server halves of containerd's services.
//!
//! The messages are those of `containerd-client` (one set of types on both ends of the wire), except for the
//! snapshots service: the crate's copy of it lacks `CommitSnapshotRequest.parent` (containerd 2.2), so messages,
//! client and server are generated here. protox compiles the files, no `protoc` is needed for this crate.

use std::error::Error;

const CONTAINERD_API: &str = "github.com/containerd/containerd/api";

/// Service directory below `api/services`, its file, and the module of `containerd-client` with its messages.
const SERVICES: &[(&str, &str)] = &[
    ("content", "content.proto"),
    ("diff", "diff.proto"),
    ("events", "events.proto"),
    ("images", "images.proto"),
    ("introspection", "introspection.proto"),
    ("leases", "leases.proto"),
    ("namespaces", "namespace.proto"),
    ("version", "version.proto"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");

    let files: Vec<String> = SERVICES
        .iter()
        .map(|(service, file)| format!("{CONTAINERD_API}/services/{service}/v1/{file}"))
        .collect();
    let mut servers = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .extern_path(".containerd.types", "::containerd_client::types")
        .extern_path(".google.rpc", "::containerd_client::google::rpc");
    for (service, _) in SERVICES {
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
