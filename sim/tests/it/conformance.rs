//! Every conformance body against the fake, as every version, over every kind of connection.

use std::time::Duration;

use sim::conformance::{Body, Subject, all, on_disk, registry as for_registries};
use sim::containerd::{Containerd, Options, Version};
use sim::image::{Compression, ImageBuilder, Layer};
use sim::registry::{Access, Registry};
use tonic::transport::Channel;

/// Longer than any body waits for anything. On a paused clock a deadlock reaches it at once.
const BODY_TIME_MAX: Duration = Duration::from_secs(100);

async fn run_all(bodies: Vec<Body>, version: Version, connect: impl Fn() -> Channel) {
    for (number, body) in bodies.into_iter().enumerate() {
        let subject = Subject::new(connect(), &format!("body-{number}"), version);
        let run = tokio::spawn(async move { tokio::time::timeout(BODY_TIME_MAX, body.run(subject)).await });
        match run.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => panic!("{} hangs on {version:?}", body.name()),
            Err(error) => panic!("{} fails on {version:?}: {error}", body.name()),
        }
    }
}

async fn run_in_memory(version: Version) {
    run_all(all(), version, || Containerd::new(Options::version(version)).connect()).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_hold_on_1_6() {
    run_in_memory(Version::V1_6).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_hold_on_1_7() {
    run_in_memory(Version::V1_7).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_hold_on_2_1() {
    run_in_memory(Version::V2_1).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_hold_on_2_3() {
    run_in_memory(Version::V2_3).await;
}

#[tokio::test]
async fn bodies_hold_with_directories_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.directory = Some(directory.path().join("root"));
    let containerd = Containerd::new(options);
    let socket = directory.path().join("containerd.sock");
    let serving = containerd.serve_unix(&socket).unwrap();
    let channel = tonic::transport::Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await
        .unwrap();
    run_all([all(), on_disk()].concat(), Version::default(), || channel.clone()).await;
    drop(channel);
    serving.stop().await.unwrap();
}

async fn run_registry(access: Access, bodies: Vec<for_registries::Body>) {
    let mut options = sim::registry::Options::default();
    options.access = access;
    let registry = Registry::new(options);
    let image = ImageBuilder::new().layer(Layer::random("file", 3000, 1, Compression::Gzip)).build();
    registry.push("team/app", Some("1"), &image);
    let serving = registry.serve_tcp().await.unwrap();
    let address = serving.address().to_string();
    for body in bodies {
        body.run(for_registries::Subject::new(&address, "team/app", "1", image.clone())).await;
    }
    serving.stop().await;
}

#[tokio::test]
async fn bodies_for_registries_hold_over_tcp() {
    run_registry(Access::Open, for_registries::all()).await;
}

#[tokio::test]
async fn bodies_for_guarded_registries_hold_over_tcp() {
    run_registry(Access::Basic, for_registries::guarded()).await;
    run_registry(Access::Token { anonymous_pull: true }, for_registries::guarded()).await;
}
