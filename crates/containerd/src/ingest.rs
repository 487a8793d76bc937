//! One write into the content store: as a stream of messages with their answers, or into the file that the stream locks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use containerd_client::services::v1 as pb;
use containerd_client::services::v1::content_client::ContentClient;
use futures::FutureExt as _;
use refparse::Digest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::client::{Service, within};
use crate::content::next;
use crate::file_write::FileWrite;
use crate::{CallError, ErrorKind};

/// Bytes gathered before they are sent as one message. Measured on 2026-11-24 with a 363 MB blob, CPU of containerd:
/// 1.9 to 3 s with 32 KiB messages, 0.8 to 1.2 s with 256 KiB to 1 MiB, no better with 4 MiB.
const MESSAGE_BYTES: usize = 512 << 10;

/// Messages that may be on their way unanswered: enough to keep containerd busy, few enough that its other calls find it
/// free (measured on 2026-11-27: a small pull beside six large layers takes 3.2 times its time alone with four, 2.4 with one).
const UNANSWERED_MAX: usize = 2;

/// What beginning to write a blob found.
#[derive(Debug)]
pub enum IngestStart {
    /// The blob is there already, and now under the client's lease.
    Exists,
    /// The blob is to be written, from its first byte.
    Open(Box<Ingest>),
}

/// An open write, locked in containerd until this is dropped.
#[derive(Debug)]
pub struct Ingest {
    ingest_ref: String,
    total: i64,
    expected: String,
    requests: mpsc::Sender<pb::WriteContentRequest>,
    answers: Streaming<pb::WriteContentResponse>,
    unanswered: usize,
    /// Bytes that an earlier, interrupted write left.
    found: i64,
    offset: i64,
    gathered: BytesMut,
}

/// An open write whose bytes go into containerd's file instead of over its API. Locked in containerd until this is dropped
/// and nothing is written any more.
#[derive(Debug)]
pub struct FileIngest {
    ingest_ref: String,
    write: FileWrite<Mutex<Lock>>,
}

/// Both ends of the stream that holds an ingest.
#[derive(Debug)]
struct Lock {
    requests: mpsc::Sender<pb::WriteContentRequest>,
    answers: Streaming<pb::WriteContentResponse>,
}

/// Bytes that containerd hashes in a second where it is slow: it does so with what an ingest has before it answers.
const HASHED_BYTES_PER_SECOND: u64 = 64 << 20;

const OPERATION: &str = "ingest content";

pub(crate) async fn start(
    mut grpc: ContentClient<Service>,
    limit: Duration,
    ingest_ref: &str,
    expected: &str,
    size: u64,
) -> Result<IngestStart, CallError> {
    let (requests, receiver) = mpsc::channel(UNANSWERED_MAX);
    let total = i64::try_from(size).unwrap_or(i64::MAX);
    let expected = expected.to_owned();
    let stat = pb::WriteContentRequest {
        action: pb::WriteAction::Stat.into(),
        r#ref: ingest_ref.to_owned(),
        total,
        expected: expected.clone(),
        ..pb::WriteContentRequest::default()
    };
    // The channel is new and has room, so this neither waits nor fails.
    requests
        .try_send(stat)
        .map_err(|e| CallError::local(OPERATION, ingest_ref, ErrorKind::Other, e.to_string()))?;
    let limit = limit + Duration::from_secs(size / HASHED_BYTES_PER_SECOND);
    let opened = within(limit, OPERATION, ingest_ref, grpc.write(ReceiverStream::new(receiver))).await;
    let first = match opened {
        Ok(mut answers) => next(OPERATION, ingest_ref, &mut answers).await.map(|first| (answers, first)),
        Err(error) => Err(error),
    };
    match first {
        Ok((answers, Some(first))) => Ok(IngestStart::Open(Box::new(Ingest {
            ingest_ref: ingest_ref.to_owned(),
            total,
            expected,
            requests,
            answers,
            unanswered: 0,
            found: first.offset,
            offset: 0,
            gathered: BytesMut::new(),
        }))),
        Ok((_, None)) => Err(ended(ingest_ref)),
        Err(error) if error.is_already_exists() => Ok(IngestStart::Exists),
        Err(error) => Err(error),
    }
}

impl Ingest {
    /// Its name.
    pub fn ingest_ref(&self) -> &str {
        &self.ingest_ref
    }

    /// How many bytes an earlier, interrupted write left under the same name.
    pub fn found(&self) -> u64 {
        u64::try_from(self.found).unwrap_or(0)
    }

    /// Makes writes go behind the bytes that were [found](Ingest::found). To be called before the first write.
    pub fn keep_found(&mut self) {
        self.offset = self.found;
    }

    /// Goes on by `file`, which is where containerd keeps the bytes of this ingest. To be called before the first write.
    ///
    /// containerd then neither copies nor hashes what comes, but has to be asked for the ingest anew at the end: see
    /// [`FileIngest::close`].
    pub fn into_file(self, file: File) -> FileIngest {
        let Ingest { ingest_ref, requests, answers, offset, .. } = self;
        let lock = Mutex::new(Lock { requests, answers });
        FileIngest { ingest_ref, write: FileWrite::new(file, u64::try_from(offset).unwrap_or(0), lock) }
    }

