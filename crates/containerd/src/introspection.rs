//! What containerd says of itself: its snapshotters.

use std::path::PathBuf;

use containerd_client::services::v1 as pb;
use containerd_client::services::v1::introspection_client::IntrospectionClient;

use crate::client::{Service, within};
use crate::{CallError, Client, Deadlines, ErrorKind};

/// A snapshotter as it is loaded in containerd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotterPlugin {
    /// Directory in which it keeps its snapshots, where it tells.
    pub root: Option<PathBuf>,
    /// Whether a snapshot's parent may be given at commit (capability `rebase`, containerd 2.2 and later).
    pub can_rebase: bool,
}

/// The introspection service.
#[derive(Clone, Debug)]
pub struct Introspection {
    grpc: IntrospectionClient<Service>,
    deadlines: Deadlines,
}

impl Introspection {
    pub(crate) fn new(client: &Client) -> Introspection {
        Introspection { grpc: IntrospectionClient::new(client.service()), deadlines: client.deadlines() }
    }

    /// Directory in which the content store keeps blobs and ingests, where containerd tells.
    ///
    /// # Errors
    /// The call's own.
    pub async fn content_root(&self) -> Result<Option<PathBuf>, CallError> {
        let filters = vec!["type==io.containerd.content.v1".to_owned()];
        let mut grpc = self.grpc.clone();
        let call = grpc.plugins(pb::PluginsRequest { filters });
        let answer = within(self.deadlines.metadata, "find content store", "", call).await?;
        let mut stores = answer.plugins.into_iter().filter(|plugin| plugin.init_err.is_none());
        Ok(stores.find_map(|plugin| plugin.exports.get("root").map(PathBuf::from)))
    }

    /// The snapshotter called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where containerd has none of that name, or could not start it: the message says why.
    pub async fn snapshotter(&self, name: &str) -> Result<SnapshotterPlugin, CallError> {
        const OPERATION: &str = "find snapshotter";
        let filters = vec!["type==io.containerd.snapshotter.v1".to_owned()];
        let mut grpc = self.grpc.clone();
        let call = grpc.plugins(pb::PluginsRequest { filters });
        let answer = within(self.deadlines.metadata, OPERATION, name, call).await?;
        let mut usable = Vec::new();
        for plugin in answer.plugins {
            let error = plugin.init_err.map(|e| e.message);
            if plugin.id == name {
                return match error {
                    Some(message) => Err(CallError::local(OPERATION, name, ErrorKind::NotFound, message)),
                    None => Ok(SnapshotterPlugin {
                        root: plugin.exports.get("root").map(PathBuf::from),
                        can_rebase: plugin.capabilities.iter().any(|c| c == "rebase"),
                    }),
                };
            }
            if error.is_none() {
                usable.push(plugin.id);
            }
        }
        usable.sort();
        let message = format!("containerd has no such snapshotter; it has {}", usable.join(", "));
        Err(CallError::local(OPERATION, name, ErrorKind::NotFound, message))
    }
}
