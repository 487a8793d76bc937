//! The containerd under test, and the steps that the bodies share.

use std::collections::{BTreeSet, HashMap};

use containerd_client::services::v1 as api;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::types::Descriptor;
use tonic::Request;
use tonic::transport::Channel;

use crate::containerd::Version;
use crate::image::Blob;
use crate::stub::snapshots as snapshots_api;
use crate::stub::snapshots::snapshots_client::SnapshotsClient;

/// A containerd, the namespace to work in, and which version it is.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) channel: Channel,
    pub(super) namespace: String,
    pub(super) version: Version,
    pub(super) lease: Option<String>,
}

/// The snapshotter that the bodies use.
pub(super) const SNAPSHOTTER: &str = "overlayfs";

impl Subject {
    /// The containerd behind `channel`; nothing else may use `namespace`.
    pub fn new(channel: Channel, namespace: &str, version: Version) -> Subject {
        Subject { channel, namespace: namespace.to_owned(), version, lease: None }
    }

    pub(super) fn with_lease(&self, lease: &str) -> Subject {
        Subject { lease: Some(lease.to_owned()), ..self.clone() }
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Subject {
        Subject { namespace: namespace.to_owned(), lease: None, ..self.clone() }
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.parse().unwrap());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.parse().unwrap());
        }
        request
    }

    /// A blob that nobody else writes, in this run or in an earlier one: a namespace sees bytes that another has.
    pub(super) fn blob(&self, tag: &str) -> Blob {
        let bytes = format!("{tag} of {}", self.namespace);
        Blob::new("application/octet-stream", bytes.into_bytes())
    }

    pub(super) fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone())
    }

    pub(super) fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone())
    }

    pub(super) fn leases(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone())
    }

    pub(super) fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }

    pub(super) fn diff(&self) -> DiffClient<Channel> {
        DiffClient::new(self.channel.clone())
    }

    pub(super) fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.channel.clone())
    }

    /// Writes a blob in one message; `labels` go on the commit.
    pub(super) async fn put(&self, blob: &Blob, labels: &[(&str, &str)]) {
        let commit = api::WriteContentRequest {
            action: api::WriteAction::Commit.into(),
            r#ref: format!("put-{}", blob.digest()),
            total: i64::try_from(blob.size()).unwrap(),
            expected: blob.digest().to_owned(),
            offset: 0,
            data: blob.bytes().to_vec(),
            labels: label_map(labels),
        };
        let requests = self.request(tokio_stream::iter([commit]));
        let mut responses = self.content().write(requests).await.unwrap().into_inner();
        let response = responses.message().await.unwrap().unwrap();
        assert_eq!(response.digest, blob.digest());
    }

    /// Digests of every blob in the namespace.
    pub(super) async fn digests(&self) -> BTreeSet<String> {
        let request = self.request(api::ListContentRequest::default());
        let mut responses = self.content().list(request).await.unwrap().into_inner();
        let mut digests = BTreeSet::new();
        while let Some(response) = responses.message().await.unwrap() {
            digests.extend(response.info.into_iter().map(|info| info.digest));
        }
        digests
    }

    pub(super) async fn create_lease(&self, id: &str, labels: &[(&str, &str)]) {
        let request = api::CreateRequest { id: id.to_owned(), labels: label_map(labels) };
        self.leases().create(self.request(request)).await.unwrap();
    }

    /// Deletes a lease and waits for the collector.
    pub(super) async fn delete_lease_and_collect(&self, id: &str) {
        let request = api::DeleteRequest { id: id.to_owned(), sync: true };
        self.leases().delete(self.request(request)).await.unwrap();
    }

    /// Waits for a run of the collector.
    pub(super) async fn collect(&self) {
        let id = "collect-now";
        let plain = Subject { lease: None, ..self.clone() };
        plain.create_lease(id, &[]).await;
        plain.delete_lease_and_collect(id).await;
    }

    /// Resources of a lease as `type id`.
    pub(super) async fn held(&self, lease: &str) -> BTreeSet<String> {
        let request = self.request(api::ListResourcesRequest { id: lease.to_owned() });
        let resources = self.leases().list_resources(request).await.unwrap().into_inner().resources;
        resources.into_iter().map(|resource| format!("{} {}", resource.r#type, resource.id)).collect()
    }

    pub(super) fn image(&self, name: &str, target: &Blob, labels: &[(&str, &str)]) -> api::Image {
        api::Image {
            name: name.to_owned(),
            labels: label_map(labels),
            target: Some(descriptor(target)),
            created_at: None,
            updated_at: None,
        }
    }

    pub(super) async fn create_image(&self, name: &str, target: &Blob, labels: &[(&str, &str)]) {
        let image = Some(self.image(name, target, labels));
        let request = api::CreateImageRequest { image, source_date_epoch: None };
        self.images().create(self.request(request)).await.unwrap();
    }

    pub(super) async fn delete_image(&self, name: &str, sync: bool) -> Result<(), tonic::Status> {
        let request = api::DeleteImageRequest { name: name.to_owned(), sync, target: None };
        self.images().delete(self.request(request)).await.map(|_| ())
    }

    pub(super) async fn prepare(
        &self,
        key: &str,
        parent: &str,
        labels: &[(&str, &str)],
    ) -> Result<Vec<containerd_client::types::Mount>, tonic::Status> {
        let request = snapshots_api::PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: label_map(labels),
        };
        let response = self.snapshots().prepare(self.request(request)).await?;
        Ok(response.into_inner().mounts)
    }

    pub(super) async fn commit(&self, key: &str, name: &str, parent: &str) -> Result<(), tonic::Status> {
        let request = snapshots_api::CommitSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            labels: HashMap::new(),
            parent: parent.to_owned(),
        };
        self.snapshots().commit(self.request(request)).await.map(|_| ())
    }

    pub(super) async fn stat(&self, key: &str) -> Result<snapshots_api::Info, tonic::Status> {
        let request =
            snapshots_api::StatSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: key.to_owned() };
        let response = self.snapshots().stat(self.request(request)).await?;
        Ok(response.into_inner().info.unwrap())
    }

    pub(super) async fn remove_snapshot(&self, key: &str) -> Result<(), tonic::Status> {
        let request =
            snapshots_api::RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: key.to_owned() };
        self.snapshots().remove(self.request(request)).await.map(|_| ())
    }
}

pub(super) fn descriptor(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type().to_owned(),
        digest: blob.digest().to_owned(),
        size: i64::try_from(blob.size()).unwrap(),
        annotations: HashMap::new(),
    }
}

pub(super) fn label_map(labels: &[(&str, &str)]) -> HashMap<String, String> {
    labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}
