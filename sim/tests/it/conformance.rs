//! Every conformance body against the fake, as every version, over every kind of connection.

use std::time::Duration;

use sim::conformance::{Subject, all};
use sim::containerd::{Containerd, Options, Version};
use tonic::transport::Channel;

/// Longer than any body waits for anything. On a paused clock a deadlock reaches it at once.
const BODY_TIME_MAX: Duration = Duration::from_secs(100);

async fn run_all(version: Version, connect: impl Fn() -> Channel) {
    for (number, body) in all().into_iter().enumerate() {
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
    run_all(version, || Containerd::new(Options::version(version)).connect()).await;
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
    run_all(Version::default(), || channel.clone()).await;
    drop(channel);
    serving.stop().await.unwrap();
}
