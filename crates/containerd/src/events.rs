//! containerd's events, as far as they concern image records.

use std::time::Duration;

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::types::Envelope;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Streaming;

use crate::client::{Service, within};
use crate::{CallError, Client, Deadlines, ErrorKind};

/// The record called so was created, updated or deleted. Which of these is not told: events of one name may
/// overtake each other, so a reader asks for the record's present state whatever the event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageEvent {
    /// Name of the record.
    pub name: String,
}

/// The event service.
#[derive(Clone, Debug)]
pub struct Events {
    grpc: EventsClient<Service>,
    namespace: String,
    deadlines: Deadlines,
}

/// A running subscription.
#[derive(Debug)]
pub struct ImageEvents {
    stream: Streaming<Envelope>,
    namespace: String,
}

const OPERATION: &str = "subscribe events";

/// Topic and type of the event by which a subscription is seen to have begun.
const MARK_TOPIC: &str = "/cri-imaged/subscribed";
const MARK_TYPE: &str = "google.protobuf.Empty";

/// First and longest pause between two such events.
const MARK_PAUSE_MIN: Duration = Duration::from_millis(10);
const MARK_PAUSE_MAX: Duration = Duration::from_secs(1);

impl Events {
    pub(crate) fn new(client: &Client) -> Events {
        Events {
            grpc: EventsClient::new(client.service()),
            namespace: client.namespace().to_owned(),
            deadlines: client.deadlines(),
        }
    }

    /// Subscribes to the events of image records in the client's namespace. Events from before are not told, so a
    /// reader subscribes first and lists afterwards.
    ///
    /// Returns when containerd is known to have the subscription. It does not say so itself: grpc-go sends no header
    /// of a stream before its first message. So an event of our own is published until the stream tells it.
    ///
    /// # Errors
    /// The call's own, and [`ErrorKind::Deadline`] where the stream does not begin.
    pub async fn images(&self) -> Result<ImageEvents, CallError> {
        // containerd does not narrow a subscription by the namespace header; the filter does.
        let filter = |topic: &str| format!("namespace=={},topic{topic}", self.namespace);
        let filters = vec![filter("~=\"^/images/\""), filter(&format!("==\"{MARK_TOPIC}\""))];
        let mut grpc = self.grpc.clone();
        let mut subscribed = std::pin::pin!(grpc.subscribe(pb::SubscribeRequest { filters }));
        let limit = self.deadlines.metadata;
        let begun = Instant::now();
        let mut pause = MARK_PAUSE_MIN;
        while begun.elapsed() < limit {
            let mark = async {
                self.publish_mark().await?;
                tokio::time::sleep(pause).await;
                Ok::<(), CallError>(())
            };
            tokio::select! {
                biased;
                answer = &mut subscribed => {
                    let answer = answer.map_err(|status| CallError::from_status(OPERATION, "/images/", &status))?;
                    return Ok(ImageEvents { stream: answer.into_inner(), namespace: self.namespace.clone() });
                }
                published = mark => published?,
            }
            pause = (pause * 2).min(MARK_PAUSE_MAX);
        }
        Err(CallError::deadline(OPERATION, "/images/", limit))
    }

    async fn publish_mark(&self) -> Result<(), CallError> {
        let event = prost_types::Any { type_url: MARK_TYPE.to_owned(), value: Vec::new() };
        let request = pb::PublishRequest { topic: MARK_TOPIC.to_owned(), event: Some(event) };
        let mut grpc = self.grpc.clone();
        within(self.deadlines.metadata, "publish event", MARK_TOPIC, grpc.publish(request)).await.map(drop)
    }
}

impl ImageEvents {
    /// The next event.
    ///
    /// # Errors
    /// Any error and the stream's end ([`ErrorKind::Unavailable`]) mean that events were lost: subscribe and list
    /// again.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<ImageEvent, CallError> {
        loop {
            let message = self.stream.message().await;
            let envelope = message
                .map_err(|status| CallError::from_status(OPERATION, "/images/", &status))?
                .ok_or_else(|| {
                    CallError::local(OPERATION, "/images/", ErrorKind::Unavailable, "the stream ended")
                })?;
            if envelope.namespace != self.namespace || !envelope.topic.starts_with("/images/") {
                continue;
            }
            // ImageCreate, ImageUpdate and ImageDelete all have the name as field 1.
            let payload = envelope.event.unwrap_or_default().value;
            match pb::ImageDelete::decode(payload.as_slice()) {
                Ok(event) if !event.name.is_empty() => return Ok(ImageEvent { name: event.name }),
                _ => {
                    let what = format!("an event of topic {} without a readable name", envelope.topic);
                    return Err(CallError::local(OPERATION, "/images/", ErrorKind::Other, what));
                }
            }
        }
    }
}
