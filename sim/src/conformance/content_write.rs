//! Writes: offsets, locks, commits.

use containerd_client::services::v1 as api;
use containerd_client::services::v1::{WriteAction, WriteContentRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status, Streaming};

use super::subject::{Subject, label_map};
use crate::image::Blob;

/// Labels of every commit; the second keeps the blob where no lease does.
const ON_COMMIT: [(&str, &str); 2] = [("on", "commit"), ("containerd.io/gc.root", "1")];

/// One open write stream.
pub(super) struct Writer {
    requests: mpsc::UnboundedSender<WriteContentRequest>,
    responses: Streaming<api::WriteContentResponse>,
    reference: String,
}

impl Writer {
    /// Opens the stream with a `STAT`, as containerd's own client does. A refusal comes with the headers.
    pub(super) async fn open(
        subject: &Subject,
        reference: &str,
        expected: &str,
        total: i64,
    ) -> Result<(Writer, api::WriteContentResponse), Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let first = WriteContentRequest {
            action: WriteAction::Stat.into(),
            r#ref: reference.to_owned(),
            total,
            expected: expected.to_owned(),
            ..Default::default()
        };
        requests.send(first).unwrap();
        let stream = subject.request(UnboundedReceiverStream::new(receiver));
        let mut responses = subject.content().write(stream).await?.into_inner();
        let response = responses.message().await?.expect("a response to the first message");
        Ok((Writer { requests, responses, reference: reference.to_owned() }, response))
    }

    async fn send(&mut self, request: WriteContentRequest) -> Result<api::WriteContentResponse, Status> {
        self.requests.send(request).unwrap();
        Ok(self.responses.message().await?.expect("a response per message"))
    }

    pub(super) async fn write(
        &mut self,
        offset: usize,
        data: &[u8],
    ) -> Result<api::WriteContentResponse, Status> {
        self.send(WriteContentRequest {
            action: WriteAction::Write.into(),
            r#ref: self.reference.clone(),
            offset: i64::try_from(offset).unwrap(),
            data: data.to_vec(),
            ..Default::default()
        })
        .await
    }

    pub(super) async fn commit(&mut self, offset: usize, expected: &str, total: i64) -> Result<(), Status> {
        self.send(WriteContentRequest {
            action: WriteAction::Commit.into(),
            r#ref: self.reference.clone(),
            offset: i64::try_from(offset).unwrap(),
            expected: expected.to_owned(),
            total,
            labels: label_map(&ON_COMMIT),
            ..Default::default()
        })
        .await
        .map(|_| ())
    }

    /// Ends the stream and waits until the server has let go of the ingest.
    pub(super) async fn close(self) {
        let Writer { requests, mut responses, .. } = self;
        drop(requests);
        while responses.message().await.unwrap().is_some() {}
    }
}

