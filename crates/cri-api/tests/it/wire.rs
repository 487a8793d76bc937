//! Bytes of ours are bytes of `k8s-cri` 0.11, in both directions, for every message and any value.

use std::fmt::Debug;

use cri_api::v1::*;
use k8s_cri::v1 as theirs;
use proptest::prelude::*;
use prost::Message;

use crate::strategies;
use crate::twin::Twin;

/// Ours encoded is theirs with equal fields, and theirs encoded is ours again, but for what theirs does not know.
#[track_caller]
fn check<M>(message: M)
where
    M: Twin<Theirs: Message + Default + PartialEq + Debug> + Known + Message + Default + PartialEq + Debug,
{
    let decoded = M::Theirs::decode(message.encode_to_vec().as_slice()).expect("theirs reads ours");
    assert_eq!(decoded, message.twin());
    let back = M::decode(decoded.encode_to_vec().as_slice()).expect("ours reads theirs");
    assert_eq!(back, message.known());
}

/// Tells what is left of a message that went through `k8s-cri` 0.11, which does not know `ImageSpec.image_ref`.
trait Known: Clone {
    fn known(&self) -> Self {
        let mut known = self.clone();
        known.forget();
        known
    }
    fn forget(&mut self) {}
}

impl Known for ImageSpec {
    fn forget(&mut self) {
        self.image_ref.clear();
    }
}

macro_rules! known_through {
    ($($name:ident $(. $field:ident)?),* $(,)?) => { $(impl Known for $name {
        $(fn forget(&mut self) {
            self.$field.iter_mut().for_each(Known::forget);
        })?
    })* };
}
known_through!(
    ImageFilter.image,
    ListImagesRequest.filter,
    ListImagesResponse.images,
    Image.spec,
    ImageStatusRequest.image,
    ImageStatusResponse.image,
    AuthConfig,
    PullImageRequest.image,
    PullImageResponse,
    RemoveImageRequest.image,
    RemoveImageResponse,
    ImageFsInfoRequest,
    ImageFsInfoResponse,
    FilesystemUsage,
    FilesystemIdentifier,
    Int64Value,
    UInt64Value,
    PodSandboxConfig,
    PodSandboxMetadata,
);

macro_rules! same_on_the_wire {
    ($($message:ident),* $(,)?) => { proptest! { $(
        #[test]
        fn $message(message in strategies::$message()) { check(message); }
    )* } };
}
same_on_the_wire!(
    image_spec,
    image_filter,
    list_images_request,
    list_images_response,
    image,
    image_status_request,
    image_status_response,
    auth_config,
    pull_image_request,
    pull_image_response,
    remove_image_request,
    image_fs_info_response,
    filesystem_usage,
    filesystem_identifier,
    int64_value,
    uint64_value,
    pod_sandbox_config,
    pod_sandbox_metadata,
);

#[test]
fn messages_without_fields() {
    check(RemoveImageResponse {});
    check(ImageFsInfoRequest {});
}

proptest! {
    /// `k8s-cri` 0.11 has no `StreamImages`; its messages are those of `ListImages` under another name.
    #[test]
    fn stream_images_is_list_images(
        request in strategies::stream_images_request(), response in strategies::stream_images_response(),
    ) {
        let listed = theirs::ListImagesRequest::decode(request.encode_to_vec().as_slice()).expect("same form");
        prop_assert_eq!(listed, ListImagesRequest { filter: request.filter }.twin());
        let listed = theirs::ListImagesResponse::decode(response.encode_to_vec().as_slice()).expect("same form");
        prop_assert_eq!(listed, ListImagesResponse { images: response.images }.twin());
    }
}

#[test]
fn image_ref_is_field_20() {
    let spec = ImageSpec { image_ref: "a".into(), ..Default::default() };
    // Key = 20 << 3 | 2 (length-delimited) = 162, as a varint.
    assert_eq!(spec.encode_to_vec(), [0b1010_0010, 1, 1, b'a']);
}

#[test]
fn what_a_pod_has_more_is_skipped() {
    let pod = theirs::PodSandboxConfig {
        hostname: "host".into(),
        dns_config: Some(theirs::DnsConfig { servers: vec!["10.0.0.10".into()], ..Default::default() }),
        port_mappings: vec![theirs::PortMapping { host_port: 80, ..Default::default() }],
        linux: Some(theirs::LinuxPodSandboxConfig {
            cgroup_parent: "/kubepods".into(),
            ..Default::default()
        }),
        windows: Some(theirs::WindowsPodSandboxConfig::default()),
        ..Default::default()
    };
    let decoded =
        PodSandboxConfig::decode(pod.encode_to_vec().as_slice()).expect("unknown fields are no error");
    assert_eq!(decoded, PodSandboxConfig { hostname: "host".into(), ..Default::default() });
}
