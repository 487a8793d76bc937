//! Any value of each message, for proptest.

use std::collections::BTreeMap;

use cri_api::v1::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Empty often enough: proto3 leaves a default value off the wire.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{1,12}"]
}

fn map() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

/// A message of one field of a message's own strategy, or of several, as a strategy function.
macro_rules! strategies {
    ($($function:ident -> $name:ident { $($field:ident: $strategy:expr),* };)*) => { $(
        pub(crate) fn $function() -> impl Strategy<Value = $name> {
            ($($strategy,)*).prop_map(|($($field,)*)| $name { $($field),* })
        }
    )* };
}

strategies! {
    image_spec -> ImageSpec {
        image: text(), annotations: map(), user_specified_image: text(), runtime_handler: text(), image_ref: text()
    };
    image_filter -> ImageFilter { image: option::of(image_spec()) };
    list_images_request -> ListImagesRequest { filter: option::of(image_filter()) };
    list_images_response -> ListImagesResponse { images: vec(image(), 0..4) };
    stream_images_request -> StreamImagesRequest { filter: option::of(image_filter()) };
    stream_images_response -> StreamImagesResponse { images: vec(image(), 0..4) };
    image -> Image {
        id: text(), repo_tags: vec(text(), 0..3), repo_digests: vec(text(), 0..3), size: any::<u64>(),
        uid: option::of(int64_value()), username: text(), spec: option::of(image_spec()), pinned: any::<bool>()
    };
    image_status_request -> ImageStatusRequest { image: option::of(image_spec()), verbose: any::<bool>() };
    image_status_response -> ImageStatusResponse { image: option::of(image()), info: map() };
    auth_config -> AuthConfig {
        username: text(), password: text(), auth: text(), server_address: text(), identity_token: text(),
        registry_token: text()
    };
    pull_image_request -> PullImageRequest {
        image: option::of(image_spec()), auth: option::of(auth_config()),
        sandbox_config: option::of(pod_sandbox_config())
    };
    pull_image_response -> PullImageResponse { image_ref: text() };
    remove_image_request -> RemoveImageRequest { image: option::of(image_spec()) };
    image_fs_info_response -> ImageFsInfoResponse {
        image_filesystems: vec(filesystem_usage(), 0..3), container_filesystems: vec(filesystem_usage(), 0..3)
    };
    filesystem_usage -> FilesystemUsage {
        timestamp: any::<i64>(), fs_id: option::of(filesystem_identifier()), used_bytes: option::of(uint64_value()),
        inodes_used: option::of(uint64_value())
    };
    filesystem_identifier -> FilesystemIdentifier { mountpoint: text() };
    int64_value -> Int64Value { value: any::<i64>() };
    uint64_value -> UInt64Value { value: any::<u64>() };
    pod_sandbox_config -> PodSandboxConfig {
        metadata: option::of(pod_sandbox_metadata()), hostname: text(), log_directory: text(), labels: map(),
        annotations: map()
    };
    pod_sandbox_metadata -> PodSandboxMetadata {
        name: text(), uid: text(), namespace: text(), attempt: any::<u32>()
    };
}
