//! The CRI v1 `ImageService`: messages, client and server, wire-compatible with Kubernetes' cri-api 0.36.
//!
//! ```
//! use cri_api::v1::{ImageSpec, PullImageRequest};
//!
//! let image = ImageSpec { image: "docker.io/library/busybox:1.36".into(), ..Default::default() };
//! let request = PullImageRequest { image: Some(image), ..Default::default() };
//! assert!(request.auth.is_none(), "an anonymous pull");
//! ```
//!
//! Generated at build time from `proto/cri/image_service.proto`, which says what every field means. It is ours, because
//! no published crate has the current interface, and small, because the runtime half of the CRI is containerd's.
//! What it must agree with is proven in `tests/it`: the wire form against the stubs of the `k8s-cri` crate, and names,
//! numbers and types against a committed table, so that they change on purpose only.
//!
//! Prints no secrets: [`v1::AuthConfig`] masks them in its `Debug`, and so does every message that holds one.

mod auth_config;

/// Messages, client and server of the protobuf package `runtime.v1`.
#[expect(clippy::allow_attributes_without_reason, reason = "the code is tonic's generator's")]
pub mod v1 {
    tonic::include_proto!("runtime.v1");
}
