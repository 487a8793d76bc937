//! A node as a container image: containerd, runc and the daemon with the shared libraries they need, from the files of
//! this machine and its unpacked packages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{Containerd, SANDBOX_IMAGE, Tools, Version, fixtures, layout, tools as programs};

/// Where the container finds the folder that it shares with the test: sockets, `certs.d`, the sandbox image.
pub const SHARED: &str = "/shared";

/// Starts both daemons; the container lives as long as containerd.
const START: &str = "#!/bin/sh
containerd --config /etc/containerd/config.toml >/shared/containerd.log 2>&1 &
cri-imaged serve --config /etc/cri-imaged.toml >/shared/cri-imaged.log 2>&1 &
wait %1
";

/// The root folder of the image, as a tar archive.
///
/// # Errors
/// Where a program or one of its libraries is missing.
pub async fn node_root(version: Version) -> anyhow::Result<Vec<u8>> {
    let tools = Tools::get();
    let mut archive = tar::Builder::new(Vec::new());
    let mut libraries = BTreeSet::new();
    let programs = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];
    let mut sources = vec![("cri-imaged", programs::daemon())];
    for name in programs {
        sources.push((name, tools.program(version.release(), name)?));
    }
    for (name, source) in sources {
        libraries.extend(shared_libraries(&source).await?);
        append(&mut archive, &source, &format!("usr/bin/{name}"))?;
    }
    for library in &libraries {
        let place = if is_loader(library) { "lib64" } else { "usr/lib" };
        let name = library.file_name().context("a library has a name")?.to_string_lossy();
        append(&mut archive, library, &format!("{place}/{name}"))?;
    }
    let busybox = tools.program("bookworm", "busybox")?;
    for name in ["sh", "busybox"] {
        append(&mut archive, &busybox, &format!("bin/{name}"))?;
    }
    let config = Containerd::config_text(Path::new(SHARED), Path::new("/usr/bin/runc"))
        .replace("root = \"/shared/root\"", "root = \"/var/lib/containerd\"")
        .replace("state = \"/shared/state\"", "state = \"/run/containerd\"");
    ensure!(config.contains("/var/lib/containerd"), "the configuration's first lines have changed");
    let daemon = format!(
        "socket = \"{SHARED}/cri-imaged.sock\"\n[containerd]\naddress = \"{SHARED}/containerd.sock\"\n\
         [registry]\nconfig_path = \"{SHARED}/certs.d\"\n"
    );
    for (path, mode, text) in [
        ("start", 0o755, START),
        ("etc/containerd/config.toml", 0o644, &config),
        ("etc/cri-imaged.toml", 0o644, &daemon),
        ("etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\n"),
        // No library lies where the loader of another distribution would look.
        ("etc/ld.so.conf", 0o644, "/usr/lib\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    for folder in ["tmp", "run", "proc", "sys", "dev", "var/lib/containerd", "shared"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, format!("{folder}/"), &[][..])?;
    }
    Ok(archive.into_inner()?)
}

/// Writes the sandbox image into the shared folder and imports it with the container's own `ctr`.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_sandbox_image(shared: &Path) -> anyhow::Result<()> {
    layout::write_archive(&fixtures::pause()?, SANDBOX_IMAGE, &shared.join("pause.tar"))
}

fn append(archive: &mut tar::Builder<Vec<u8>>, source: &Path, place: &str) -> anyhow::Result<()> {
    let bytes = std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    Ok(archive.append_data(&mut header, place, &*bytes)?)
}

fn is_loader(library: &Path) -> bool {
    library.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
}

/// The libraries that `ldd` finds for a program, as paths of this machine.
async fn shared_libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = Tools::get().command_at(Path::new("ldd"))?;
    let output = command.arg(program).output().await.context("cannot start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(!text.contains("not found"), "{} lacks a library:\n{text}", program.display());
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).collect())
}
