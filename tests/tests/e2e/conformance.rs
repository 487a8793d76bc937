//! The simulator's claims about containerd and registries, held against the real thing: the same bodies run on both.

use std::time::Duration;

use anyhow::Context as _;
use sim::conformance::{Subject, all, on_disk, registry as bodies};
use sim::containerd;
use tests::{Access, Containerd, Format, Registry, Version, push, small};

/// Longer than any body waits for anything.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn simulator_behaves_as_this_containerd(version: Version) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let simulated = match version {
        Version::V1_6 => containerd::Version::V1_6,
        Version::V1_7 => containerd::Version::V1_7,
        // 2.2 brought the parent of a commit; what came after it no body sees.
        Version::V2 if containerd.release().await?.starts_with("2.1.") => containerd::Version::V2_1,
        Version::V2 => containerd::Version::V2_3,
    };
    let mut failures = Vec::new();
    for (number, body) in [all(), on_disk()].concat().into_iter().enumerate() {
        let subject = Subject::new(containerd.channel().await?, &format!("body-{number}"), simulated);
        let run = tokio::spawn(async move { tokio::time::timeout(BODY_TIME_MAX, body.run(subject)).await });
        match run.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failures.push(format!("{} hangs", body.name())),
            Err(error) => failures.push(format!("{}: {error}", body.name())),
        }
    }
    anyhow::ensure!(
        failures.is_empty(),
        "the simulator is wrong about {version:?}:\n{}",
        failures.join("\n")
    );
    Ok(())
}

/// The same for its claims about registries, held against Debian's.
#[tokio::test]
async fn simulator_behaves_as_this_registry() -> anyhow::Result<()> {
    let registry = Registry::start(Access::Plain).await?;
    push(&registry, "conformance/app:1", &small("conformance")?, Format::Oci).await?;
    holds(&registry, bodies::all()).await
}

/// And about what a registry says to those who may not read: by token, and by password.
#[tokio::test]
async fn simulator_refuses_as_this_registry() -> anyhow::Result<()> {
    for access in [Access::PlainAndToken, Access::PlainAndBasic] {
        let registry = Registry::start(access).await?;
        holds(&registry, bodies::guarded()).await.with_context(|| format!("{access:?}"))?;
    }
    Ok(())
}

async fn holds(registry: &Registry, bodies: Vec<bodies::Body>) -> anyhow::Result<()> {
    let image = small("conformance")?;
    let mut failures = Vec::new();
    for body in bodies {
        let subject = bodies::Subject::new(&registry.host(), "conformance/app", "1", image.clone());
        let run = tokio::spawn(async move { tokio::time::timeout(BODY_TIME_MAX, body.run(subject)).await });
        match run.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failures.push(format!("{} hangs", body.name())),
            Err(error) => failures.push(format!("{}: {error}", body.name())),
        }
    }
    anyhow::ensure!(failures.is_empty(), "the simulator is wrong about registries:\n{}", failures.join("\n"));
    Ok(())
}
