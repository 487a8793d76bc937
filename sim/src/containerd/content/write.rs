//! The write stream: one ingest, held by one writer at a time.
//!
//! Owns the lock on the ingest for as long as the stream lives: dropping it, by the end of the call or by a
//! client that went away, releases the lock and keeps the bytes. Response headers leave with the first response
//! only, as grpc-go sends them, so a client that waits for headers before its first message waits for ever here
//! too.

use containerd_client::events::ContentCreate;
use containerd_client::services::v1 as api;
use containerd_client::services::v1::WriteAction;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost_types::Timestamp;
use std::collections::btree_map::Entry;
use std::io;
use std::time::{Duration, SystemTime};
use tonic::metadata::MetadataMap;
use tonic::{Response, Status, Streaming};

use super::ingest_bytes::IngestBytes;
use super::length;
use crate::containerd::caller::Caller;
use crate::containerd::context::Context;
use crate::containerd::events::publish;
use crate::containerd::failure;
use crate::containerd::labels::{self, Labels};
use crate::containerd::options::Options;
use crate::containerd::point::Point;
use crate::containerd::shared::Shared;
use crate::containerd::state::{ContentRecord, IngestData, IngestRecord, State};
use crate::digest::Hasher;

/// How long an ingest outside any lease is kept.
const UNLEASED_INGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

type Responses = BoxStream<'static, Result<api::WriteContentResponse, Status>>;

pub(super) async fn serve(
    shared: Shared,
    headers: MetadataMap,
    caller: Option<Caller>,
    mut requests: Streaming<api::WriteContentRequest>,
) -> Result<Response<Responses>, Status> {
    let Some(first) = requests.message().await? else {
        return Err(Status::unknown("EOF"));
    };
    if first.r#ref.is_empty() {
        return Err(Status::invalid_argument("first message must have a reference"));
    }
    let context = Context::read(&headers)?;
    let mut writer = Writer::open(shared, context, caller, &first)?;
    let response = writer.step(first).await?;
    Ok(Response::new(responses(writer, requests, response).boxed()))
}

/// The first response, then one per request, then the last one again: the server repeats it when it returns.
fn responses(
    writer: Writer,
    requests: Streaming<api::WriteContentRequest>,
    first: api::WriteContentResponse,
) -> impl futures::Stream<Item = Result<api::WriteContentResponse, Status>> {
    let last = first.clone();
    let rest = stream::unfold(Some((writer, requests, last)), |state| async {
        let (mut writer, mut requests, last) = state?;
        if writer.committed {
            return Some((Ok(last), None));
        }
        match requests.message().await {
            Ok(Some(request)) => match writer.message(request).await {
                Ok(response) => Some((Ok(response.clone()), Some((writer, requests, response)))),
                Err(status) => Some((Err(status), None)),
            },
            Ok(None) => Some((Ok(last), None)),
            Err(status) => Some((Err(status), None)),
        }
    });
    stream::iter([Ok(first)]).chain(rest)
}

/// Where the bytes of a writer are.
enum Backing {
    /// In an ingest of this name. The hash has seen all up to the offset; what another process writes into the file is not
    /// known to this writer.
    Ingest { key: String, offset: i64, hasher: Box<Hasher> },
    /// In a blob of another namespace that is taken over as it is.
    Shared { digest: String, size: i64 },
}

struct Writer {
    shared: Shared,
    context: Context,
    caller: Option<Caller>,
    reference: String,
    key: String,
    backing: Backing,
    opened_at: SystemTime,
    total: i64,
    expected: String,
    committed: bool,
    locked: bool,
}

