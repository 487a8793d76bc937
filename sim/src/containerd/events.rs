//! The event exchange and its service.
//!
//! Owns delivery: each subscriber has an unbounded queue, as in containerd, so nothing is dropped and one
//! subscriber sees events in the order of their publication. A subscription answers its response headers with
//! its first event only, as grpc-go does.

use std::time::SystemTime;

use containerd_client::services::v1 as api;
use containerd_client::types::Envelope;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::context::{Context, validate_identifier};
use super::failure;
use super::filter::Filters;
use super::labels;
use super::shared::Shared;
use super::state::State;
use crate::stub::events::events_server::Events;

#[derive(Debug)]
pub(crate) struct Subscriber {
    filters: Filters,
    queue: mpsc::UnboundedSender<Envelope>,
}

/// Hands an event to every subscriber whose filter it passes.
pub(crate) fn publish<T: Message + Name>(
    state: &mut State,
    now: SystemTime,
    namespace: &str,
    topic: &str,
    event: &T,
) {
    let event = Any { type_url: T::full_name(), value: event.encode_to_vec() };
    deliver(
        state,
        &Envelope {
            timestamp: Some(Timestamp::from(now)),
            namespace: namespace.to_owned(),
            topic: topic.to_owned(),
            event: Some(event),
        },
    );
}

fn deliver(state: &mut State, envelope: &Envelope) {
    state.subscribers.retain(|_, subscriber| {
        if !subscriber.filters.matches(|path| field(envelope, path)) {
            return !subscriber.queue.is_closed();
        }
        subscriber.queue.send(envelope.clone()).is_ok()
    });
}

/// Registers a subscriber; it is forgotten when the receiver is dropped.
pub(crate) fn subscribe(state: &mut State, filters: Filters) -> mpsc::UnboundedReceiver<Envelope> {
    let (queue, events) = mpsc::unbounded_channel();
    let id = state.next_sequence();
    state.subscribers.insert(id, Subscriber { filters, queue });
    events
}

fn field(envelope: &Envelope, path: &[&str]) -> Option<String> {
    match path {
        ["namespace"] => Some(envelope.namespace.clone()),
        ["topic"] => Some(envelope.topic.clone()),
        ["event", rest @ ..] => event_field(envelope.event.as_ref()?, rest),
        _ => None,
    }
    .filter(|value| !value.is_empty())
}

fn event_field(event: &Any, path: &[&str]) -> Option<String> {
    let bytes = event.value.as_slice();
    let (name, found) = match event.type_url.as_str() {
        "containerd.services.images.v1.ImageCreate" => {
            let image = api::ImageCreate::decode(bytes).ok()?;
            (image.name, image.labels)
        }
        "containerd.services.images.v1.ImageUpdate" => {
            let image = api::ImageUpdate::decode(bytes).ok()?;
            (image.name, image.labels)
        }
        "containerd.services.images.v1.ImageDelete" => {
            (api::ImageDelete::decode(bytes).ok()?.name, Default::default())
        }
        _ => return None,
    };
    match path {
        ["name"] => Some(name),
        ["labels", rest @ ..] => super::filter::label(&labels::stored(found), rest),
        _ => None,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EventsService(pub(crate) Shared);

#[tonic::async_trait]
impl Events for EventsService {
    async fn publish(&self, request: Request<api::PublishRequest>) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        let request = request.into_inner();
        validate_topic(&request.topic)?;
        let envelope = Envelope {
            timestamp: Some(Timestamp::from(self.0.now())),
            namespace: context.namespace,
            topic: request.topic,
            event: request.event,
        };
        deliver(&mut self.0.lock(), &envelope);
        Ok(Response::new(()))
    }

    async fn forward(&self, request: Request<api::ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope = request.into_inner().envelope.unwrap_or_default();
        validate_identifier(&envelope.namespace)
            .map_err(|reason| failure::invalid_argument(format!("invalid namespace: {reason}")))?;
        validate_topic(&envelope.topic)?;
        if envelope.timestamp.is_none() {
            return Err(failure::invalid_argument("timestamp must be set on forwarded event"));
        }
        deliver(&mut self.0.lock(), &envelope);
        Ok(Response::new(()))
    }

    type SubscribeStream = BoxStream<'static, Result<Envelope, Status>>;

    async fn subscribe(
        &self,
        request: Request<api::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let filters = Filters::parse(&request.into_inner().filters)?;
        let mut events = subscribe(&mut self.0.lock(), filters);
        let stopping = self.0.stopping();
        let first = tokio::select! {
            biased;
            () = stopping.cancelled() => None,
            first = events.recv() => first,
        };
        let Some(first) = first else { return Err(Status::unavailable("server is stopping")) };
        let rest = stream::unfold(events, |mut events| async {
            let event = events.recv().await?;
            Some((event, events))
        })
        .take_until(stopping.cancelled_owned());
        Ok(Response::new(stream::iter([first]).chain(rest).map(Ok).boxed()))
    }
}

/// A topic is `/` followed by identifiers joined by `/` (core/events/exchange, v2.3.4).
fn validate_topic(topic: &str) -> Result<(), Status> {
    let parts = topic
        .strip_prefix('/')
        .filter(|parts| !parts.is_empty())
        .ok_or_else(|| failure::invalid_argument(format!("envelope topic `{topic}` must start with `/`")))?;
    parts.split('/').try_for_each(validate_identifier).map_err(|reason| {
        failure::invalid_argument(format!("envelope topic `{topic}`: failed validation: {reason}"))
    })
}
