//! What only a fake can be asked: trees, restarts, a collector called by hand, paused steps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use containerd_client::services::v1 as api;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{CommitSnapshotRequest, PrepareSnapshotRequest};
use containerd_client::types::Descriptor;
use sim::containerd::{Containerd, Node, Options, Point, Tree};
use sim::image::{Blob, Compression, File, Format, Layer};
use tonic::transport::Channel;
use tonic::{Code, Request};

const NAMESPACE: &str = "test";
const SNAPSHOTTER: &str = "overlayfs";

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", NAMESPACE.parse().unwrap());
    request
}

fn descriptor(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type().to_owned(),
        digest: blob.digest().to_owned(),
        size: i64::try_from(blob.size()).unwrap(),
        annotations: HashMap::new(),
    }
}

async fn put(channel: &Channel, blob: &Blob) {
    let commit = api::WriteContentRequest {
        action: api::WriteAction::Commit.into(),
        r#ref: blob.digest().to_owned(),
        total: i64::try_from(blob.size()).unwrap(),
        expected: blob.digest().to_owned(),
        data: blob.bytes().to_vec(),
        ..Default::default()
    };
    let mut content = ContentClient::new(channel.clone());
    let mut responses = content.write(request(tokio_stream::iter([commit]))).await.unwrap().into_inner();
    responses.message().await.unwrap().unwrap();
}

/// Applies `layers` bottom-up and returns the tree of the top.
async fn unpack(containerd: &Containerd, layers: &[Vec<File>]) -> Tree {
    let channel = containerd.connect();
    let mut snapshots = SnapshotsClient::new(channel.clone());
    let mut parent = String::new();
    for (index, files) in layers.iter().enumerate() {
        let blob = Layer::new(files.clone(), Compression::Gzip).blob(Format::Oci);
        put(&channel, &blob).await;
        let prepare = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: format!("k{index}"),
            parent: parent.clone(),
            labels: HashMap::new(),
        };
        let mounts = snapshots.prepare(request(prepare)).await.unwrap().into_inner().mounts;
        let apply = api::ApplyRequest { diff: Some(descriptor(&blob)), mounts, ..Default::default() };
        DiffClient::new(channel.clone()).apply(request(apply)).await.unwrap();
        parent = format!("c{index}");
        let commit = CommitSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            name: parent.clone(),
            key: format!("k{index}"),
            labels: HashMap::new(),
        };
        snapshots.commit(request(commit)).await.unwrap();
    }
    containerd.tree(NAMESPACE, SNAPSHOTTER, &parent).unwrap().unwrap()
}

fn layers() -> Vec<Vec<File>> {
    vec![
        vec![
            File::directory("etc").mode(0o700),
            File::regular("etc/keep", "below"),
            File::regular("etc/gone", "below"),
            File::directory("opt"),
            File::regular("opt/hidden", "below"),
            File::regular("was-file", "below"),
        ],
        vec![
            File::whiteout("etc/gone"),
            File::regular("etc/new", "above").mode(0o4755).owner(1, 2),
            File::hardlink("etc/link", "etc/keep"),
            File::directory("opt"),
            File::regular("opt/seen", "above"),
            File::opaque("opt"),
            File::directory("was-file"),
            File::symlink("deep/down/link", "/etc/new"),
        ],
    ]
}

