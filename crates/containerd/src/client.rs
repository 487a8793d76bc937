//! The client: one channel, one namespace, perhaps a lease; and the deadline of every call.

use std::future::Future;
use std::time::Duration;

use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::{CallError, Content, Cri, Diff, Events, Images, Introspection, LeaseId, Leases, Snapshots};

/// Largest message in either direction, in bytes. containerd's own server takes 16 MiB; tonic's default of 4 MiB
/// would refuse a long image list.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

pub(crate) type Service = InterceptedService<Channel, Headers>;

/// How long a call may take before it counts as failed. A stuck containerd must fail its callers, not hang them.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Calls that touch metadata only.
    pub metadata: Duration,
    /// Calls that run containerd's garbage collector before they answer (`sync`). Under the kubelet's own limit of
    /// two minutes, so that the kubelet meets our error and not its timeout.
    pub collect: Duration,
    /// One `Diff.Apply`: containerd reports no progress in it, so this bounds the unpack of the largest layer.
    pub apply: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            metadata: Duration::from_secs(60),
            collect: Duration::from_secs(110),
            apply: Duration::from_secs(3600),
        }
    }
}

/// containerd in one namespace.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// For the bytes of layers; the same where they have no connection of their own.
    bulk: Channel,
    headers: Headers,
    deadlines: Deadlines,
}

/// A namespace that containerd would refuse.
#[derive(Debug, thiserror::Error)]
#[error(
    "containerd namespace `{0}` is not of the form [A-Za-z0-9]+([._-][A-Za-z0-9]+)* with at most 76 characters"
)]
pub struct NamespaceError(String);

impl Client {
    /// A client in `namespace` (not Kubernetes': containerd's, `k8s.io` for its CRI plugin).
    ///
    /// # Errors
    /// [`NamespaceError`] for a name outside the grammar of containerd's `identifiers` package.
    pub fn new(channel: Channel, namespace: &str) -> Result<Client, NamespaceError> {
        let valid = namespace.len() <= 76
            && namespace
                .split(['.', '_', '-'])
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        let value = MetadataValue::try_from(namespace).ok().filter(|_| valid);
        let namespace = value.ok_or_else(|| NamespaceError(namespace.to_owned()))?;
        Ok(Client {
            bulk: channel.clone(),
            channel,
            headers: Headers { namespace, lease: None },
            deadlines: Deadlines::default(),
        })
    }

    /// The same client, the bytes of all but small blobs over `bulk`, another connection to the same containerd: calls do
    /// not wait behind them.
    #[must_use]
    pub fn with_bulk(&self, bulk: Channel) -> Client {
        Client { bulk, ..self.clone() }
    }

    /// The same client with other deadlines.
    #[must_use]
    pub fn with_deadlines(&self, deadlines: Deadlines) -> Client {
        Client { deadlines, ..self.clone() }
    }

    /// The same client, its calls made under `lease`: containerd adds what they create, and what they find already
    /// there, to the lease.
    #[must_use]
    pub fn with_lease(&self, lease: &LeaseId) -> Client {
        let headers = Headers { lease: Some(lease.header()), ..self.headers.clone() };
        Client { headers, ..self.clone() }
    }

    /// Image records.
    pub fn images(&self) -> Images {
        Images::new(self)
    }

    /// Blobs and ingests.
    pub fn content(&self) -> Content {
        Content::new(self)
    }

    /// Leases.
    pub fn leases(&self) -> Leases {
        Leases::new(self)
    }

    /// Snapshots of the snapshotter called `snapshotter`.
    pub fn snapshots(&self, snapshotter: &str) -> Snapshots {
        Snapshots::new(self, snapshotter)
    }

    /// The differ.
    pub fn diff(&self) -> Diff {
        Diff::new(self)
    }

    /// The event stream.
    pub fn events(&self) -> Events {
        Events::new(self)
    }

    /// What plugins containerd has.
    pub fn introspection(&self) -> Introspection {
        Introspection::new(self)
    }

    /// containerd's own CRI plugin, reached over `channel` (mostly the same socket).
    pub fn cri(channel: Channel, deadlines: Deadlines) -> Cri {
        Cri::new(channel, deadlines)
    }

    /// The namespace of this client.
    pub fn namespace(&self) -> &str {
        // `new` took it from a `&str` of printable ASCII.
        self.headers.namespace.to_str().unwrap_or_default()
    }

    /// The deadlines of this client.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub(crate) fn service(&self) -> Service {
        InterceptedService::new(self.channel.clone(), self.headers.clone())
    }

    pub(crate) fn bulk_service(&self) -> Service {
        InterceptedService::new(self.bulk.clone(), self.headers.clone())
    }
}

/// Sets namespace and lease on every request.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    namespace: MetadataValue<Ascii>,
    lease: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            metadata.insert("containerd-lease", lease.clone());
        }
        Ok(request)
    }
}

/// Awaits `call` for at most `limit`, and names operation and subject in its error.
pub(crate) async fn within<T>(
    limit: Duration,
    operation: &'static str,
    subject: &str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(CallError::from_status(operation, subject, &status)),
        Err(_) => Err(CallError::deadline(operation, subject, limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn namespaces_outside_the_grammar_are_refused_before_any_call() {
        let channel = crate::unix_channel(std::path::Path::new("/nonexistent.sock"));
        for good in ["k8s.io", "default", "a-b_c.d1"] {
            assert!(Client::new(channel.clone(), good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a..b", "-a", "a b", "k8s.io\n", &"x".repeat(77)] {
            assert!(Client::new(channel.clone(), bad).is_err(), "{bad}");
        }
    }
}
