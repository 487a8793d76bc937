//! The images service: records by name.
//!
//! Relies on [`gc`](super::gc) for synchronous deletes. Checks what containerd checks (core/metadata/images.go,
//! v2.3.4) in its order, so that one request gets one error.

use std::time::SystemTime;

use containerd_client::services::v1 as api;
use containerd_client::services::v1::{ImageCreate, ImageDelete, ImageUpdate};
use containerd_client::types::Descriptor;
use prost::{Message, Name};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::caller::Caller;
use super::context::Context;
use super::events::publish;
use super::failure;
use super::filter::{Filters, label};
use super::gc;
use super::labels::{self, Labels};
use super::point::Point;
use super::shared::Shared;
use super::state::{ImageRecord, Namespace, State, Target};
use crate::digest;
use crate::stub::images::images_server::Images;

/// The label that makes an image record collectible, and so worth leasing.
const EXPIRE_LABEL: &str = "containerd.io/gc.expire";

#[derive(Clone, Debug)]
pub(crate) struct ImagesService(pub(crate) Shared);

#[tonic::async_trait]
impl Images for ImagesService {
    async fn get(
        &self,
        request: Request<api::GetImageRequest>,
    ) -> Result<Response<api::GetImageResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let name = request.into_inner().name;
        let state = self.0.lock();
        let record = state
            .namespace(&context)
            .and_then(|namespace| namespace.images.get(&name))
            .ok_or_else(|| missing(&name))?;
        Ok(Response::new(api::GetImageResponse { image: Some(message(&name, record)) }))
    }

    async fn list(
        &self,
        request: Request<api::ListImagesRequest>,
    ) -> Result<Response<api::ListImagesResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let filters = Filters::parse(&request.into_inner().filters)?;
        let state = self.0.lock();
        let images = state
            .namespace(&context)
            .into_iter()
            .flat_map(|namespace| &namespace.images)
            .filter(|(name, record)| filters.matches(|path| field(name, record, path)))
            .map(|(name, record)| message(name, record))
            .collect();
        Ok(Response::new(api::ListImagesResponse { images }))
    }

    async fn create(
        &self,
        request: Request<api::CreateImageRequest>,
    ) -> Result<Response<api::CreateImageResponse>, Status> {
        let headers = request.metadata().clone();
        let client = Caller::name(&request);
        let api::CreateImageRequest { image, source_date_epoch } = request.into_inner();
        let image = image.filter(|image| !image.name.is_empty()).ok_or_else(name_required)?;
        let context = Context::read(&headers)?;
        let at = created_at(source_date_epoch, self.0.now());
        let (name, record) = record(image, at, at);
        let event = create(&mut self.0.lock(), &context, &name, record.clone())?;
        self.announce(client, context, name.clone(), event).await;
        Ok(Response::new(api::CreateImageResponse { image: Some(message(&name, &record)) }))
    }

    async fn update(
        &self,
        request: Request<api::UpdateImageRequest>,
    ) -> Result<Response<api::UpdateImageResponse>, Status> {
        let headers = request.metadata().clone();
        let client = Caller::name(&request);
        let api::UpdateImageRequest { image, update_mask, source_date_epoch } = request.into_inner();
        let image = image.filter(|image| !image.name.is_empty()).ok_or_else(name_required)?;
        let context = Context::read(&headers)?;
        let at = created_at(source_date_epoch, self.0.now());
        let (name, incoming) = record(image, at, at);
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        let (updated, event) = update(&mut self.0.lock(), &context, &name, incoming, &paths)?;
        self.announce(client, context, name.clone(), event).await;
        Ok(Response::new(api::UpdateImageResponse { image: Some(message(&name, &updated)) }))
    }

    async fn delete(&self, request: Request<api::DeleteImageRequest>) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        let client = Caller::name(&request);
        let api::DeleteImageRequest { name, sync, target } = request.into_inner();
        let expected = target
            .filter(|_| self.0.options().version.honours_delete_target())
            .map(|target| target.digest)
            .filter(|digest| !digest.is_empty());
        let event = delete(&mut self.0.lock(), &context, &name, expected.as_deref())?;
        self.announce(client, context, name, event).await;
        if sync {
            self.0.finish(Point::BeforeCollect, gc::collect).await;
        }
        Ok(Response::new(()))
    }
}

