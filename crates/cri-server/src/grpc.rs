//! The gRPC server around the image service: its limits, nothing else.

use std::time::Duration;

use cri_api::v1::image_service_server::{ImageService, ImageServiceServer};
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower::layer::util::{Identity, Stack};

use crate::abort::Aborter;

/// What the kubelet and crictl send and accept at most (cri-client v0.36, `maxMsgSize`); gRPC's own 4 MiB are too few
/// for the list of a node with very many images.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Calls at a time on one connection: the kubelet has one for all pulls of its node. The client queues what is more.
const CALLS_PER_CONNECTION_MAX: u32 = 256;
/// A connection is asked this often whether anyone is there, so that the calls of a frozen client are dropped.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// And this long for the answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// For a request's metadata; the CRI has next to none.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// A server of `service` whose calls `aborter` can end.
///
/// No deadline of ours: a pull takes what it takes, and a client's own `grpc-timeout` is kept by tonic.
///
/// A Go client that dials the socket's path without setting an authority sends the path, percent-encoded, as
/// `:authority`; the h2 crate (0.4.20) refuses such a request as malformed, with PROTOCOL_ERROR and before anything
/// here sees it. kubelet, crictl and all users of `cri-client` set `localhost`; others must too (`grpc.WithAuthority`).
pub(crate) fn server<S: ImageService>(service: S, aborter: Aborter) -> Router<Stack<Aborter, Identity>> {
    let service = ImageServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .layer(aborter)
        .add_service(service)
}
