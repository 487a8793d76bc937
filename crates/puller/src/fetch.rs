//! One blob from the registry into the content store, verified as it streams.

use std::time::Duration;

use containerd::{CallError, Client, Content, ErrorKind, Ingest, IngestStart};
use layer::Verifier;
use oci::Descriptor;
use refparse::Digest;
use registry::Session;
use tokio::time::Instant;

use crate::PullError;
use crate::gc_labels::Labels;
use crate::source::{Chunk, Source};

/// How long another client of containerd may hold a blob's ingest without a new byte.
const FOREIGN_STALL_MAX: Duration = Duration::from_secs(300);
/// First and longest pause between two looks at it.
const FOREIGN_POLL_MIN: Duration = Duration::from_millis(20);
const FOREIGN_POLL_MAX: Duration = Duration::from_secs(1);

/// What a layer is called in errors and in the names of its writes.
pub(crate) const LAYER: &str = "layer";

/// The name under which a blob is written. containerd's own pull uses the same, so that the two wait for each other
/// instead of fetching a blob twice.
fn ingest_ref(what: &str, digest: &Digest) -> String {
    format!("{what}-{digest}")
}

/// Begins to write a blob; `None` where it is in the content store, and now under the lease. Waits while another
/// client writes it. Where somebody has written all of it and not made content of it, this does, with `labels`.
pub(crate) async fn open(
    client: &Client,
    what: &'static str,
    descriptor: &Descriptor,
    labels: &Labels,
) -> Result<Option<Ingest>, PullError> {
    let Some(mut ingest) = open_as_found(client, what, descriptor).await? else { return Ok(None) };
    if ingest.found() == 0 || ingest.found() != descriptor.size {
        return Ok(Some(ingest));
    }
    ingest.keep_found();
    match ingest.commit(labels).await {
        Ok(_) => Ok(None),
        // Those were other bytes.
        Err(error) if error.kind() == ErrorKind::Mismatch => {
            abort(&client.content(), &ingest_ref(what, &descriptor.digest)).await;
            open_as_found(client, what, descriptor).await
        }
        Err(error) => Err(error.into()),
    }
}

/// As [`open`], and makes content of nothing.
pub(crate) async fn open_as_found(
    client: &Client,
    what: &'static str,
    descriptor: &Descriptor,
) -> Result<Option<Ingest>, PullError> {
    let content = client.content();
    let ingest_ref = ingest_ref(what, &descriptor.digest);
    let start = || content.ingest(&ingest_ref, descriptor);
    match when_free(&content, &ingest_ref, &descriptor.digest, start).await? {
        IngestStart::Exists => Ok(None),
        IngestStart::Open(ingest) => Ok(Some(*ingest)),
    }
}

/// As [`open`], for a layer of `size` bytes that is made here and known as `id` until it has a digest.
pub(crate) async fn open_made(client: &Client, id: &Digest, size: u64) -> Result<Ingest, PullError> {
    let content = client.content();
    let ingest_ref = ingest_ref(LAYER, id);
    let start = || content.ingest_unnamed(&ingest_ref, size);
    when_free(&content, &ingest_ref, id, start).await
}

/// Tries `start` until no other client writes `ingest_ref`.
async fn when_free<T, F: Future<Output = Result<T, CallError>>>(
    content: &Content,
    ingest_ref: &str,
    digest: &Digest,
    start: impl Fn() -> F,
) -> Result<T, PullError> {
    let mut pause = FOREIGN_POLL_MIN;
    let mut progress = (0u64, Instant::now());
    loop {
        match start().await {
            Ok(started) => return Ok(started),
            Err(error) if error.kind() == ErrorKind::Locked => {}
            Err(error) => {
                // containerd hashes what is there before it answers. Where that takes it too long, it would again.
                if error.kind() == ErrorKind::Deadline {
                    abort(content, ingest_ref).await;
                }
                return Err(error.into());
            }
        }
        let offset = offset_of(content, ingest_ref).await?;
        if offset != progress.0 {
            progress = (offset, Instant::now());
        }
        let waited = progress.1.elapsed();
        if waited >= FOREIGN_STALL_MAX {
            return Err(PullError::IngestStalled { digest: digest.to_string(), waited });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(FOREIGN_POLL_MAX);
    }
}

async fn offset_of(content: &Content, ingest_ref: &str) -> Result<u64, PullError> {
    let ingests = content.ingests().await?;
    Ok(ingests.iter().find(|ingest| ingest.ingest_ref == ingest_ref).map_or(0, |ingest| ingest.offset))
}

/// Brings a layer into the content store, unless it is there: answers whether it did.
///
/// # Errors
/// [`PullError::Fetch`], [`PullError::Verify`]; [`PullError::Containerd`] where the store does not take it. The
/// unfinished ingest is dropped, unless the next pull can go on with it.
///
/// # Cancel safety
/// The unfinished ingest goes with the lease.
pub(crate) async fn layer(
    client: &Client,
    session: &Session,
    descriptor: &Descriptor,
    labels: &Labels,
) -> Result<bool, PullError> {
    let Some(ingest) = open(client, LAYER, descriptor, labels).await? else { return Ok(false) };
    let streamed = stream(client, session, descriptor, ingest, labels).await;
    if let Err(error) = &streamed {
        abort_unless_passing(client, &descriptor.digest, error).await;
    }
    streamed
}

/// Ends the unfinished write of a layer whose pull failed with `error`, unless the next pull can go on with it.
pub(crate) async fn abort_unless_passing(client: &Client, digest: &Digest, error: &PullError) {
    if !error.may_pass() {
        abort_layer(client, digest).await;
    }
}

/// Ends the unfinished write of a layer. The lease's deletion would too; this also unlocks it for a pull that waits.
pub(crate) async fn abort_layer(client: &Client, digest: &Digest) {
    abort(&client.content(), &ingest_ref(LAYER, digest)).await;
}

async fn abort(content: &Content, ingest_ref: &str) {
    if let Err(error) = content.abort(ingest_ref).await {
        tracing::debug!(%error, "ingest not aborted");
    }
}

async fn stream(
    client: &Client,
    session: &Session,
    descriptor: &Descriptor,
    mut ingest: Ingest,
    labels: &Labels,
) -> Result<bool, PullError> {
    let mut verifier = Verifier::new(descriptor.digest.clone(), descriptor.size);
    let mut source = Source::registry(client, session, descriptor, Some(&mut ingest)).await?;
    while let Some(Chunk { bytes, is_ingested }) = source.chunk().await? {
        verifier.update(&bytes).map_err(|source| PullError::Verify { what: LAYER, source })?;
        if !is_ingested {
            ingest.write(bytes).await?;
        }
    }
    verifier.finish().map_err(|source| PullError::Verify { what: LAYER, source })?;
    Ok(ingest.commit(labels).await?)
}

/// Writes a document that is in memory into the content store, or finds it there, and says whether it was found. Either
/// way it is under the lease; `labels` are set where it was written.
pub(crate) async fn document(
    client: &Client,
    what: &'static str,
    descriptor: &Descriptor,
    bytes: bytes::Bytes,
    labels: &Labels,
) -> Result<bool, PullError> {
    let Some(mut ingest) = open(client, what, descriptor, labels).await? else { return Ok(true) };
    ingest.write(bytes).await?;
    Ok(!ingest.commit(labels).await?)
}
