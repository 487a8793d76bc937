//! The content store: blobs, their labels, and the ingests that become blobs.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use containerd_client::services::v1 as pb;
use containerd_client::services::v1::content_client::ContentClient;
use oci::Descriptor;
use prost_types::FieldMask;
use refparse::Digest;

use crate::client::{MESSAGE_BYTES_MAX, Service, within};
use crate::ingest::{Ingest, IngestStart};
use crate::{CallError, Client, Deadlines, ErrorKind};

/// Longest wait for the next message of a stream of the content store.
const STREAM_STALL_MAX: Duration = Duration::from_secs(60);

/// Smallest blob that is written over the connection for many bytes. A smaller one would wait there longer than others wait
/// for it here.
const BULK_BYTES_MIN: u64 = 2 << 20;

/// A committed blob.
#[derive(Clone, Debug)]
pub struct ContentInfo {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Labels in key order.
    pub labels: BTreeMap<String, String>,
}

/// An unfinished write.
#[derive(Clone, Debug)]
pub struct IngestStatus {
    /// The ingest's name.
    pub ingest_ref: String,
    /// Bytes written so far.
    pub offset: u64,
}

/// The content store.
#[derive(Clone, Debug)]
pub struct Content {
    grpc: ContentClient<Service>,
    /// For the bytes of blobs of at least [`BULK_BYTES_MIN`], and of those that are read as streams.
    bulk: ContentClient<Service>,
    deadlines: Deadlines,
}

impl Content {
    pub(crate) fn new(client: &Client) -> Content {
        let over = |service| {
            ContentClient::new(service)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        };
        let (grpc, bulk) = (over(client.service()), over(client.bulk_service()));
        Content { grpc, bulk, deadlines: client.deadlines() }
    }

