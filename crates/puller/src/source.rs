//! Where the bytes of a layer come from.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use containerd::{Client, ContentStream, Ingest, open_ingest};
use oci::Descriptor;
use registry::{Blob, Session};

use crate::PullError;
use crate::fetch::LAYER;

/// Bytes that are read at a time of what an interrupted pull left.
const PIECE_BYTES: u64 = 256 << 10;

pub(crate) enum Source<'a> {
    Registry(Box<Blob>),
    Content(Box<ContentStream>),
    Resumed(Resumed<'a>),
    /// What the document that names the blob has of it: all.
    Held(Option<Bytes>),
}

/// Some bytes of a layer.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// Whether the ingest has them already.
    pub(crate) is_ingested: bool,
}

impl Chunk {
    fn new(bytes: Bytes) -> Chunk {
        Chunk { bytes, is_ingested: false }
    }
}

/// What an interrupted pull left, then the rest from the registry.
pub(crate) struct Resumed<'a> {
    session: &'a Session,
    descriptor: &'a Descriptor,
    file: Arc<File>,
    /// Bytes of the file that are not the layer's, before it.
    head: u64,
    found: u64,
    read: u64,
    /// Asked for when its turn comes: a server does not wait while a big layer is unpacked up to here.
    rest: Option<Box<Blob>>,
}

impl<'a> Source<'a> {
    /// The registry, behind the bytes that an interrupted pull left in `ingest`, where they can be read: then they are kept
    /// there.
    pub(crate) async fn registry(
        client: &Client,
        session: &'a Session,
        descriptor: &'a Descriptor,
        ingest: Option<&mut Ingest>,
    ) -> Result<Source<'a>, PullError> {
        match ingest {
            Some(ingest) => Source::behind(0, client, session, descriptor, ingest).await,
            None => Ok(Source::Registry(blob(session, descriptor, 0).await?)),
        }
    }

    /// As [`Source::registry`], of a layer before which `ingest` has `head` bytes of its own. Where nothing is kept there,
    /// these are still to be written.
    pub(crate) async fn behind(
        head: u64,
        client: &Client,
        session: &'a Session,
        descriptor: &'a Descriptor,
        ingest: &mut Ingest,
    ) -> Result<Source<'a>, PullError> {
        let found = ingest.found().saturating_sub(head);
        let Some(file) = left(found, client, descriptor, ingest).await else {
            return Ok(Source::Registry(blob(session, descriptor, 0).await?));
        };
        tracing::info!(layer = %descriptor.digest, found, size = descriptor.size, "an interrupted layer is resumed");
        ingest.keep_found();
        let file = Arc::new(file);
        Ok(Source::Resumed(Resumed { session, descriptor, file, head, found, read: 0, rest: None }))
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Chunk>, PullError> {
        let bytes = match self {
            Source::Registry(blob) => next(blob).await?,
            Source::Content(stream) => stream.chunk().await?,
            Source::Resumed(resumed) => return resumed.chunk().await,
            Source::Held(bytes) => bytes.take(),
        };
        Ok(bytes.map(Chunk::new))
    }
}

impl Resumed<'_> {
    async fn chunk(&mut self) -> Result<Option<Chunk>, PullError> {
        if self.read < self.found {
            let bytes = self.piece().await?;
            self.read += bytes.len() as u64;
            return Ok(Some(Chunk { bytes, is_ingested: true }));
        }
        if self.rest.is_none() {
            self.rest = Some(blob(self.session, self.descriptor, self.found).await?);
        }
        match &mut self.rest {
            Some(rest) => Ok(next(rest).await?.map(Chunk::new)),
            None => Ok(None),
        }
    }

    async fn piece(&self) -> Result<Bytes, PullError> {
        let (file, at) = (Arc::clone(&self.file), self.head.saturating_add(self.read));
        let length = (self.found - self.read).min(PIECE_BYTES);
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
        });
        let read = reading.await.map_err(|error| PullError::Ended(error.to_string()))?;
        read.map_err(|source| PullError::Ingest { digest: self.descriptor.digest.to_string(), source })
    }
}

async fn blob(session: &Session, descriptor: &Descriptor, from: u64) -> Result<Box<Blob>, PullError> {
    let blob = session.blob(descriptor, from).await;
    Ok(Box::new(blob.map_err(|source| PullError::Fetch { what: LAYER, source })?))
}

async fn next(blob: &mut Blob) -> Result<Option<Bytes>, PullError> {
    blob.chunk().await.map_err(|source| PullError::Fetch { what: LAYER, source })
}

/// The file with the `found` bytes of the layer that an interrupted pull left in `ingest`: containerd's API does not read
/// them, its directory may be this machine's. Whatever is wrong with them, the layer can be fetched from its first byte.
async fn left(found: u64, client: &Client, descriptor: &Descriptor, ingest: &Ingest) -> Option<File> {
    // Of a blob that another namespace has, containerd says that all is there.
    if found == 0 || found >= descriptor.size {
        return None;
    }
    let file = ingest_file(client, ingest).await?;
    match file.metadata() {
        Ok(metadata) if metadata.len() >= ingest.found() => Some(file),
        other => {
            tracing::debug!(layer = %descriptor.digest, found, ?other, "what is left of an interrupted layer cannot be read");
            None
        }
    }
}

/// The file that containerd writes `ingest` to, where its directory is this machine's.
pub(crate) async fn ingest_file(client: &Client, ingest: &Ingest) -> Option<File> {
    let root = client.introspection().content_root().await.ok().flatten()?;
    let (namespace, ingest_ref) = (client.namespace().to_owned(), ingest.ingest_ref().to_owned());
    let opening = tokio::task::spawn_blocking(move || open_ingest(&root, &namespace, &ingest_ref));
    match opening.await {
        Ok(Ok(file)) => file,
        other => {
            tracing::debug!(ingest = ingest.ingest_ref(), ?other, "the file of an ingest cannot be opened");
            None
        }
    }
}
