//! The event stream.

use std::time::Duration;

use containerd_client::services::v1 as api;
use containerd_client::types::Envelope;
use prost::Message as _;
use tokio::sync::mpsc;

use super::subject::Subject;

/// How long an event may take before the body gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long between two events that show whether a subscription is there.
const PROBE: Duration = Duration::from_millis(50);

/// Subscribes and waits until the subscription is known to be there.
///
/// containerd sends response headers with the first event only, so nothing but an event tells that it listens.
async fn subscribe(subject: &Subject, filter: &str) -> mpsc::UnboundedReceiver<Envelope> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let filters = vec![format!("{filter},namespace=={}", subject.namespace)];
    let mut client = subject.events();
    tokio::spawn(async move {
        let Ok(response) = client.subscribe(api::SubscribeRequest { filters }).await else { return };
        let mut events = response.into_inner();
        while let Ok(Some(event)) = events.message().await {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    let probe = async {
        for number in 0.. {
            let name = format!("probe-{number}");
            subject.create_image(&name, &subject.blob("probe"), &[]).await;
            let seen = tokio::time::timeout(PROBE, receiver.recv()).await.ok().flatten();
            if seen.is_some_and(|event| image_name(&event) == name) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, probe).await.expect("a subscription sees events");
    receiver
}

async fn next(events: &mut mpsc::UnboundedReceiver<Envelope>) -> Envelope {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("an open stream")
}

fn image_name(event: &Envelope) -> String {
    let event = event.event.as_ref().unwrap();
    // All three image events have the name in the same field.
    api::ImageDelete::decode(event.value.as_slice()).unwrap().name
}

pub(super) async fn image_events_arrive_in_order(subject: Subject) {
    let mut events = subscribe(&subject, "topic~=\"/images/\"").await;
    subject.create_image("a", &subject.blob("event"), &[]).await;
    let update = api::UpdateImageRequest {
        image: Some(subject.image("a", &subject.blob("event 2"), &[("k", "v")])),
        ..Default::default()
    };
    subject.images().update(subject.request(update)).await.unwrap();
    subject.delete_image("a", false).await.unwrap();
    for (topic, kind) in [("create", "ImageCreate"), ("update", "ImageUpdate"), ("delete", "ImageDelete")] {
        let event = next(&mut events).await;
        assert_eq!(event.topic, format!("/images/{topic}"));
        assert_eq!(event.namespace, subject.namespace);
        assert_eq!(image_name(&event), "a");
        assert!(event.timestamp.is_some());
        let type_url = event.event.unwrap().type_url;
        assert_eq!(type_url, format!("containerd.services.images.v1.{kind}"));
    }
}

pub(super) async fn other_topics_are_filtered_out(subject: Subject) {
    let mut events = subscribe(&subject, "topic==\"/images/create\"").await;
    subject.create_image("a", &subject.blob("event"), &[]).await;
    subject.delete_image("a", false).await.unwrap();
    subject.create_image("b", &subject.blob("event"), &[]).await;
    assert_eq!(image_name(&next(&mut events).await), "a");
    assert_eq!(image_name(&next(&mut events).await), "b");
}
