//! containerd's differ: a layer's blob into a snapshot's mounts.

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::types::Mount;
use oci::{Descriptor, DiffId};

use crate::client::{Service, within};
use crate::images::descriptor_to_wire;
use crate::{CallError, Client, Deadlines, ErrorKind};

/// The differ.
#[derive(Clone, Debug)]
pub struct Diff {
    grpc: DiffClient<Service>,
    deadlines: Deadlines,
}

impl Diff {
    pub(crate) fn new(client: &Client) -> Diff {
        Diff { grpc: DiffClient::new(client.service()), deadlines: client.deadlines() }
    }

    /// Unpacks the committed blob of `layer` into `mounts` and answers the digest of the uncompressed bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Unimplemented`] for a media type that no differ takes, and whatever the
    /// archive gave it reason for. The snapshot is then half-written and must be removed.
    ///
    /// # Cancel safety
    /// containerd stops the unpack when the call is dropped; the snapshot must be removed.
    pub async fn apply(&self, layer: &Descriptor, mounts: Vec<Mount>) -> Result<DiffId, CallError> {
        const OPERATION: &str = "unpack layer";
        let subject = layer.digest.as_str();
        let request =
            pb::ApplyRequest { diff: Some(descriptor_to_wire(layer)), mounts, ..Default::default() };
        let mut grpc = self.grpc.clone();
        let call = grpc.apply(request);
        let answer = within(self.deadlines.apply, OPERATION, subject, call).await?;
        let applied = answer.applied.map(|d| d.digest).unwrap_or_default();
        DiffId::parse(&applied).map_err(|e| {
            CallError::local(OPERATION, subject, ErrorKind::Other, format!("the answer's digest: {e}"))
        })
    }
}
