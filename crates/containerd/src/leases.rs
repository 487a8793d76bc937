//! Leases: what is under one is spared by the collector.

use std::collections::BTreeMap;
use std::time::SystemTime;

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::leases_client::LeasesClient;
use refparse::Digest;
use tonic::metadata::{Ascii, MetadataValue};

use crate::client::{Service, within};
use crate::{CallError, Client, Deadlines, ErrorKind, labels};

/// A lease's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseId(String);

impl LeaseId {
    /// Takes `id` as a lease's name.
    ///
    /// # Errors
    /// [`CallError`] where it is empty or has other characters than printable ASCII.
    pub fn new(id: &str) -> Result<LeaseId, CallError> {
        LeaseId::parse("name lease", id.to_owned())
    }

    /// The name as containerd has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> MetadataValue<Ascii> {
        // `Leases::create` and `Leases::list` let only printable ASCII become an id.
        MetadataValue::try_from(self.0.as_str()).unwrap_or_else(|_| MetadataValue::from_static("invalid"))
    }

    fn parse(operation: &'static str, id: String) -> Result<LeaseId, CallError> {
        if !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(LeaseId(id));
        }
        Err(CallError::local(operation, &id.escape_debug().to_string(), ErrorKind::Other, "not a lease id"))
    }
}

/// A lease as containerd lists it.
#[derive(Clone, Debug)]
pub struct LeaseInfo {
    /// Its name.
    pub id: LeaseId,
    /// Labels in key order.
    pub labels: BTreeMap<String, String>,
}

impl LeaseInfo {
    /// When it stops protecting, where it does.
    pub fn expires(&self) -> Option<SystemTime> {
        let timestamp: prost_types::Timestamp = self.labels.get(labels::GC_EXPIRE)?.parse().ok()?;
        timestamp.try_into().ok()
    }
}

/// What a lease holds one of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseResource {
    /// What it is: `content`, `ingests`, `snapshots/<snapshotter>`.
    pub kind: String,
    /// Digest, name of the ingest, or name of the snapshot.
    pub id: String,
}

impl LeaseResource {
    /// A blob.
    pub const CONTENT: &str = "content";
    /// An unfinished write.
    pub const INGEST: &str = "ingests";

    /// The kind of the snapshots of `snapshotter`.
    pub fn snapshots_of(snapshotter: &str) -> String {
        format!("snapshots/{snapshotter}")
    }
}

/// The lease service.
#[derive(Clone, Debug)]
pub struct Leases {
    grpc: LeasesClient<Service>,
    deadlines: Deadlines,
}

impl Leases {
    pub(crate) fn new(client: &Client) -> Leases {
        Leases { grpc: LeasesClient::new(client.service()), deadlines: client.deadlines() }
    }

    /// Takes a lease called `id` that stops protecting at `expires` even if nobody deletes it.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where there is one of that name.
    pub async fn create(
        &self,
        id: &str,
        expires: SystemTime,
        mut labels: BTreeMap<String, String>,
    ) -> Result<LeaseId, CallError> {
        const OPERATION: &str = "create lease";
        let id = LeaseId::parse(OPERATION, id.to_owned())?;
        labels.insert(labels::GC_EXPIRE.to_owned(), prost_types::Timestamp::from(expires).to_string());
        let request = pb::CreateRequest { id: id.0.clone(), labels: labels.into_iter().collect() };
        within(self.deadlines.metadata, OPERATION, id.as_str(), self.grpc.clone().create(request)).await?;
        Ok(id)
    }

    /// Takes a lease called `id` that protects nothing: it expired long ago. Deleting it with `sync` makes the
    /// collector run.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where there is one of that name.
    pub async fn create_expired(&self, id: &str) -> Result<LeaseId, CallError> {
        self.create(id, SystemTime::UNIX_EPOCH, BTreeMap::new()).await
    }

    /// Gives a lease back. With `sync` the collector has run when this answers.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn delete(&self, id: &LeaseId, sync: bool) -> Result<(), CallError> {
        let request = pb::DeleteRequest { id: id.0.clone(), sync };
        let limit = if sync { self.deadlines.collect } else { self.deadlines.metadata };
        within(limit, "delete lease", id.as_str(), self.grpc.clone().delete(request)).await.map(drop)
    }

    /// Puts a snapshot under a lease. containerd does not check that it is there: ask afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such lease.
    pub async fn add_snapshot(&self, id: &LeaseId, snapshotter: &str, name: &str) -> Result<(), CallError> {
        let kind = LeaseResource::snapshots_of(snapshotter);
        self.add(id, &LeaseResource { kind, id: name.to_owned() }).await
    }

    /// Puts a blob under a lease. containerd does not check that it is there: ask afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such lease.
    pub async fn add_blob(&self, id: &LeaseId, digest: &Digest) -> Result<(), CallError> {
        let kind = LeaseResource::CONTENT.to_owned();
        self.add(id, &LeaseResource { kind, id: digest.to_string() }).await
    }

    /// Puts something under a lease. containerd does not check that it is there: ask afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such lease.
    pub async fn add(&self, id: &LeaseId, resource: &LeaseResource) -> Result<(), CallError> {
        let LeaseResource { kind, id: name } = resource.clone();
        let resource = Some(pb::Resource { id: name.clone(), r#type: kind });
        let request = pb::AddResourceRequest { id: id.0.clone(), resource };
        let mut grpc = self.grpc.clone();
        within(self.deadlines.metadata, "add to lease", &name, grpc.add_resource(request)).await.map(drop)
    }

    /// What is under a lease, in order.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such lease.
    pub async fn resources(&self, id: &LeaseId) -> Result<Vec<LeaseResource>, CallError> {
        let mut grpc = self.grpc.clone();
        let call = grpc.list_resources(pb::ListResourcesRequest { id: id.0.clone() });
        let answer = within(self.deadlines.metadata, "list lease", id.as_str(), call).await?;
        let found = answer.resources.into_iter();
        let mut found: Vec<LeaseResource> =
            found.map(|resource| LeaseResource { kind: resource.r#type, id: resource.id }).collect();
        found.sort();
        Ok(found)
    }

    /// Every lease, in the order of names.
    ///
    /// # Errors
    /// The call's own.
    pub async fn list(&self) -> Result<Vec<LeaseInfo>, CallError> {
        const OPERATION: &str = "list leases";
        let mut grpc = self.grpc.clone();
        let call = grpc.list(pb::ListRequest { filters: Vec::new() });
        let answer = within(self.deadlines.metadata, OPERATION, "", call).await?;
        let mut found = Vec::new();
        for lease in answer.leases {
            // A lease that someone gave an unprintable name cannot be one of ours, nor be used in a header.
            if let Ok(id) = LeaseId::parse(OPERATION, lease.id) {
                found.push(LeaseInfo { id, labels: lease.labels.into_iter().collect() });
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }
}
