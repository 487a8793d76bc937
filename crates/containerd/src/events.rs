//! containerd's events, as far as they concern image records.

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::types::Envelope;
use prost::Message as _;
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
    /// # Errors
    /// The call's own.
    pub async fn images(&self) -> Result<ImageEvents, CallError> {
        // containerd does not narrow a subscription by the namespace header; the filter does.
        let filters = vec![format!("namespace=={},topic~=\"^/images/\"", self.namespace)];
        let mut grpc = self.grpc.clone();
        let call = grpc.subscribe(pb::SubscribeRequest { filters });
        let stream = within(self.deadlines.metadata, OPERATION, "/images/", call).await?;
        Ok(ImageEvents { stream, namespace: self.namespace.clone() })
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
