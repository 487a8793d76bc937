//! Faults of containerd over a link, and points within its calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use containerd_client::services::v1 as api;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::types::Descriptor;
use sim::containerd::{Code, Containerd, Fault, Match, Options, Point, Rule};
use sim::image::Blob;
use sim::schedule::{Gate, Link};
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

const NAMESPACE: &str = "test";

/// Longer than anything here takes; on a paused clock what stalls for ever reaches it at once.
const FOR_EVER: Duration = Duration::from_secs(1000);

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", NAMESPACE.parse().unwrap());
    request
}

fn without_cri() -> Options {
    let mut options = Options::default();
    options.cri = false;
    options
}

fn linked(options: Options) -> (Containerd, Gate, Channel) {
    let (containerd, gate) = (Containerd::new(options), Gate::new());
    let channel = Link::new("daemon1", &gate).containerd(&containerd);
    (containerd, gate, channel)
}

async fn create(channel: &Channel, name: &str) -> Result<(), Status> {
    let target = Descriptor {
        media_type: "text/plain".to_owned(),
        digest: Blob::new("", name.to_owned()).digest().to_owned(),
        size: 1,
        annotations: HashMap::new(),
    };
    let image = api::Image { name: name.to_owned(), target: Some(target), ..Default::default() };
    let create = api::CreateImageRequest { image: Some(image), source_date_epoch: None };
    ImagesClient::new(channel.clone()).create(request(create)).await.map(drop)
}

