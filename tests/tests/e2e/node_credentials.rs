//! Images of a private registry that the node itself has the credentials for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use k8s_cri::v1::AuthConfig;
use sim::image::Image;
use tests::{Access, Containerd, Daemon, Format, Registry, Version, assert_status, push, small};
use tonic::Code;

/// A registry that asks for a login, and a containerd that knows it.
struct Private {
    containerd: Containerd,
    registry: Registry,
    image: Image,
    /// The image's, in the registry.
    reference: String,
    /// An account that may pull it.
    auth: AuthConfig,
}

impl Private {
    async fn start(version: Version) -> anyhow::Result<Self> {
        let containerd = Containerd::start(version).await?;
        let registry = Registry::start(Access::TlsAndToken).await?;
        registry.announce(&containerd.certs_d())?;
        let image = small("private")?;
        push(&registry, "secret:1", &image, Format::Oci).await?;
        let reference = registry.reference("secret:1");
        let auth = registry.auth().expect("a registry with tokens has an account");
        Ok(Self { containerd, registry, image, reference, auth })
    }
}

pub(crate) async fn private_image_with_the_nodes_own_credentials(version: Version) -> anyhow::Result<()> {
    let Private { containerd, registry, image, reference, auth } = Private::start(version).await?;

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
    let wrong = AuthConfig { password: "wrong".to_owned(), ..auth };
    let result = images.pull_as(&reference, Some(wrong)).await;
    assert_status(result, Code::Unauthenticated, &[&reference, "credentials refused"]);
    Ok(())
}

pub(crate) async fn private_image_with_credentials_from_a_helper_program(
    version: Version,
) -> anyhow::Result<()> {
    let Private { containerd, registry, image, reference, auth } = Private::start(version).await?;

    let programs = containerd.folder().join("programs");
    fs::create_dir(&programs)?;
    let (asked, says) = (programs.join("asked"), programs.join("says"));
    // Written once, before there is a daemon: the kernel runs no program that anyone has open for writing.
    let program = programs.join("docker-credential-e2e");
    let (to, from) = (asked.display(), says.display());
    let script =
        format!("#!/bin/sh\n{{ echo \"$1\"; cat; echo; }} >> {to}\ncat {from}\nexec grep -q Secret {from}\n");
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let table = format!("[registry.\"{}\"]\ncredentials = {{ helper = \"e2e\" }}\n", registry.host());
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let environment = vec![("PATH", path), ("RUST_LOG", "debug".to_owned())];
    let config = tests::DaemonConfig { more: table, environment, ..Daemon::config(&containerd) };
    let mut daemon = Daemon::start_with(&containerd, &config).await?;
    let mut images = daemon.cri().await?;

    // What a helper says may hold the secret, so that only its name is told.
    fs::write(&says, &auth.password)?;
    let result = images.pull(&reference).await;
    if let Err(status) = &result {
        assert!(!status.message().contains(&auth.password), "{status:?}");
    }
    assert_status(result, Code::FailedPrecondition, &["docker-credential-e2e", &registry.host()]);

    fs::write(&says, format!(r#"{{"Username":"{}","Secret":"{}"}}"#, auth.username, auth.password))?;
    assert_eq!(images.pull(&reference).await?, image.config().digest());
    // Once a pull, by the protocol's one word and the server's name.
    let question = format!("get\n{}\n", registry.host());
    assert_eq!(fs::read_to_string(&asked)?, question.repeat(2));
    let log = daemon.process().log();
    assert!(log.contains("looking for this node's credentials"), "not all is logged");
    assert!(!log.contains(&auth.password), "the log has the secret");
    Ok(())
}
