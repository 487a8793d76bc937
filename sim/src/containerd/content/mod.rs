//! The content service: blobs, and the writes that become blobs.
//!
//! This file answers the unary calls; [`read`] and [`write`] own the two streams. Semantics of
//! core/metadata/content.go and plugins/services/content/contentserver, v2.3.4.

mod ingest_bytes;
mod read;
mod write;

use containerd_client::events::ContentDelete;
use containerd_client::services::v1 as api;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost_types::Timestamp;
use tonic::{Request, Response, Status, Streaming};

use super::caller::Caller;
use super::context::Context;
use super::events::publish;
use super::failure;
use super::filter::{Filters, label};
use super::labels;
use super::shared::Shared;
use super::state::{ContentRecord, IngestData};
use crate::digest;
use crate::stub::content::content_server::Content;
pub(crate) use ingest_bytes::IngestBytes;

/// Infos in one message of a listing.
const LIST_BATCH: usize = 100;

#[derive(Clone, Debug)]
pub(crate) struct ContentService(pub(crate) Shared);

#[tonic::async_trait]
impl Content for ContentService {
    async fn info(&self, request: Request<api::InfoRequest>) -> Result<Response<api::InfoResponse>, Status> {
        let headers = request.metadata().clone();
        let digest = parse_digest(request.into_inner().digest)?;
        let context = Context::read(&headers)?;
        let state = self.0.lock();
        let record = state
            .namespace(&context)
            .and_then(|namespace| namespace.content.get(&digest))
            .ok_or_else(|| missing(&digest))?;
        Ok(Response::new(api::InfoResponse { info: Some(message(&digest, record)) }))
    }

    async fn update(
        &self,
        request: Request<api::UpdateRequest>,
    ) -> Result<Response<api::UpdateResponse>, Status> {
        let headers = request.metadata().clone();
        let api::UpdateRequest { info, update_mask } = request.into_inner();
        let api::Info { digest, labels, .. } = info.unwrap_or_default();
        let digest = parse_digest(digest)?;
        let context = Context::read(&headers)?;
        let incoming = labels::stored(labels);
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        let now = self.0.now();

        let mut state = self.0.lock();
        let current =
            state.namespace_mut(&context).content.get_mut(&digest).ok_or_else(|| missing(&digest))?;
        let mut updated = current.clone();
        if paths.is_empty() {
            updated.labels.clone_from(&incoming);
        }
        for path in &paths {
            if !labels::update(path, &mut updated.labels, &incoming) {
                return Err(failure::invalid_argument(format!(
                    "cannot update \"{path}\" field on content info \"{digest}\""
                )));
            }
        }
        labels::validate(&updated.labels)?;
        updated.updated_at = now;
        let info = message(&digest, &updated);
        *current = updated;
        Ok(Response::new(api::UpdateResponse { info: Some(info) }))
    }

    type ListStream = BoxStream<'static, Result<api::ListContentResponse, Status>>;

    async fn list(
        &self,
        request: Request<api::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let context = Context::read(request.metadata())?;
        let filters = Filters::parse(&request.into_inner().filters)?;
        let state = self.0.lock();
        let infos: Vec<_> = state
            .namespace(&context)
            .into_iter()
            .flat_map(|namespace| &namespace.content)
            .filter(|(digest, record)| {
                filters.matches(|path| match path {
                    ["digest"] => Some((*digest).clone()),
                    ["labels", rest @ ..] => label(&record.labels, rest),
                    _ => None,
                })
            })
            .map(|(digest, record)| message(digest, record))
            .collect();
        let batches: Vec<_> = infos
            .chunks(LIST_BATCH)
            .map(|batch| Ok(api::ListContentResponse { info: batch.to_vec() }))
            .collect();
        Ok(Response::new(stream::iter(batches).boxed()))
    }