impl Writer {
    /// Begins or resumes the ingest that `first` names.
    ///
    /// # Errors
    /// Already exists when the expected blob does, which is then held by the caller's lease; unavailable while
    /// another writer has the ingest open; not found when the caller's lease is gone.
    fn open(
        shared: Shared,
        context: Context,
        caller: Option<Caller>,
        first: &api::WriteContentRequest,
    ) -> Result<Writer, Status> {
        let now = shared.now();
        let expected = first.expected.clone();
        let reference = first.r#ref.clone();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let sequence = state.next_sequence();

        let namespace = state.namespace_mut(&context);
        namespace.check_lease(&context)?;
        if !expected.is_empty() && namespace.content.contains_key(&expected) {
            if let Some(lease) = namespace.lease_mut(&context)? {
                lease.content.insert(expected.clone());
            }
            return Err(failure::already_exists(format!("content {expected}")));
        }
        let key = namespace.ingests.get(&reference).map_or_else(
            || format!("{}/{sequence}/{reference}", context.namespace),
            |record| record.backend_key.clone(),
        );
        let shared_size = state
            .blobs
            .get(&expected)
            .map(|blob| length(blob))
            .filter(|&size| first.total == 0 || first.total == size);
        if shared_size.is_none() && state.locks.contains(&key) {
            return Err(failure::unavailable(format!("ref {key} locked")));
        }

        let namespace = state.namespaces.entry(context.namespace.clone()).or_default();
        let leased =
            namespace.lease_mut(&context)?.map(|lease| lease.ingests.insert(reference.clone())).is_some();
        let record = namespace.ingests.entry(reference.clone()).or_insert_with(|| IngestRecord {
            backend_key: key.clone(),
            shared_digest: None,
            expires_at: None,
        });
        if !leased {
            record.expires_at = Some(now + UNLEASED_INGEST_TTL);
        }
        let mut total = first.total;
        let (backing, locked) = match shared_size {
            Some(size) => {
                record.shared_digest = Some(expected.clone());
                (Backing::Shared { digest: expected.clone(), size }, false)
            }
            None => {
                let data = resume(state, shared.options(), &key, first.total, now)?;
                let bytes = data.bytes.read().map_err(unusable)?;
                let mut hasher = Box::new(Hasher::for_digest(&expected));
                hasher.update(&bytes);
                total = first.total;
                state.locks.insert(key.clone());
                (Backing::Ingest { key: key.clone(), offset: length(&bytes), hasher }, true)
            }
        };
        drop(guard);
        Ok(Writer {
            shared,
            context,
            caller,
            reference,
            key,
            backing,
            opened_at: now,
            total,
            expected,
            committed: false,
            locked,
        })
    }

    /// Handles a message behind the first, which the call itself brought.
    async fn message(
        &mut self,
        request: api::WriteContentRequest,
    ) -> Result<api::WriteContentResponse, Status> {
        let (offset, ..) = self.status()?;
        let (client, reference) = (self.client(), self.reference.clone());
        self.shared.pause(Point::BeforeWrite { client, reference, offset }).await;
        let Some(caller) = self.caller.clone() else { return self.step(request).await };
        let aftermath = caller.before("Write/message", &self.reference).await?;
        let response = self.step(request).await?;
        caller.after(aftermath).await?;
        Ok(response)
    }

    fn client(&self) -> String {
        self.caller.as_ref().map(|caller| caller.client.clone()).unwrap_or_default()
    }

    /// Handles one message.
    async fn step(&mut self, request: api::WriteContentRequest) -> Result<api::WriteContentResponse, Status> {
        let action = WriteAction::try_from(request.action)
            .map_err(|_| Status::invalid_argument(format!("unknown write action {}", request.action)))?;
        let (offset, started_at, updated_at) = self.status()?;
        let mut response = api::WriteContentResponse { action: request.action, offset, ..Default::default() };
        if !request.expected.is_empty() {
            self.expected.clone_from(&request.expected);
            let mut state = self.shared.lock();
            if state.blob_exists(&self.context.namespace, &request.expected) {
                // The ingest is of no use any more; that it may be gone already is not the caller's concern.
                let _gone = abort(&mut state, &self.context, &self.reference);
                return Err(Status::already_exists(format!(
                    "blob with expected digest {} exists",
                    request.expected
                )));
            }
        }
        if request.total > 0 {
            self.total = request.total;
        }
        if action == WriteAction::Stat {
            response.digest = self.digest();
            response.started_at = Some(Timestamp::from(started_at));
            response.updated_at = Some(Timestamp::from(updated_at));
            response.total = self.total;
            return Ok(response);
        }
        if request.offset > 0 && request.offset != offset {
            return Err(Status::out_of_range(format!(
                "write @{} must occur at current offset {offset}",
                request.offset
            )));
        }
        if request.offset == 0 && offset > 0 {
            self.truncate()?;
            response.offset = 0;
        }
        if !request.data.is_empty() {
            self.append(&request.data)?;
            response.offset += length(&request.data);
        }
        if action == WriteAction::Commit {
            self.publish(labels::stored(request.labels)).await?;
        }
        response.digest = self.digest();
        Ok(response)
    }