impl ImagesService {
    /// Publishes the event of a change that has been made.
    async fn announce<T: Announced>(&self, client: String, context: Context, name: String, event: T) {
        let point = Point::BeforePublish { client, topic: T::TOPIC.to_owned(), name };
        self.0
            .finish(point, move |shared| announce(&mut shared.lock(), shared.now(), &context, &event))
            .await;
    }
}

/// An event of an image record.
pub(crate) trait Announced: Message + Name + 'static {
    /// Where it is published.
    const TOPIC: &'static str;
}

impl Announced for ImageCreate {
    const TOPIC: &'static str = "/images/create";
}

impl Announced for ImageUpdate {
    const TOPIC: &'static str = "/images/update";
}

impl Announced for ImageDelete {
    const TOPIC: &'static str = "/images/delete";
}

/// Publishes the event of a change that has been made.
pub(crate) fn announce<T: Announced>(state: &mut State, now: SystemTime, context: &Context, event: &T) {
    publish(state, now, &context.namespace, T::TOPIC, event);
}

/// Stores a new record. The event is to be announced, as containerd does after its transaction.
pub(crate) fn create(
    state: &mut State,
    context: &Context,
    name: &str,
    record: ImageRecord,
) -> Result<ImageCreate, Status> {
    validate(&record)?;
    let namespace = state.namespace_mut(context);
    check_lease(namespace, context, &record)?;
    if namespace.images.contains_key(name) {
        return Err(failure::already_exists(format!("image \"{name}\"")));
    }
    lease(namespace, context, name, &record)?;
    let event = ImageCreate { name: name.to_owned(), labels: labels::message(&record.labels) };
    insert(namespace, name, record);
    Ok(event)
}

/// Replaces a record, or the parts of it that `paths` name. The event is to be announced.
pub(crate) fn update(
    state: &mut State,
    context: &Context,
    name: &str,
    incoming: ImageRecord,
    paths: &[String],
) -> Result<(ImageRecord, ImageUpdate), Status> {
    let namespace = state.namespace_mut(context);
    let current = namespace.images.get(name).ok_or_else(|| missing(name))?;
    let mut updated = current.clone();
    if paths.is_empty() {
        updated = ImageRecord { created_at: current.created_at, ..incoming.clone() };
    }
    for path in paths {
        apply_path(name, path, &mut updated, &incoming)?;
    }
    updated.updated_at = incoming.updated_at;
    validate(&updated)?;
    check_lease(namespace, context, &updated)?;
    lease(namespace, context, name, &updated)?;
    insert(namespace, name, updated.clone());
    let event = ImageUpdate { name: name.to_owned(), labels: labels::message(&updated.labels) };
    Ok((updated, event))
}

fn insert(namespace: &mut Namespace, name: &str, record: ImageRecord) {
    namespace.images_ever.insert((name.to_owned(), record.target.digest.clone()));
    namespace.images.insert(name.to_owned(), record);
}

/// Removes a record, if `expected` is its target's digest or nothing is expected. The event is to be announced.
pub(crate) fn delete(
    state: &mut State,
    context: &Context,
    name: &str,
    expected: Option<&str>,
) -> Result<ImageDelete, Status> {
    let namespace = state.namespaces.get_mut(&context.namespace).ok_or_else(|| missing(name))?;
    let current = namespace.images.get(name).ok_or_else(|| missing(name))?;
    if let Some(expected) = expected.filter(|&expected| expected != current.target.digest) {
        return Err(failure::not_found(format!(
            "image \"{name}\" has target {}, not {expected}",
            current.target.digest
        )));
    }
    namespace.images.remove(name);
    if let Some(lease) = context.lease.as_ref().and_then(|id| namespace.leases.get_mut(id)) {
        lease.images.remove(name);
    }
    state.mutations += 1;
    state.deletions += 1;
    Ok(ImageDelete { name: name.to_owned() })
}

