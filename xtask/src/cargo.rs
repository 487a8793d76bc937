//! The cargo that every task runs: the toolchain's own, in the workspace, with `PROTOC` set.
//!
//! containerd-client and k8s-cri compile their protos with `protoc`. A crate ships that program, so that a task needs no
//! package of the system; a plain `cargo build` needs `PROTOC` or an installed one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where cargo builds: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A `cargo` command in the workspace.
///
/// # Errors
/// Where no `protoc` is known for this platform and `PROTOC` is not set either.
pub(crate) fn cargo() -> anyhow::Result<Command> {
    // Under `cargo run` this names the very toolchain that built xtask.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    if std::env::var_os("PROTOC").is_none() {
        let protoc = protoc_bin_vendored::protoc_bin_path()
            .context("no protoc is shipped for this platform: install one and set PROTOC to its path")?;
        command.env("PROTOC", protoc);
    }
    // cargo tells a package's build where xtask's own manifest lies; the inner cargo must not inherit that.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Builds one binary of `package` in the development profile and returns its path.
///
/// # Errors
/// Where the build fails.
pub(crate) fn build_binary(package: &str, binary: &str) -> anyhow::Result<PathBuf> {
    crate::step::run(cargo()?.args(["build", "--locked", "--package", package, "--bin", binary]))?;
    Ok(target().join("debug").join(binary))
}

/// As [`build_binary`], as it ships: optimised.
///
/// # Errors
/// Where the build fails.
pub(crate) fn build_release_binary(package: &str, binary: &str) -> anyhow::Result<PathBuf> {
    crate::step::run(cargo()?.args([
        "build",
        "--locked",
        "--release",
        "--package",
        package,
        "--bin",
        binary,
    ]))?;
    Ok(target().join("release").join(binary))
}
