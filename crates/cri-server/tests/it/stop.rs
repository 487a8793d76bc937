//! How a daemon stops: calls in flight are finished, or answered when the grace is over.
//!
//! On a paused clock: the grace passes the moment nothing but the grace is waited for.

use cri_api::v1::PullImageRequest;
use cri_server::DRAIN_GRACE;
use tokio::time::{Duration, Instant, timeout};
use tonic::Code;

use crate::dummy::Served;

#[tokio::test]
async fn a_call_in_flight_is_finished_and_no_new_connection_taken() {
    let mut served = Served::start().await;
    let mut client = served.client().await;
    let pull = tokio::spawn(async move { client.pull_image(PullImageRequest::default()).await });
    served.dummy.started.notified().await;

    served.stop();
    // The listener closes when the drain begins, and nothing else in this test can end the connecting.
    while served.try_client().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(served.config.socket.exists(), "the path is held until the last call is answered");
    assert!(!served.ended.is_finished());

    served.dummy.finish.notify_one();
    assert_eq!(pull.await.expect("no panic").expect("finished").into_inner().image_ref, "sha256:1f");
    served.ended.await.expect("no panic").expect("drained");
    assert!(!served.config.socket.exists());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_the_grace_is_answered_unavailable() {
    let mut served = Served::start().await;
    let mut client = served.client().await;
    let pull = tokio::spawn(async move { client.pull_image(PullImageRequest::default()).await });
    served.dummy.started.notified().await;

    let before = Instant::now();
    served.stop();
    let status =
        timeout(DRAIN_GRACE * 2, pull).await.expect("answered").expect("no panic").expect_err("aborted");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "cri-imaged is stopping"));
    served.ended.await.expect("no panic").expect("drained");
    let took = before.elapsed();
    assert!((DRAIN_GRACE..DRAIN_GRACE + Duration::from_secs(2)).contains(&took), "{took:?}");
    assert!(!served.config.socket.exists());
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_does_not_hold_the_stop_up() {
    let mut served = Served::start().await;
    let mut client = served.client().await;
    client.list_images(cri_api::v1::ListImagesRequest::default()).await.expect("answered");
    let before = Instant::now();
    served.stop();
    served.ended.await.expect("no panic").expect("drained");
    assert!(before.elapsed() < DRAIN_GRACE, "{:?}", before.elapsed());
}