pub(super) async fn status(subject: &Subject, reference: &str) -> Result<api::Status, Status> {
    let request = subject.request(api::StatusRequest { r#ref: reference.to_owned() });
    Ok(subject.content().status(request).await?.into_inner().status.unwrap())
}

pub(super) async fn info(subject: &Subject, blob: &Blob) -> Result<api::Info, Status> {
    let request = subject.request(api::InfoRequest { digest: blob.digest().to_owned() });
    Ok(subject.content().info(request).await?.into_inner().info.unwrap())
}

pub(super) fn size(blob: &Blob) -> i64 {
    i64::try_from(blob.size()).unwrap()
}

pub(super) async fn a_write_becomes_a_blob_on_commit(subject: Subject) {
    let blob = subject.blob("write commit");
    let (mut writer, first) = Writer::open(&subject, "w1", blob.digest(), size(&blob)).await.unwrap();
    assert_eq!((first.offset, first.total), (0, size(&blob)));
    assert!(first.started_at.is_some() && first.updated_at.is_some());
    let (head, tail) = blob.bytes().split_at(5);
    assert_eq!(writer.write(0, head).await.unwrap().offset, 5);
    let last = writer.write(5, tail).await.unwrap();
    assert_eq!((last.offset, last.digest.as_str()), (size(&blob), blob.digest()));
    assert_eq!(info(&subject, &blob).await.unwrap_err().code(), Code::NotFound, "not before the commit");
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    let info = info(&subject, &blob).await.unwrap();
    assert_eq!((info.size, info.labels), (size(&blob), label_map(&ON_COMMIT)));
    assert_eq!(status(&subject, "w1").await.unwrap_err().code(), Code::NotFound, "the ingest is used up");
}

pub(super) async fn a_blob_may_be_named_by_its_commit(subject: Subject) {
    let blob = subject.blob("named late");
    let (mut writer, first) = Writer::open(&subject, "late", "", size(&blob)).await.unwrap();
    assert_eq!((first.offset, first.total), (0, size(&blob)));
    writer.write(0, blob.bytes()).await.unwrap();
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    let committed = info(&subject, &blob).await.unwrap();
    assert_eq!((committed.size, committed.labels), (size(&blob), label_map(&ON_COMMIT)));
    let other = subject.blob("named wrongly");
    let (mut writer, _) = Writer::open(&subject, "wrong", "", size(&other)).await.unwrap();
    writer.write(0, other.bytes()).await.unwrap();
    let never = subject.blob("never written").digest().to_owned();
    let status = writer.commit(other.bytes().len(), &never, size(&other)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    // The same bytes again: the name that comes with the commit is there.
    let (mut writer, _) = Writer::open(&subject, "again", "", size(&blob)).await.unwrap();
    writer.write(0, blob.bytes()).await.unwrap();
    let status = writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
}

pub(super) async fn an_interrupted_write_goes_on_at_its_offset(subject: Subject) {
    let blob = subject.blob("interrupted");
    let (head, tail) = blob.bytes().split_at(7);
    let (mut writer, _) = Writer::open(&subject, "w2", blob.digest(), size(&blob)).await.unwrap();
    writer.write(0, head).await.unwrap();
    writer.close().await;
    let kept = status(&subject, "w2").await.unwrap();
    assert_eq!((kept.r#ref.as_str(), kept.offset, kept.total), ("w2", 7, size(&blob)));
    let (mut writer, first) = Writer::open(&subject, "w2", blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(first.offset, 7);
    writer.write(7, tail).await.unwrap();
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(info(&subject, &blob).await.unwrap().size, size(&blob));
}

pub(super) async fn a_write_at_another_offset_is_out_of_range(subject: Subject) {
    let blob = subject.blob("other offset");
    let (mut writer, _) = Writer::open(&subject, "w3", blob.digest(), size(&blob)).await.unwrap();
    writer.write(0, b"abc").await.unwrap();
    assert_eq!(writer.write(9, b"def").await.unwrap_err().code(), Code::OutOfRange);
}

pub(super) async fn a_write_at_zero_starts_over(subject: Subject) {
    let blob = subject.blob("start over");
    let (mut writer, _) = Writer::open(&subject, "w4", blob.digest(), size(&blob)).await.unwrap();
    writer.write(0, b"something else").await.unwrap();
    let again = writer.write(0, blob.bytes()).await.unwrap();
    assert_eq!((again.offset, again.digest.as_str()), (size(&blob), blob.digest()));
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
}

pub(super) async fn a_second_writer_is_turned_away(subject: Subject) {
    let blob = subject.blob("two writers");
    let (first, _) = Writer::open(&subject, "w5", blob.digest(), size(&blob)).await.unwrap();
    let second = Writer::open(&subject, "w5", blob.digest(), size(&blob)).await;
    assert_eq!(second.err().map(|status| status.code()), Some(Code::Unavailable));
    first.close().await;
    Writer::open(&subject, "w5", blob.digest(), size(&blob)).await.unwrap();
}

pub(super) async fn a_wrong_digest_is_refused_and_the_ingest_stays(subject: Subject) {
    let blob = subject.blob("wrong digest");
    let (mut writer, _) = Writer::open(&subject, "w6", blob.digest(), 0).await.unwrap();
    writer.write(0, b"not what was promised").await.unwrap();
    let refused = writer.commit(21, blob.digest(), 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status(&subject, "w6").await.unwrap().offset, 21);
    assert_eq!(info(&subject, &blob).await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn a_wrong_size_is_refused(subject: Subject) {
    let blob = subject.blob("wrong size");
    let (mut writer, _) = Writer::open(&subject, "w7", blob.digest(), size(&blob) + 1).await.unwrap();
    writer.write(0, blob.bytes()).await.unwrap();
    let refused = writer.commit(blob.bytes().len(), blob.digest(), size(&blob) + 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

pub(super) async fn an_existing_blob_is_told_at_once_and_leased(subject: Subject) {
    let blob = subject.blob("exists");
    subject.put(&blob, &[]).await;
    subject.create_lease("existing", &[]).await;
    let leased = subject.with_lease("existing");
    let refused = Writer::open(&leased, "w8", blob.digest(), size(&blob)).await;
    assert_eq!(refused.err().map(|status| status.code()), Some(Code::AlreadyExists));
    assert_eq!(subject.held("existing").await, [format!("content {}", blob.digest())].into());
    let (mut late, _) = Writer::open(&subject, "w9", "", 0).await.unwrap();
    late.write(0, blob.bytes()).await.unwrap();
    let refused = late.commit(blob.bytes().len(), blob.digest(), 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "told on commit too");
    assert_eq!(status(&subject, "w9").await.unwrap_err().code(), Code::NotFound, "and its ingest aborted");
}

pub(super) async fn an_aborted_write_is_forgotten(subject: Subject) {
    let (mut writer, _) = Writer::open(&subject, "w10", "", 0).await.unwrap();
    writer.write(0, b"abc").await.unwrap();
    writer.close().await;
    let abort = || subject.request(api::AbortRequest { r#ref: "w10".to_owned() });
    subject.content().abort(abort()).await.unwrap();
    assert_eq!(status(&subject, "w10").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(subject.content().abort(abort()).await.unwrap_err().code(), Code::NotFound);
    let (_, first) = Writer::open(&subject, "w10", "", 0).await.unwrap();
    assert_eq!(first.offset, 0);
}

pub(super) async fn a_blob_of_another_namespace_is_taken_over_without_its_bytes(subject: Subject) {
    let blob = subject.blob("shared");
    subject.put(&blob, &[("containerd.io/gc.root", "1")]).await;
    let other = subject.in_namespace(&format!("{}-other", subject.namespace));
    assert_eq!(info(&other, &blob).await.unwrap_err().code(), Code::NotFound, "not visible by itself");
    let (mut writer, first) = Writer::open(&other, "w11", blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(first.offset, size(&blob), "as if all bytes had been sent");
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(info(&other, &blob).await.unwrap().size, size(&blob));
}

pub(super) async fn the_first_message_needs_a_reference(subject: Subject) {
    let refused = Writer::open(&subject, "", "", 0).await;
    assert_eq!(refused.err().map(|status| status.code()), Some(Code::InvalidArgument));
}