#[track_caller]
fn check_layers(tree: &Tree) {
    let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
    let expected = [
        "deep",
        "deep/down",
        "deep/down/link",
        "etc",
        "etc/keep",
        "etc/link",
        "etc/new",
        "opt",
        "opt/seen",
        "was-file",
    ];
    assert_eq!(paths, expected);
    assert_eq!(tree.get("etc").unwrap().mode, 0o700, "an implied parent has the mode from below");
    let new = tree.get("etc/new").unwrap();
    assert_eq!((new.mode, &new.node), (0o4755, &Node::File("above".into())));
    assert_eq!(tree.get("etc/link").unwrap().node, Node::File("below".into()));
    assert_eq!(tree.get("was-file").unwrap().node, Node::Directory { opaque: false });
    assert_eq!(tree.get("deep/down/link").unwrap().node, Node::Symlink("/etc/new".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn layers_in_memory_are_merged_as_an_overlay_shows_them() {
    check_layers(&unpack(&Containerd::new(Options::default()), &layers()).await);
}

#[tokio::test(start_paused = true)]
async fn links_of_the_layer_itself_are_followed_and_the_root_can_be_opaque() {
    let layers = [
        vec![File::directory("a"), File::regular("a/below", "x"), File::regular("b", "x")],
        vec![
            File::regular(".wh..wh..opq", ""),
            File::directory("usr/lib"),
            File::symlink("lib", "/usr/lib"),
            File::regular("lib/x.so", "x"),
            File::directory("a"),
        ],
    ];
    let tree = unpack(&Containerd::new(Options::default()), &layers).await;
    let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a", "lib", "usr", "usr/lib", "usr/lib/x.so"]);
}

#[tokio::test]
async fn layers_in_directories_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.directory = Some(directory.path().to_owned());
    let containerd = Containerd::new(options);
    check_layers(&unpack(&containerd, &layers()).await);
    let snapshots = directory.path().join("io.containerd.snapshotter.v1.overlayfs/snapshots");
    let count = || std::fs::read_dir(&snapshots).unwrap().count();
    assert_eq!(count(), 2);
    containerd.collect();
    assert_eq!(count(), 0, "nothing named the snapshots");
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_is_stored_and_ends_what_is_open() {
    let containerd = Containerd::new(Options::default());
    let channel = containerd.connect();
    let blob = Blob::new("text/plain", "kept");
    put(&channel, &blob).await;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let write = |data: &str| api::WriteContentRequest {
        action: api::WriteAction::Write.into(),
        r#ref: "open".to_owned(),
        data: data.as_bytes().to_vec(),
        ..Default::default()
    };
    sender.send(write("part")).unwrap();
    let stream = request(tokio_stream::wrappers::UnboundedReceiverStream::new(receiver));
    let mut responses = ContentClient::new(channel.clone()).write(stream).await.unwrap().into_inner();
    responses.message().await.unwrap().unwrap();

    containerd.stop();
    responses.message().await.expect_err("the stream is cut");
    let info = || request(api::InfoRequest { digest: blob.digest().to_owned() });
    let down = ContentClient::new(channel.clone()).info(info()).await.unwrap_err();
    assert_eq!(down.code(), Code::Unavailable);
    assert!(containerd.dial().is_err());

    containerd.start();
    ContentClient::new(channel.clone()).info(info()).await.unwrap();
    let status = request(api::StatusRequest { r#ref: "open".to_owned() });
    let status = ContentClient::new(channel.clone()).status(status).await.unwrap().into_inner();
    assert_eq!(status.status.unwrap().offset, 4);
    let again = request(tokio_stream::iter([api::WriteContentRequest {
        r#ref: "open".to_owned(),
        ..Default::default()
    }]));
    ContentClient::new(channel).write(again).await.expect("the lock went with the process");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_blob_can_be_taken_back_until_the_collector_ran() {
    let containerd = Containerd::new(Options::default());
    let channel = containerd.connect();
    let blob = Blob::new("text/plain", "taken back");
    put(&channel, &blob).await;
    let mut content = ContentClient::new(channel.clone());
    let delete = || request(api::DeleteContentRequest { digest: blob.digest().to_owned() });
    let stat = || {
        request(tokio_stream::iter([api::WriteContentRequest {
            r#ref: "again".to_owned(),
            expected: blob.digest().to_owned(),
            ..Default::default()
        }]))
    };
    content.delete(delete()).await.unwrap();
    let first = content.write(stat()).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_eq!(first.offset, i64::try_from(blob.size()).unwrap());
    content.abort(request(api::AbortRequest { r#ref: "again".to_owned() })).await.unwrap();
    containerd.collect();
    let first = content.write(stat()).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_eq!(first.offset, 0);
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_delete_can_be_held_before_it_collects() {
    let points: Arc<Mutex<Vec<Point>>> = Arc::default();
    let (sender, gate) = tokio::sync::watch::channel(false);
    let mut options = Options::default();
    options.cri = false;
    let seen = points.clone();
    options.pause = Some(Arc::new(move |point| {
        let mut gate = gate.clone();
        let is_held = point == Point::BeforeCollect;
        seen.lock().unwrap().push(point);
        Box::pin(async move {
            if is_held {
                gate.wait_for(|&open| open).await.unwrap();
            }
        })
    }));
    let containerd = Containerd::new(options);
    let channel = containerd.connect();
    let blob = Blob::new("text/plain", "held");
    put(&channel, &blob).await;
    let image = api::Image { name: "a".to_owned(), target: Some(descriptor(&blob)), ..Default::default() };
    let create = api::CreateImageRequest { image: Some(image), source_date_epoch: None };
    let mut images = ImagesClient::new(channel);
    images.create(request(create)).await.unwrap();
    let delete = api::DeleteImageRequest { name: "a".to_owned(), sync: true, target: None };
    let mut deleting = std::pin::pin!(images.delete(request(delete)));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut deleting).await.is_err());
    let held = containerd.inventory(NAMESPACE);
    assert!(held.images.is_empty() && held.content.contains_key(blob.digest()));
    sender.send(true).unwrap();
    deleting.await.unwrap();
    assert!(containerd.inventory(NAMESPACE).content.is_empty());
    let points: Vec<String> = points.lock().unwrap().iter().map(ToString::to_string).collect();
    let digest = blob.digest().replace(&blob.digest()[19..], "");
    let expected = [
        &format!("containerd BeforeCommit {digest}"),
        "containerd BeforePublish /images/create a",
        "containerd BeforePublish /images/delete a",
        "containerd BeforeCollect",
    ];
    assert_eq!(points, expected);
}

#[tokio::test(start_paused = true)]
async fn the_collector_runs_by_itself_when_told_to() {
    let mut options = Options::default();
    options.automatic_collection = true;
    let containerd = Containerd::new(options);
    let channel = containerd.connect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    put(&channel, &Blob::new("text/plain", "loose")).await;
    put(&channel, &Blob::new("text/plain", "deleted")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(containerd.inventory(NAMESPACE).content.len(), 2, "nothing was deleted yet");
    let digest = Blob::new("text/plain", "deleted").digest().to_owned();
    ContentClient::new(channel).delete(request(api::DeleteContentRequest { digest })).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(containerd.inventory(NAMESPACE).content.is_empty());
}
