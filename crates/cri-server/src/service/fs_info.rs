//! `ImageFsInfo`.

use std::time::UNIX_EPOCH;

use cri_api::v1 as pb;
use tonic::Status;

use super::Service;
use crate::status::from_store;

impl Service {
    /// One file system: that of the snapshotter. `container_filesystems` stays empty, as containerd's plugin leaves
    /// it, because the kubelet reads containers' file systems from the runtime endpoint.
    pub(super) async fn fs_info(&self) -> Result<pb::ImageFsInfoResponse, Status> {
        let usage = self.store.usage().await.map_err(|error| from_store(&error))?;
        let since_epoch = (self.now)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let image_filesystem = pb::FilesystemUsage {
            timestamp: i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX),
            fs_id: Some(pb::FilesystemIdentifier { mountpoint: usage.mountpoint.display().to_string() }),
            used_bytes: Some(pb::UInt64Value { value: usage.bytes }),
            inodes_used: Some(pb::UInt64Value { value: usage.inodes }),
        };
        Ok(pb::ImageFsInfoResponse {
            image_filesystems: vec![image_filesystem],
            container_filesystems: Vec::new(),
        })
    }
}