    /// Commits when it is the commit's turn.
    async fn publish(&mut self, labels: Labels) -> Result<(), Status> {
        let (client, reference) = (self.client(), self.reference.clone());
        self.shared.pause(Point::BeforeCommit { client, reference }).await;
        let Some(caller) = self.caller.clone() else { return self.commit(labels) };
        let aftermath = caller.before("Write/commit", &self.reference).await?;
        self.commit(labels)?;
        caller.after(aftermath).await
    }

    fn status(&self) -> Result<(i64, SystemTime, SystemTime), Status> {
        match &self.backing {
            Backing::Shared { size, .. } => Ok((*size, self.opened_at, self.opened_at)),
            Backing::Ingest { key, offset, .. } => {
                let state = self.shared.lock();
                let data = state.ingests.get(key).ok_or_else(|| gone(key))?;
                Ok((*offset, data.started_at, data.updated_at))
            }
        }
    }

    fn digest(&self) -> String {
        match &self.backing {
            Backing::Shared { digest, .. } => digest.clone(),
            Backing::Ingest { hasher, .. } => hasher.digest(),
        }
    }

    /// Replaces a taken-over blob by an ingest of its own, with the first `size` bytes of it.
    fn unshare(&mut self, keep: bool) -> Result<(), Status> {
        let Backing::Shared { digest, .. } = &self.backing else { return Ok(()) };
        let now = self.shared.now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if state.locks.contains(&self.key) {
            return Err(failure::unavailable(format!("ref {} locked", self.key)));
        }
        let bytes =
            if keep { state.blobs.get(digest).cloned().unwrap_or_default() } else { Default::default() };
        let total = length(&bytes);
        let data = resume(state, self.shared.options(), &self.key, total, now)?;
        data.bytes.clear().map_err(unusable)?;
        data.bytes.write(&bytes, 0).map_err(unusable)?;
        state.locks.insert(self.key.clone());
        drop(guard);
        let mut hasher = Box::new(Hasher::for_digest(&self.expected));
        hasher.update(&bytes);
        self.locked = true;
        self.backing = Backing::Ingest { key: self.key.clone(), offset: total, hasher };
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), Status> {
        self.unshare(false)?;
        if let Backing::Ingest { key, offset, hasher } = &mut self.backing {
            **hasher = Hasher::for_digest(&self.expected);
            *offset = 0;
            let mut state = self.shared.lock();
            state.ingests.get_mut(key).ok_or_else(|| gone(key))?.bytes.clear().map_err(unusable)?;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Status> {
        self.unshare(true)?;
        if let Backing::Ingest { key, offset, hasher } = &mut self.backing {
            hasher.update(bytes);
            let now = self.shared.now();
            let mut state = self.shared.lock();
            let data = state.ingests.get_mut(key).ok_or_else(|| gone(key))?;
            data.bytes.write(bytes, *offset).map_err(unusable)?;
            *offset += length(bytes);
            data.updated_at = now;
        }
        Ok(())
    }

    /// Turns the ingest into a blob.
    ///
    /// # Errors
    /// Failed precondition when size or digest differ from what was declared: the writer is then closed, the
    /// ingest and its bytes stay. Already exists when the namespace got the blob meanwhile: the ingest is gone
    /// and the blob held by the caller's lease.
    fn commit(&mut self, labels: Labels) -> Result<(), Status> {
        labels::validate(&labels)?;
        let now = self.shared.now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let namespace = state.namespaces.entry(self.context.namespace.clone()).or_default();
        namespace.check_lease(&self.context)?;

        let (digest, size, fresh) = match &mut self.backing {
            Backing::Shared { digest, size } => {
                self.committed = true;
                (digest.clone(), *size, None)
            }
            Backing::Ingest { key, hasher, .. } => {
                let data = state.ingests.get(key).ok_or_else(|| gone(key))?;
                let size = data.bytes.length().map_err(unusable)?;
                self.locked = false;
                state.locks.remove(key);
                let algorithm = |digest: &str| digest.split_once(':').map(|(name, _)| name.to_owned());
                if !self.expected.is_empty() && algorithm(&self.expected) != algorithm(&hasher.digest()) {
                    **hasher = Hasher::for_digest(&self.expected);
                    hasher.update(&data.bytes.read().map_err(unusable)?);
                }
                (hasher.digest(), size, Some(key.clone()))
            }
        };
        if self.total != 0 && self.total != size {
            return Err(failure::failed_precondition(format!(
                "\"{}\" failed size validation: {size} != {}",
                self.reference, self.total
            )));
        }
        if !self.expected.is_empty() && self.expected != digest {
            return Err(failure::failed_precondition(format!(
                "unexpected commit digest {digest}, expected {}",
                self.expected
            )));
        }
        if let Some(key) = fresh
            && let Some(data) = state.ingests.remove(&key)
        {
            let bytes = data.bytes.read().map_err(unusable)?;
            state.blobs.entry(digest.clone()).or_insert(bytes);
        }
        self.committed = true;

        let version = self.shared.options().version;
        let namespace = state.namespace_mut(&self.context);
        namespace.ingests.remove(&self.reference);
        if let Some(lease) = namespace.lease_mut(&self.context)? {
            lease.ingests.remove(&self.reference);
            lease.content.insert(digest.clone());
        }
        if namespace.content.contains_key(&digest) {
            return Err(failure::already_exists(format!("content {digest}")));
        }
        let record = ContentRecord { size, labels, created_at: now, updated_at: now };
        namespace.content.insert(digest.clone(), record);
        if version.announces_content_create() {
            let event = ContentCreate { digest, size };
            publish(state, now, &self.context.namespace, "/content/create", &event);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.locked {
            self.shared.lock().locks.remove(&self.key);
        }
    }
}

/// Finds the bytes of an ingest. As in containerd, one whose declared total differs is begun anew.
fn resume<'a>(
    state: &'a mut State,
    options: &Options,
    key: &str,
    total: i64,
    now: SystemTime,
) -> Result<&'a mut IngestData, Status> {
    let data = match state.ingests.entry(key.to_owned()) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let bytes = IngestBytes::new(options, key).map_err(unusable)?;
            entry.insert(IngestData { bytes, total, started_at: now, updated_at: now })
        }
    };
    if total > 0 && data.total > 0 && data.total != total {
        // containerd logs the mismatch, writes the ingest's metadata anew and goes on from offset 0.
        data.bytes.clear().map_err(unusable)?;
        (data.total, data.started_at, data.updated_at) = (total, now, now);
    }
    Ok(data)
}

/// Forgets an ingest and its bytes.
pub(super) fn abort(state: &mut State, context: &Context, reference: &str) -> Result<(), Status> {
    let namespace = state.namespace_mut(context);
    let record = namespace
        .ingests
        .remove(reference)
        .ok_or_else(|| failure::not_found(format!("reference {reference}")))?;
    if let Some(lease) = context.lease.as_ref().and_then(|id| namespace.leases.get_mut(id)) {
        lease.ingests.remove(reference);
    }
    if record.shared_digest.is_none() {
        state.ingests.remove(&record.backend_key);
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unusable(error: io::Error) -> Status {
    Status::unknown(format!("the file of an ingest: {error}"))
}

fn gone(key: &str) -> Status {
    failure::not_found(format!("ingest {key}"))
}
