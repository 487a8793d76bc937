//! Compiles the snapshots service of containerd API 1.11 (containerd 2.2 and later): `containerd-client` 0.9 has the
//! service without `CommitSnapshotRequest.parent`, which the parallel unpack needs.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(["snapshots.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".containerd.types", "::containerd_client::types")
        .compile_fds(descriptors)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
