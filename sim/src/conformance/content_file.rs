//! Writes whose bytes another process on the same machine puts into the file of the ingest.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use containerd_client::services::v1 as api;
use containerd_client::services::v1::introspection_client::IntrospectionClient;
use tonic::Code;

use super::content_write::{Writer, info, size, status};
use super::subject::Subject;

/// The directory of the ingest, which its file `ref` names.
async fn directory(subject: &Subject, reference: &str) -> Option<PathBuf> {
    let filters = vec!["type==io.containerd.content.v1".to_owned()];
    let request = api::PluginsRequest { filters };
    let plugins =
        IntrospectionClient::new(subject.channel.clone()).plugins(request).await.unwrap().into_inner();
    let root = plugins.plugins[0].exports.get("root").expect("an exported root").clone();
    let (start, end) = (format!("{}/", subject.namespace), format!("/{reference}"));
    let entries = fs::read_dir(Path::new(&root).join("ingest")).unwrap().map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|directory| {
        // That of another body may end meanwhile.
        let name = fs::read_to_string(directory.join("ref")).unwrap_or_default();
        name.starts_with(&start) && name.ends_with(&end)
    });
    found.next()
}

pub(super) async fn what_is_in_the_file_counts_when_the_ingest_is_opened_again(subject: Subject) {
    let blob = subject.blob("written into the file");
    let (head, tail) = blob.bytes().split_at(5);
    let (mut writer, _) = Writer::open(&subject, "f1", blob.digest(), size(&blob)).await.unwrap();
    writer.write(0, head).await.unwrap();
    let directory = directory(&subject, "f1").await.expect("a directory of the ingest");
    let data = directory.join("data");
    assert_eq!(fs::read(&data).unwrap(), head);
    File::options().write(true).open(&data).unwrap().write_all_at(tail, 5).unwrap();
    let (_, offset) = (writer.close().await, status(&subject, "f1").await.unwrap().offset);
    assert_eq!(offset, size(&blob), "as long as the file is");
    let (mut writer, first) = Writer::open(&subject, "f1", blob.digest(), size(&blob)).await.unwrap();
    assert_eq!((first.offset, first.digest.as_str()), (size(&blob), blob.digest()), "and hashed");
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(info(&subject, &blob).await.unwrap().size, size(&blob));
    assert!(!directory.exists(), "the ingest is used up");
}

pub(super) async fn what_is_in_the_file_is_unknown_to_a_writer_that_was_open_before(subject: Subject) {
    let blob = subject.blob("behind its back");
    let (mut writer, _) = Writer::open(&subject, "f2", blob.digest(), size(&blob)).await.unwrap();
    let directory = directory(&subject, "f2").await.expect("a directory of the ingest");
    fs::write(directory.join("data"), blob.bytes()).unwrap();
    assert_eq!(status(&subject, "f2").await.unwrap().offset, size(&blob));
    let refused = writer.commit(0, blob.digest(), size(&blob)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "its hash saw nothing");
    assert_eq!(info(&subject, &blob).await.unwrap_err().code(), Code::NotFound);
}

pub(super) async fn what_was_written_into_the_file_is_cut_off_by_a_write_at_zero(subject: Subject) {
    let blob = subject.blob("cut off");
    let (writer, _) = Writer::open(&subject, "f3", blob.digest(), size(&blob)).await.unwrap();
    let directory = directory(&subject, "f3").await.expect("a directory of the ingest");
    fs::write(directory.join("data"), "some bytes of another blob").unwrap();
    writer.close().await;
    let (mut writer, _) = Writer::open(&subject, "f3", blob.digest(), size(&blob)).await.unwrap();
    writer.write(0, blob.bytes()).await.unwrap();
    writer.commit(blob.bytes().len(), blob.digest(), size(&blob)).await.unwrap();
    assert_eq!(info(&subject, &blob).await.unwrap().size, size(&blob));
}