/// A subscription that is known to listen.
async fn subscribe(channel: &Channel, probe: &str) -> Streaming<containerd_client::types::Envelope> {
    let mut events = EventsClient::new(channel.clone());
    let subscribe = request(api::SubscribeRequest { filters: vec!["topic~=\"/images/\"".to_owned()] });
    let subscribed = tokio::spawn(async move { events.subscribe(subscribe).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    create(channel, probe).await.unwrap();
    let mut events = subscribed.await.unwrap().unwrap().into_inner();
    events.message().await.unwrap().unwrap();
    events
}

#[tokio::test(start_paused = true)]
async fn a_rule_hits_what_it_matches_and_as_often_as_told() {
    let (containerd, _, channel) = linked(without_cri());
    let fault = Fault::Fail(Code::ResourceExhausted, "full".to_owned());
    containerd
        .inject(Rule::new(Match::method("Images/").subject("b").client("daemon1"), fault).skip(1).times(1));
    create(&channel, "a").await.unwrap();
    create(&channel, "b1").await.unwrap();
    let refused = create(&channel, "b2").await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, "full"));
    create(&channel, "b3").await.unwrap();
    let names: Vec<String> = containerd.inventory(NAMESPACE).images.into_keys().collect();
    assert_eq!(names, ["a", "b1", "b3"]);

    containerd.inject(Rule::new(Match::any().client("daemon2"), Fault::Stall));
    create(&channel, "c").await.unwrap();
    containerd.inject(Rule::new(Match::any(), Fault::Stall));
    assert!(timeout(FOR_EVER, create(&channel, "d")).await.is_err());
    containerd.heal();
    create(&channel, "d").await.expect("the stalled call had no effect");
    containerd.inject_by(|call| (call.subject == "e").then_some(Fault::Delay(Duration::from_secs(7))));
    let before = Instant::now();
    create(&channel, "e").await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_has_its_effect_and_the_connection_lives() {
    let (containerd, _, channel) = linked(without_cri());
    let mut events = subscribe(&channel, "probe").await;
    containerd.inject(Rule::new(Match::method("Images/Create"), Fault::LoseReply).times(1));
    assert_eq!(create(&channel, "a").await.unwrap_err().code(), Code::Unavailable);
    assert!(containerd.inventory(NAMESPACE).images.contains_key("a"));
    assert_eq!(events.message().await.unwrap().unwrap().topic, "/images/create");

    containerd.inject(Rule::new(Match::method("Images/Create"), Fault::StallReply).times(1));
    assert!(timeout(FOR_EVER, create(&channel, "b")).await.is_err());
    assert!(containerd.inventory(NAMESPACE).images.contains_key("b"));
    events.message().await.unwrap().unwrap();

    for (name, fault, has_effect) in [("c", Fault::DisconnectAfter, true), ("d", Fault::Disconnect, false)] {
        let mut events = subscribe(&channel, &format!("probe-{name}")).await;
        containerd.inject(Rule::new(Match::method("Images/Create").subject(name), fault).times(1));
        create(&channel, name).await.unwrap_err();
        assert_eq!(containerd.inventory(NAMESPACE).images.contains_key(name), has_effect);
        while let Ok(Some(_)) = events.message().await {}
        create(&channel, &format!("again-{name}")).await.expect("a new connection is dialled");
    }
}

fn write(data: &str, offset: i64, action: api::WriteAction) -> api::WriteContentRequest {
    api::WriteContentRequest {
        action: action.into(),
        r#ref: "ref".to_owned(),
        offset,
        data: data.as_bytes().to_vec(),
        ..Default::default()
    }
}

async fn write_all(channel: &Channel) -> Result<(), Status> {
    let messages = [
        write("", 0, api::WriteAction::Stat),
        write("one", 0, api::WriteAction::Write),
        write("two", 3, api::WriteAction::Write),
        write("", 6, api::WriteAction::Commit),
    ];
    let stream = request(tokio_stream::iter(messages));
    let mut responses = ContentClient::new(channel.clone()).write(stream).await?.into_inner();
    while responses.message().await?.is_some() {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn faults_fall_between_the_messages_of_a_write() {
    let (containerd, _, channel) = linked(without_cri());
    containerd.inject(Rule::new(Match::method("Write/message"), Fault::LoseReply).skip(1).times(1));
    assert_eq!(write_all(&channel).await.unwrap_err().code(), Code::Unavailable);
    let status = request(api::StatusRequest { r#ref: "ref".to_owned() });
    let status = ContentClient::new(channel.clone()).status(status).await.unwrap().into_inner().status;
    assert_eq!(status.unwrap().offset, 6, "both messages took effect");

    containerd.inject(Rule::new(Match::method("Write/commit").subject("ref"), Fault::LoseReply).times(1));
    assert_eq!(write_all(&channel).await.unwrap_err().code(), Code::Unavailable);
    let digest = Blob::new("", "onetwo").digest().to_owned();
    assert!(containerd.inventory(NAMESPACE).content.contains_key(&digest));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_cut_between_messages_keeps_what_was_applied() {
    let (sender, gate) = tokio::sync::watch::channel(false);
    let mut options = without_cri();
    options.pause = Some(Arc::new(move |point| {
        let mut gate = gate.clone();
        let is_held = matches!(point, Point::BeforeWrite { offset: 3, .. });
        Box::pin(async move {
            if is_held {
                gate.wait_for(|&open| open).await.unwrap();
            }
        })
    }));
    let (containerd, link) = (Containerd::new(options), Link::new("daemon1", &Gate::new()));
    let channel = link.containerd(&containerd);
    let mut writing = Box::pin(write_all(&channel));
    assert!(timeout(FOR_EVER, &mut writing).await.is_err());
    link.cut();
    writing.await.unwrap_err();
    sender.send(true).unwrap();
    let other = containerd.connect();
    let status = || request(api::StatusRequest { r#ref: "ref".to_owned() });
    let status = ContentClient::new(other.clone()).status(status()).await.unwrap().into_inner().status;
    assert_eq!(status.unwrap().offset, 3);
    write_all(&other).await.expect("the lock went with the connection");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_break_alone_and_lose_what_was_not_sent() {
    let (containerd, _, channel) = linked(without_cri());
    let mut events = subscribe(&channel, "probe").await;
    assert_eq!(containerd.break_subscriptions("daemon2"), 0);
    assert_eq!(containerd.break_subscriptions("daemon1"), 1);
    assert_eq!(events.message().await.unwrap_err().code(), Code::Unavailable);
    create(&channel, "unseen").await.unwrap();

    let mut events = subscribe(&channel, "probe again").await;
    containerd.inject(Rule::new(Match::method("Subscribe/event"), Fault::LoseReply).skip(1).times(1));
    create(&channel, "seen").await.unwrap();
    create(&channel, "lost").await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    assert_eq!(events.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn events_of_concurrent_calls_may_be_published_in_another_order() {
    let (sender, gate) = tokio::sync::watch::channel(false);
    let mut options = without_cri();
    let points: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = points.clone();
    options.pause = Some(Arc::new(move |point| {
        seen.lock().unwrap().push(point.to_string());
        let mut gate = gate.clone();
        let is_held = matches!(&point, Point::BeforePublish { name, .. } if name == "first");
        Box::pin(async move {
            if is_held {
                gate.wait_for(|&open| open).await.unwrap();
            }
        })
    }));
    let (containerd, _, channel) = linked(options);
    let mut events = subscribe(&channel, "probe").await;
    let mut first = Box::pin(create(&channel, "first"));
    assert!(timeout(FOR_EVER, &mut first).await.is_err(), "no reply before the event");
    assert!(containerd.inventory(NAMESPACE).images.contains_key("first"));
    create(&channel, "second").await.unwrap();
    // The client goes away; its event comes all the same.
    drop(first);
    tokio::time::sleep(Duration::from_millis(1)).await;
    sender.send(true).unwrap();
    for _ in 0..2 {
        timeout(FOR_EVER, events.message()).await.unwrap().unwrap().unwrap();
    }
    let sent: Vec<String> = points.lock().unwrap().clone();
    let sent: Vec<&str> =
        sent.iter().filter_map(|point| point.strip_prefix("daemon1 BeforeEvent ")).collect();
    assert_eq!(sent, ["/images/create probe", "/images/create second", "/images/create first"]);
}

#[tokio::test(start_paused = true)]
async fn lines_of_the_log_name_the_subject() {
    let (containerd, gate, channel) = linked(without_cri());
    containerd.inject(Rule::new(Match::method("Images/Create"), Fault::LoseReply));
    gate.close();
    let mut choose = sim::schedule::Random::new(1);
    let mut released = |_: &str| {};
    tokio::select! {
        biased;
        created = create(&channel, "docker.io/a:1") => created.unwrap_err(),
        () = gate.drive(&mut choose, &mut released) => unreachable!(),
    };
    let log = gate.log();
    let lines: Vec<&str> = log.iter().map(|line| line.split_once("s ").unwrap().1).collect();
    let expected = [
        "daemon1 Images/Create docker.io/a:1 >",
        "daemon1 Images/Create docker.io/a:1 has the fault LoseReply",
        "daemon1 Images/Create docker.io/a:1 <",
    ];
    assert_eq!(lines, expected);
}