    /// Size and labels of a blob.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn info(&self, digest: &Digest) -> Result<ContentInfo, CallError> {
        const OPERATION: &str = "stat content";
        let request = pb::InfoRequest { digest: digest.to_string() };
        let mut grpc = self.grpc.clone();
        let call = grpc.info(request);
        let answer = within(self.deadlines.metadata, OPERATION, digest.as_str(), call).await?;
        let info = answer.info.ok_or_else(|| {
            CallError::local(OPERATION, digest.as_str(), ErrorKind::Other, "the answer has no info")
        })?;
        content_info(OPERATION, info)
    }

    /// Every blob, in the order of digests.
    ///
    /// # Errors
    /// The call's own, and [`ErrorKind::Deadline`] where the stream stalls.
    pub async fn list(&self) -> Result<Vec<ContentInfo>, CallError> {
        self.filtered(Vec::new()).await
    }

    /// The blobs whose label `key` is `digest`, in the order of their own digests.
    ///
    /// # Errors
    /// As [`Content::list`].
    pub async fn labelled(&self, key: &str, digest: &Digest) -> Result<Vec<ContentInfo>, CallError> {
        self.filtered(vec![format!("labels.\"{key}\"==\"{digest}\"")]).await
    }

    async fn filtered(&self, filters: Vec<String>) -> Result<Vec<ContentInfo>, CallError> {
        const OPERATION: &str = "list content";
        let mut grpc = self.grpc.clone();
        let call = grpc.list(pb::ListContentRequest { filters });
        let mut stream = within(self.deadlines.metadata, OPERATION, "", call).await?;
        let mut found = Vec::new();
        while let Some(message) = next(OPERATION, "", &mut stream).await? {
            for info in message.info {
                found.push(content_info(OPERATION, info)?);
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// The bytes of a document of at most `size_max` bytes. Not verified: containerd verified them at commit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none; [`ErrorKind::Mismatch`] where it is longer.
    pub async fn read(&self, digest: &Digest, size_max: u64) -> Result<Bytes, CallError> {
        const OPERATION: &str = "read content";
        let subject = digest.as_str();
        let request = pb::ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 };
        let mut grpc = self.grpc.clone();
        let call = grpc.read(request);
        let mut stream = within(self.deadlines.metadata, OPERATION, subject, call).await?;
        let mut bytes = BytesMut::new();
        while let Some(message) = next(OPERATION, subject, &mut stream).await? {
            bytes.extend_from_slice(&message.data);
            if bytes.len() as u64 > size_max {
                let message = format!("longer than the {size_max} bytes that such a document may have");
                return Err(CallError::local(OPERATION, subject, ErrorKind::Mismatch, message));
            }
        }
        Ok(bytes.freeze())
    }

    /// A blob from its first byte, piece by piece, of any size. Not verified: containerd verified it at commit.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn stream(&self, digest: &Digest) -> Result<ContentStream, CallError> {
        let request = pb::ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 };
        let mut grpc = self.bulk.clone();
        let call = grpc.read(request);
        let messages = within(self.deadlines.metadata, STREAM_OPERATION, digest.as_str(), call).await?;
        Ok(ContentStream { digest: digest.clone(), messages })
    }

    /// Sets the given labels of a blob; others stay.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such blob.
    pub async fn set_labels(
        &self,
        digest: &Digest,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        if labels.is_empty() {
            return Ok(());
        }
        let info = pb::Info {
            digest: digest.to_string(),
            labels: labels.clone().into_iter().collect(),
            ..pb::Info::default()
        };
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = pb::UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        let mut grpc = self.grpc.clone();
        let call = grpc.update(request);
        within(self.deadlines.metadata, "label content", digest.as_str(), call).await.map(drop)
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn delete(&self, digest: &Digest) -> Result<(), CallError> {
        let mut grpc = self.grpc.clone();
        let call = grpc.delete(pb::DeleteContentRequest { digest: digest.to_string() });
        within(self.deadlines.metadata, "delete content", digest.as_str(), call).await.map(drop)
    }

    /// Begins to write the blob that `descriptor` describes, or finds it there (then it is under the client's lease).
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] while another writer holds `ingest_ref`.
    ///
    /// # Cancel safety
    /// Dropping the future or the [`crate::Ingest`] leaves the bytes so far under `ingest_ref`, held by the lease.
    pub async fn ingest(&self, ingest_ref: &str, descriptor: &Descriptor) -> Result<IngestStart, CallError> {
        self.start(ingest_ref, descriptor.digest.as_str(), descriptor.size).await
    }

    /// Begins to write a blob of `size` bytes whose digest is known when all of them are: see [`crate::Ingest::commit_as`].
    ///
    /// # Errors
    /// As [`Content::ingest`].
    ///
    /// # Cancel safety
    /// As [`Content::ingest`].
    pub async fn ingest_unnamed(&self, ingest_ref: &str, size: u64) -> Result<Ingest, CallError> {
        match self.start(ingest_ref, "", size).await? {
            IngestStart::Open(ingest) => Ok(*ingest),
            IngestStart::Exists => {
                let message = "containerd has a blob without a digest";
                Err(CallError::local("ingest content", ingest_ref, ErrorKind::Other, message))
            }
        }
    }

    async fn start(&self, ingest_ref: &str, expected: &str, size: u64) -> Result<IngestStart, CallError> {
        let grpc = if size < BULK_BYTES_MIN { &self.grpc } else { &self.bulk };
        crate::ingest::start(grpc.clone(), self.deadlines.metadata, ingest_ref, expected, size).await
    }

    /// Every unfinished write, in the order of names.
    ///
    /// # Errors
    /// The call's own.
    pub async fn ingests(&self) -> Result<Vec<IngestStatus>, CallError> {
        let mut grpc = self.grpc.clone();
        let call = grpc.list_statuses(pb::ListStatusesRequest { filters: Vec::new() });
        let answer = within(self.deadlines.metadata, "list ingests", "", call).await?;
        let mut found: Vec<IngestStatus> = answer
            .statuses
            .into_iter()
            .map(|s| IngestStatus { ingest_ref: s.r#ref, offset: u64::try_from(s.offset).unwrap_or(0) })
            .collect();
        found.sort_by(|a, b| a.ingest_ref.cmp(&b.ingest_ref));
        Ok(found)
    }

    /// Drops an unfinished write.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn abort(&self, ingest_ref: &str) -> Result<(), CallError> {
        let mut grpc = self.grpc.clone();
        let call = grpc.abort(pb::AbortRequest { r#ref: ingest_ref.to_owned() });
        within(self.deadlines.metadata, "abort ingest", ingest_ref, call).await.map(drop)
    }
}

const STREAM_OPERATION: &str = "read content";

/// The bytes of a blob in the content store.
#[derive(Debug)]
pub struct ContentStream {
    digest: Digest,
    messages: tonic::Streaming<pb::ReadContentResponse>,
}

impl ContentStream {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The call's own, and [`ErrorKind::Deadline`] where the stream stalls.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        let message = next(STREAM_OPERATION, self.digest.as_str(), &mut self.messages).await?;
        Ok(message.map(|message| message.data.into()))
    }
}

/// The next message of a stream, or an error where none comes in time.
pub(crate) async fn next<T>(
    operation: &'static str,
    subject: &str,
    stream: &mut tonic::Streaming<T>,
) -> Result<Option<T>, CallError> {
    match tokio::time::timeout(STREAM_STALL_MAX, stream.message()).await {
        Ok(message) => message.map_err(|status| CallError::from_status(operation, subject, &status)),
        Err(_) => Err(CallError::deadline(operation, subject, STREAM_STALL_MAX)),
    }
}

fn content_info(operation: &'static str, info: pb::Info) -> Result<ContentInfo, CallError> {
    let malformed = |what: String| CallError::local(operation, &info.digest, ErrorKind::Other, what);
    let digest = Digest::parse(&info.digest).map_err(|e| malformed(format!("the answer's digest: {e}")))?;
    let size = u64::try_from(info.size).map_err(|_| malformed(format!("negative size {}", info.size)))?;
    Ok(ContentInfo { digest, size, labels: info.labels.into_iter().collect() })
}