    /// Appends `bytes`. What an earlier, interrupted write left under the same name is overwritten, unless it is
    /// [kept](Ingest::keep_found).
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] where containerd's disk is full; an error may belong to bytes of an earlier call.
    ///
    /// # Cancel safety
    /// None: after a dropped call the ingest can only be dropped as well.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), CallError> {
        self.gathered.extend_from_slice(&bytes);
        while self.gathered.len() >= MESSAGE_BYTES {
            let data = self.gathered.split_to(MESSAGE_BYTES).freeze();
            self.send(pb::WriteAction::Write, data, BTreeMap::new()).await?;
        }
        Ok(())
    }

    /// Makes the blob of what was written, with `labels`. containerd checks size and digest, syncs and publishes it.
    /// Answers whether it did: a blob that someone else committed meanwhile is success too, for content is addressed by
    /// digest, but the labels are then not set.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where bytes and descriptor differ.
    pub async fn commit(mut self, labels: &BTreeMap<String, String>) -> Result<bool, CallError> {
        let rest = std::mem::take(&mut self.gathered).freeze();
        if !rest.is_empty() {
            self.send(pb::WriteAction::Write, rest, BTreeMap::new()).await?;
        }
        let sent = self.send(pb::WriteAction::Commit, Bytes::new(), labels.clone()).await;
        let done = match sent {
            Ok(()) => self.drain().await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Ingest::commit`], of a blob that was begun without a digest. Where someone else committed the same meanwhile, it is
    /// not under the client's lease.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where the bytes have another digest.
    pub async fn commit_as(
        mut self,
        digest: &Digest,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool, CallError> {
        self.expected = digest.to_string();
        self.commit(labels).await
    }

    async fn send(
        &mut self,
        action: pb::WriteAction,
        data: Bytes,
        labels: BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        while self.unanswered >= UNANSWERED_MAX {
            self.answer().await?;
        }
        let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let request = pb::WriteContentRequest {
            action: action.into(),
            r#ref: self.ingest_ref.clone(),
            total: self.total,
            expected: if action == pb::WriteAction::Commit { self.expected.clone() } else { String::new() },
            offset: self.offset,
            data: data.into(),
            labels: labels.into_iter().collect(),
        };
        if self.requests.send(request).await.is_err() {
            // The server ended the stream; its status, still unread, says why.
            self.drain().await?;
            return Err(ended(&self.ingest_ref));
        }
        self.offset += length;
        self.unanswered += 1;
        Ok(())
    }

    async fn answer(&mut self) -> Result<(), CallError> {
        match next(OPERATION, &self.ingest_ref, &mut self.answers).await? {
            Some(_) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                Ok(())
            }
            None => Err(ended(&self.ingest_ref)),
        }
    }

    /// Reads answers until the stream ends: its last word is the status of the commit.
    async fn drain(&mut self) -> Result<(), CallError> {
        while next(OPERATION, &self.ingest_ref, &mut self.answers).await?.is_some() {}
        Ok(())
    }
}

impl FileIngest {
    /// Appends `bytes`, as [`Ingest::write`]. They are on their way to the disk at once.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] where the disk is full; an error may belong to bytes of an earlier call. That of the stream
    /// where it has ended, for then the ingest may be another client's.
    ///
    /// # Cancel safety
    /// None: after a dropped call the ingest can only be dropped as well.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), CallError> {
        self.check_held()?;
        self.write.write(bytes).await.map_err(|error| failed(&self.ingest_ref, &error))
    }

    fn check_held(&self) -> Result<(), CallError> {
        let mut lock = self.write.kept().lock().unwrap_or_else(PoisonError::into_inner);
        match lock.answers.message().now_or_never() {
            None | Some(Ok(Some(_))) => Ok(()),
            Some(Ok(None)) => Err(ended(&self.ingest_ref)),
            Some(Err(status)) => Err(CallError::from_status(OPERATION, &self.ingest_ref, &status)),
        }
    }

    /// Ends the write, with all bytes in the file, and gives the ingest free. Who opens it again, before somebody else
    /// does, [finds](Ingest::found) them, hashed by containerd.
    ///
    /// # Errors
    /// As [`FileIngest::write`], and where containerd does not end the stream.
    pub async fn close(self) -> Result<(), CallError> {
        let Self { ingest_ref, write } = self;
        let lock = write.finish().await.map_err(|error| failed(&ingest_ref, &error))?;
        let Lock { requests, mut answers } = lock.into_inner().unwrap_or_else(PoisonError::into_inner);
        drop(requests);
        // containerd closes the file, and says so by the end of the stream.
        while next(OPERATION, &ingest_ref, &mut answers).await?.is_some() {}
        Ok(())
    }
}

fn failed(ingest_ref: &str, error: &io::Error) -> CallError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Other,
    };
    CallError::local(OPERATION, ingest_ref, kind, format!("writing its file: {error}"))
}

fn ended(ingest_ref: &str) -> CallError {
    CallError::local(OPERATION, ingest_ref, ErrorKind::Unavailable, "the stream ended early")
}
