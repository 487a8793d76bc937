//! The event exchange and its service.
//!
//! Owns delivery: each subscriber has an unbounded queue, as in containerd, so nothing is dropped and one
//! subscriber sees events in the order of their publication. Events are lost with their stream alone: a client that
//! subscribes again sees what is published from then on. A subscription answers its response headers with
//! its first event only, as grpc-go does.

use std::time::SystemTime;

use containerd_client::services::v1 as api;
use containerd_client::types::Envelope;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::caller::{self, Caller};
use super::context::{Context, validate_identifier};
use super::failure;
use super::filter::Filters;
use super::labels;
use super::point::Point;
use super::shared::Shared;
use super::state::State;
use crate::stub::events::events_server::Events;

#[derive(Debug)]
pub(crate) struct Subscriber {
    /// Name of the link, empty on a connection without one.
    client: String,
    broken: CancellationToken,
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

/// Registers a subscriber; it is forgotten when the receiver is dropped. `broken` is cancelled when it is to end.
pub(crate) fn subscribe(
    state: &mut State,
    client: &str,
    broken: CancellationToken,
    filters: Filters,
) -> mpsc::UnboundedReceiver<Envelope> {
    let (queue, events) = mpsc::unbounded_channel();
    let id = state.next_sequence();
    state.subscribers.insert(id, Subscriber { client: client.to_owned(), broken, filters, queue });
    events
}

/// Forgets the subscribers of a client, which ends their streams.
pub(crate) fn break_all(state: &mut State, client: &str) -> usize {
    let before = state.subscribers.len();
    state.subscribers.retain(|_, subscriber| {
        let stays = subscriber.client != client;
        if !stays {
            subscriber.broken.cancel();
        }
        stays
    });
    before - state.subscribers.len()
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
        let caller = Caller::of(&request);
        let filters = Filters::parse(&request.into_inner().filters)?;
        let client = caller.as_ref().map(|caller| caller.client.clone()).unwrap_or_default();
        let broken = CancellationToken::new();
        let events = subscribe(&mut self.0.lock(), &client, broken.clone(), filters);
        let mut subscription = Subscription { shared: self.0.clone(), caller, client, broken, events };
        let first = subscription.next().await?;
        let rest = stream::unfold(Some(subscription), |subscription| async {
            let mut subscription = subscription?;
            match subscription.next().await {
                Ok(event) => Some((Ok(event), Some(subscription))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(stream::iter([Ok(first)]).chain(rest).boxed()))
    }
}

/// One subscriber's end of its queue.
struct Subscription {
    shared: Shared,
    caller: Option<Caller>,
    client: String,
    broken: CancellationToken,
    events: mpsc::UnboundedReceiver<Envelope>,
}

impl Subscription {
    /// Waits for the next event, and for its turn.
    ///
    /// # Errors
    /// Unavailable when the subscription was broken or containerd stops: the client sees the stream lost.
    async fn next(&mut self) -> Result<Envelope, Status> {
        let stopping = self.shared.stopping();
        let taken = async {
            let event = self.events.recv().await.ok_or_else(caller::lost)?;
            let name = field(&event, &["event", "name"]).unwrap_or_default();
            let point = Point::BeforeEvent {
                client: self.client.clone(),
                topic: event.topic.clone(),
                name: name.clone(),
            };
            self.shared.pause(point).await;
            if let Some(caller) = &self.caller {
                let aftermath = caller.before("Subscribe/event", &name).await?;
                caller.after(aftermath).await?;
            }
            Ok(event)
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(caller::lost()),
            () = self.broken.cancelled() => Err(caller::lost()),
            taken = taken => taken,
        }
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