    async fn delete(&self, request: Request<api::DeleteContentRequest>) -> Result<Response<()>, Status> {
        let headers = request.metadata().clone();
        let digest = parse_digest(request.into_inner().digest)?;
        let context = Context::read(&headers)?;
        let now = self.0.now();
        let mut state = self.0.lock();
        let namespace = state.namespace_mut(&context);
        namespace.content.remove(&digest).ok_or_else(|| missing(&digest))?;
        if let Some(lease) = context.lease.as_ref().and_then(|id| namespace.leases.get_mut(id)) {
            lease.content.remove(&digest);
        }
        state.deletions += 1;
        publish(&mut state, now, &context.namespace, "/content/delete", &ContentDelete { digest });
        Ok(Response::new(()))
    }

    type ReadStream = BoxStream<'static, Result<api::ReadContentResponse, Status>>;

    async fn read(
        &self,
        request: Request<api::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let headers = request.metadata().clone();
        let request = request.into_inner();
        let digest = parse_digest(request.digest)?;
        let context = Context::read(&headers)?;
        let blob = self.0.lock().blob(&context.namespace, &digest).ok_or_else(|| missing(&digest))?;
        read::stream(blob, request.offset, request.size).map(|stream| Response::new(stream.boxed()))
    }

    async fn status(
        &self,
        request: Request<api::StatusRequest>,
    ) -> Result<Response<api::StatusResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let reference = request.into_inner().r#ref;
        let state = self.0.lock();
        let status = state
            .namespace(&context)
            .and_then(|namespace| namespace.ingests.get(&reference))
            .and_then(|record| state.ingests.get(&record.backend_key))
            .map(|data| status(&reference, data))
            .ok_or_else(|| failure::not_found(format!("could not get status for ref \"{reference}\"")))?;
        Ok(Response::new(api::StatusResponse { status: Some(status) }))
    }

    async fn list_statuses(
        &self,
        request: Request<api::ListStatusesRequest>,
    ) -> Result<Response<api::ListStatusesResponse>, Status> {
        let context = Context::read(request.metadata())?;
        let filters = Filters::parse(&request.into_inner().filters)?;
        let state = self.0.lock();
        let statuses = state
            .namespace(&context)
            .into_iter()
            .flat_map(|namespace| &namespace.ingests)
            .filter(|(reference, _)| filters.matches(|path| (path == ["ref"]).then(|| (*reference).clone())))
            .filter_map(|(reference, record)| {
                Some(status(reference, state.ingests.get(&record.backend_key)?))
            })
            .collect();
        Ok(Response::new(api::ListStatusesResponse { statuses }))
    }

    type WriteStream = BoxStream<'static, Result<api::WriteContentResponse, Status>>;

    async fn write(
        &self,
        request: Request<Streaming<api::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let headers = request.metadata().clone();
        let caller = Caller::of(&request);
        write::serve(self.0.clone(), headers, caller, request.into_inner()).await
    }

    async fn abort(&self, request: Request<api::AbortRequest>) -> Result<Response<()>, Status> {
        let context = Context::read(request.metadata())?;
        write::abort(&mut self.0.lock(), &context, &request.into_inner().r#ref)?;
        Ok(Response::new(()))
    }
}

fn parse_digest(digest: String) -> Result<String, Status> {
    if digest::is_valid(&digest) {
        Ok(digest)
    } else {
        Err(Status::invalid_argument(format!("\"{digest}\" failed validation")))
    }
}

fn message(digest: &str, record: &ContentRecord) -> api::Info {
    api::Info {
        digest: digest.to_owned(),
        size: record.size,
        created_at: Some(Timestamp::from(record.created_at)),
        updated_at: Some(Timestamp::from(record.updated_at)),
        labels: labels::message(&record.labels),
    }
}

fn status(reference: &str, data: &IngestData) -> api::Status {
    api::Status {
        started_at: Some(Timestamp::from(data.started_at)),
        updated_at: Some(Timestamp::from(data.updated_at)),
        r#ref: reference.to_owned(),
        offset: data.bytes.length().unwrap_or(0),
        total: data.total,
        expected: String::new(),
    }
}

fn missing(digest: &str) -> Status {
    failure::not_found(format!("content digest {digest}"))
}

/// A length in memory as the wire's signed integer.
pub(crate) fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("memory holds fewer than 2^63 bytes")
}
