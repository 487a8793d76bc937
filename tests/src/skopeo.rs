//! Pushes to a real registry with skopeo: an implementation of the protocol that is not ours.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sim::image::Pushable;

use crate::{Access, Registry, Tools, layout};

/// The manifest format that is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As built: OCI, digests unchanged.
    Oci,
    /// Converted to Docker's schema 2; the config and its digest stay.
    DockerV2,
}

/// Without it skopeo compresses a layer that is not, and writes another manifest.
const PRESERVE: &str = "--preserve-digests";

impl Format {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Oci => &["--all", PRESERVE],
            Self::DockerV2 => &["--format", "v2s2"],
        }
    }
}

/// Pushes `image` as `name` (`repository:tag`), an index with all its images, and returns the digest of what the tag
/// then points at.
///
/// # Errors
/// Where skopeo fails.
pub async fn push(
    registry: &Registry,
    name: &str,
    image: &impl Pushable,
    format: Format,
) -> anyhow::Result<String> {
    let layout = tempfile::tempdir()?;
    layout::write(image, layout.path())?;
    push_layout(registry, name, layout.path(), format).await
}

/// As [`push`], for the image of the OCI image layout in the folder `layout`.
///
/// # Errors
/// Where skopeo fails.
pub async fn push_layout(
    registry: &Registry,
    name: &str,
    layout: &Path,
    format: Format,
) -> anyhow::Result<String> {
    let mut command = Tools::get().command("bookworm", "skopeo")?;
    let answer = tempfile::tempdir()?;
    let digest_file = answer.path().join("pushed-digest");
    command.args(["--insecure-policy", "copy", "--quiet", "--digestfile"]).arg(&digest_file);
    command.args(format.options());
    match registry.access() {
        Access::TlsAndToken | Access::TlsAndClientCertificate => {
            command.arg("--dest-cert-dir").arg(registry.certificate_folder())
        }
        Access::Plain | Access::PlainAndToken | Access::PlainAndBasic => {
            command.arg("--dest-tls-verify=false")
        }
    };
    if let Some(auth) = registry.auth() {
        command.arg(format!("--dest-creds={}:{}", auth.username, auth.password));
    }
    command.arg(format!("oci:{}", layout.display())).arg(format!("docker://{}", registry.reference(name)));
    let output = command.output().await.context("cannot start skopeo")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "skopeo ended with {}: {}", output.status, stderr.trim());
    std::fs::read_to_string(digest_file).context("skopeo wrote no digest")
}
