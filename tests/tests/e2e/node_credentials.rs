//! Images of a private registry that the node itself has the credentials for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Access, Containerd, Daemon, Format, Registry, Version, assert_status, push, small};
use tonic::Code;

pub(crate) async fn private_image_with_the_nodes_own_credentials(version: Version) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    registry.announce(&containerd.certs_d())?;
    let image = small("private")?;
    push(&registry, "secret:1", &image, Format::Oci).await?;
    let reference = registry.reference("secret:1");
    let auth = registry.auth().expect("a registry with tokens has an account");

    let secret = containerd.folder().join("credentials");
    fs::write(&secret, format!("username = \"{}\"\npassword = \"{}\"\n", auth.username, auth.password))?;
    let table =
        format!("[registry.\"{}\"]\ncredentials = {{ file = \"{}\" }}\n", registry.host(), secret.display());
    let config = tests::DaemonConfig { more: table, ..Daemon::config(&containerd) };
    let daemon = Daemon::start_with(&containerd, &config).await?;
    let mut images = daemon.cri().await?;

    // Open to everyone, the file is not used, and the line says what to do.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644))?;
    let result = images.pull(&reference).await;
    if let Err(status) = &result {
        assert!(!status.message().contains(&auth.password), "{status:?}");
    }
    assert_status(result, Code::FailedPrecondition, &[&secret.display().to_string(), "chmod o-rw"]);

    // Without a restart, it is once it is closed.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    assert_eq!(images.pull(&reference).await?, image.config().digest());

    // Credentials that the kubelet sends are not replaced, wrong as they may be.
    let wrong = k8s_cri::v1::AuthConfig { password: "wrong".to_owned(), ..auth };
    let result = images.pull_as(&reference, Some(wrong)).await;
    assert_status(result, Code::Unauthenticated, &[&reference, "credentials refused"]);
    Ok(())
}
