//! Generates the messages, client and server of `proto/cri/image_service.proto`, without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["cri/image_service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Maps that iterate in one order, so that the same message has the same bytes and prints the same.
        .btree_map(".")
        // Its Debug is in src/auth_config.rs, where it masks the secrets.
        .skip_debug(["runtime.v1.AuthConfig"])
        .compile_fds(descriptors)?;
    Ok(())
}
