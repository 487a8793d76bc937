//! Everything that a pull may leave in containerd, read over its own services: two states are compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::snapshots::ListSnapshotsRequest;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::{
    CreateRequest, DeleteRequest, ListContentRequest, ListImagesRequest, ListRequest, ListStatusesRequest,
};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

use crate::Containerd;

/// What the namespace `k8s.io` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Image records: name to target digest.
    pub records: BTreeMap<String, String>,
    /// Digests of committed content.
    pub content: BTreeSet<String>,
    /// References of unfinished content.
    pub ingests: BTreeSet<String>,
    /// Snapshot names and active keys of overlayfs.
    pub snapshots: BTreeSet<String>,
    /// Lease ids.
    pub leases: BTreeSet<String>,
}

impl State {
    /// Reads it after containerd's collector has run.
    ///
    /// # Errors
    /// Where containerd does not answer.
    pub async fn after_collection(containerd: &Containerd) -> anyhow::Result<Self> {
        let channel = containerd.channel().await?;
        collect(&channel).await.context("cannot run the collector")?;
        Self::read(&channel).await.context("cannot read containerd's state")
    }

    /// How many bytes of the unfinished write `ingest_ref` are on containerd's disk; none where there is no such write.
    ///
    /// # Errors
    /// Where containerd does not answer.
    pub async fn ingest_offset(containerd: &Containerd, ingest_ref: &str) -> anyhow::Result<u64> {
        let mut store = ContentClient::new(containerd.channel().await?);
        let ingests = store.list_statuses(request(ListStatusesRequest::default())).await?.into_inner();
        let found = ingests.statuses.into_iter().find(|status| status.r#ref == ingest_ref);
        Ok(found.map_or(0, |status| u64::try_from(status.offset).unwrap_or(0)))
    }

    async fn read(channel: &Channel) -> Result<Self, tonic::Status> {
        let mut state = Self::default();
        let images = ImagesClient::new(channel.clone()).list(request(ListImagesRequest::default())).await?;
        for image in images.into_inner().images {
            state.records.insert(image.name, image.target.map(|target| target.digest).unwrap_or_default());
        }
        let mut store = ContentClient::new(channel.clone());
        let mut content = store.list(request(ListContentRequest::default())).await?.into_inner();
        while let Some(part) = content.message().await? {
            state.content.extend(part.info.into_iter().map(|info| info.digest));
        }
        let ingests = store.list_statuses(request(ListStatusesRequest::default())).await?.into_inner();
        state.ingests.extend(ingests.statuses.into_iter().map(|status| status.r#ref));
        let wanted = ListSnapshotsRequest { snapshotter: "overlayfs".to_owned(), ..Default::default() };
        let mut snapshots = SnapshotsClient::new(channel.clone()).list(request(wanted)).await?.into_inner();
        while let Some(part) = snapshots.message().await? {
            state.snapshots.extend(part.info.into_iter().map(|info| info.name));
        }
        let leases = LeasesClient::new(channel.clone()).list(request(ListRequest::default())).await?;
        state.leases.extend(leases.into_inner().leases.into_iter().map(|lease| lease.id));
        Ok(state)
    }
}

/// Deleting a lease with `sync` returns after a run of the collector.
async fn collect(channel: &Channel) -> Result<(), tonic::Status> {
    let mut leases = LeasesClient::new(channel.clone());
    let id = "e2e-collect".to_owned();
    leases.create(request(CreateRequest { id: id.clone(), ..Default::default() })).await?;
    leases.delete(request(DeleteRequest { id, sync: true })).await?;
    Ok(())
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", AsciiMetadataValue::from_static("k8s.io"));
    request
}
