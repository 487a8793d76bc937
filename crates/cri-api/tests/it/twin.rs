//! The same message in the types of `k8s-cri`, field by field and by name, so that two fields of one type with their
//! numbers swapped do not go unseen as they would in a mere trip there and back.

use std::collections::{BTreeMap, HashMap};

use cri_api::v1 as ours;
use k8s_cri::v1 as theirs;

/// Has a counterpart in `k8s-cri`.
pub(crate) trait Twin {
    /// The counterpart's type.
    type Theirs;
    /// The counterpart with equal values.
    fn twin(&self) -> Self::Theirs;
}

macro_rules! scalars {
    ($($scalar:ty),*) => { $(impl Twin for $scalar {
        type Theirs = $scalar;
        fn twin(&self) -> $scalar { self.clone() }
    })* };
}
scalars!(String, bool, i64, u32, u64);

impl<T: Twin> Twin for Option<T> {
    type Theirs = Option<T::Theirs>;
    fn twin(&self) -> Self::Theirs {
        self.as_ref().map(Twin::twin)
    }
}

impl<T: Twin> Twin for Vec<T> {
    type Theirs = Vec<T::Theirs>;
    fn twin(&self) -> Self::Theirs {
        self.iter().map(Twin::twin).collect()
    }
}

impl Twin for BTreeMap<String, String> {
    type Theirs = HashMap<String, String>;
    fn twin(&self) -> Self::Theirs {
        self.clone().into_iter().collect()
    }
}

/// `lacks { .. }` are the fields of ours that `k8s-cri` 0.11 (Kubernetes 1.31) does not know; a struct update stands
/// for the fields of theirs that ours reserves.
macro_rules! twins {
    ($($name:ident { $($field:ident),* } $(lacks { $($newer:ident),* })? $(..$rest:expr)?;)*) => { $(
        impl Twin for ours::$name {
            type Theirs = theirs::$name;
            fn twin(&self) -> theirs::$name {
                let ours::$name { $($field,)* $($($newer: _,)*)? } = self;
                theirs::$name { $($field: $field.twin(),)* $(..$rest)? }
            }
        }
    )* };
}

twins! {
    ImageSpec { image, annotations, user_specified_image, runtime_handler } lacks { image_ref };
    ImageFilter { image };
    ListImagesRequest { filter };
    ListImagesResponse { images };
    Image { id, repo_tags, repo_digests, size, uid, username, spec, pinned };
    ImageStatusRequest { image, verbose };
    ImageStatusResponse { image, info };
    AuthConfig { username, password, auth, server_address, identity_token, registry_token };
    PullImageRequest { image, auth, sandbox_config };
    PullImageResponse { image_ref };
    RemoveImageRequest { image };
    RemoveImageResponse {};
    ImageFsInfoRequest {};
    ImageFsInfoResponse { image_filesystems, container_filesystems };
    FilesystemUsage { timestamp, fs_id, used_bytes, inodes_used };
    FilesystemIdentifier { mountpoint };
    Int64Value { value };
    UInt64Value { value };
    PodSandboxConfig { metadata, hostname, log_directory, labels, annotations } ..theirs::PodSandboxConfig::default();
    PodSandboxMetadata { name, uid, namespace, attempt };
}
