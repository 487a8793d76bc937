//! The simulator's claims about containerd and registries, held against the real thing: the same bodies run on both.

use std::time::Duration;

use sim::conformance::{Subject, all, registry as bodies};
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
    for (number, body) in all().into_iter().enumerate() {
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
    let image = small("conformance")?;
    push(&registry, "conformance/app:1", &image, Format::Oci).await?;
    let mut failures = Vec::new();
    for body in bodies::all() {
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