fn apply_path(
    name: &str,
    path: &str,
    updated: &mut ImageRecord,
    incoming: &ImageRecord,
) -> Result<(), Status> {
    if labels::update(path, &mut updated.labels, &incoming.labels) {
        return Ok(());
    }
    let (current, new) = (&mut updated.target, &incoming.target);
    match path {
        "target" => current.clone_from(new),
        "annotations" => current.annotations.clone_from(&new.annotations),
        path if path.starts_with("annotations.") => {
            let key = path.trim_start_matches("annotations.");
            match new.annotations.get(key) {
                Some(value) => current.annotations.insert(key.to_owned(), value.clone()),
                None => current.annotations.remove(key),
            };
        }
        _ => {
            let what = format!("cannot update \"{path}\" field on image \"{name}\"");
            return Err(failure::invalid_argument(what));
        }
    }
    Ok(())
}

fn validate(record: &ImageRecord) -> Result<(), Status> {
    labels::validate(&record.labels)?;
    let target = &record.target;
    if !digest::is_valid(&target.digest) {
        return Err(failure::invalid_argument(format!("target.Digest \"{}\" invalid", target.digest)));
    }
    if target.size <= 0 {
        return Err(failure::invalid_argument("target.Size must be greater than zero"));
    }
    if target.media_type.is_empty() {
        return Err(failure::invalid_argument("target.MediaType must be set"));
    }
    Ok(())
}

/// Only a record that may expire is leased, so only then does a missing lease matter.
fn check_lease(namespace: &Namespace, context: &Context, record: &ImageRecord) -> Result<(), Status> {
    if record.labels.contains_key(EXPIRE_LABEL) { namespace.check_lease(context) } else { Ok(()) }
}

fn lease(
    namespace: &mut Namespace,
    context: &Context,
    name: &str,
    record: &ImageRecord,
) -> Result<(), Status> {
    if !record.labels.contains_key(EXPIRE_LABEL) {
        return Ok(());
    }
    if let Some(lease) = namespace.lease_mut(context)? {
        lease.images.insert(name.to_owned());
    }
    Ok(())
}

fn field(name: &str, record: &ImageRecord, path: &[&str]) -> Option<String> {
    match path {
        ["name"] => Some(name.to_owned()),
        ["target", "digest"] => Some(record.target.digest.clone()),
        ["target", "mediatype"] => Some(record.target.media_type.clone()),
        ["labels", rest @ ..] => label(&record.labels, rest),
        ["annotations", rest @ ..] => label(&record.target.annotations, rest),
        _ => None,
    }
}

fn record(image: api::Image, created_at: SystemTime, updated_at: SystemTime) -> (String, ImageRecord) {
    let target = image.target.unwrap_or_default();
    let target = Target {
        media_type: target.media_type,
        digest: target.digest,
        size: target.size,
        annotations: target.annotations.into_iter().collect::<Labels>(),
    };
    (image.name, ImageRecord { labels: labels::stored(image.labels), target, created_at, updated_at })
}

fn message(name: &str, record: &ImageRecord) -> api::Image {
    api::Image {
        name: name.to_owned(),
        labels: labels::message(&record.labels),
        target: Some(Descriptor {
            media_type: record.target.media_type.clone(),
            digest: record.target.digest.clone(),
            size: record.target.size,
            annotations: labels::message(&record.target.annotations),
        }),
        created_at: Some(Timestamp::from(record.created_at)),
        updated_at: Some(Timestamp::from(record.updated_at)),
    }
}

fn created_at(epoch: Option<Timestamp>, now: SystemTime) -> SystemTime {
    epoch.and_then(|epoch| SystemTime::try_from(epoch).ok()).unwrap_or(now)
}

fn missing(name: &str) -> Status {
    failure::not_found(format!("image \"{name}\""))
}

fn name_required() -> Status {
    Status::invalid_argument("Image.Name required")
}
