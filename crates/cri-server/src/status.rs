//! The one mapping from our errors to what a CRI client is told: a code, and one line that says what and where.
//!
//! The kubelet shows the line to users, and reads two prefixes in it (`k8s.io/cri-api/pkg/errors`): a pull whose
//! registry cannot be reached must have code `Unknown` and begin with `RegistryUnavailable`. The line must be the same
//! for the same failure, because the kubelet drops the prefix when several attempts differ.

use std::error::Error;

use containerd::ErrorKind;
use imagestore::StoreError;
use puller::{Origin, PullError};
use refparse::Reference;
use registry::Kind;
use tonic::{Code, Status};

/// Longest line, in bytes: a status travels in HTTP trailers, and Go's peers limit them.
const LINE_BYTES_MAX: usize = 4096;

/// The error and its causes as one line.
pub(crate) fn line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A transparent error has the text of its source.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = cause.source();
    }
    let cut = (0..=LINE_BYTES_MAX.min(line.len())).rev().find(|&at| line.is_char_boundary(at));
    line.truncate(cut.unwrap_or_default());
    line
}

/// What the client gave is no such thing.
pub(crate) fn invalid(error: &dyn Error) -> Status {
    Status::invalid_argument(line(error))
}

/// A failed call to containerd.
pub(crate) fn from_containerd(error: &containerd::CallError) -> Status {
    Status::new(containerd_code(error.kind()), line(error))
}

/// A failed operation of the store.
pub(crate) fn from_store(error: &StoreError) -> Status {
    Status::new(store_code(error), line(error))
}

/// A failed pull of `reference`.
pub(crate) fn from_pull(reference: &Reference, error: &PullError) -> Status {
    let (code, prefix) = pull_code(error);
    Status::new(code, format!("{prefix}pull `{reference}`: {}", line(error)))
}

fn pull_code(error: &PullError) -> (Code, &'static str) {
    let code = match error {
        PullError::Resolve(source) => return registry_code(source.kind()),
        PullError::Fetch { source, .. } => return registry_code(source.kind()),
        PullError::Verify { .. } | PullError::DiffId { .. } => Code::DataLoss,
        PullError::Document { .. }
        | PullError::Schema1 { .. }
        | PullError::TooDeep { .. }
        | PullError::LayerSize { .. }
        | PullError::Decompress { .. } => Code::InvalidArgument,
        PullError::Unpack { source, .. } if source.is_no_space() => Code::ResourceExhausted,
        PullError::Unpack { .. } if error.origin() == Origin::Image => Code::InvalidArgument,
        PullError::NoPlatform { .. } => Code::NotFound,
        PullError::LayerMediaType { .. }
        | PullError::Artifact { source: oci::ArtifactError::NoFiles { .. }, .. } => Code::Unimplemented,
        PullError::Artifact { .. } => Code::InvalidArgument,
        PullError::Containerd(source) => containerd_code(source.kind()),
        PullError::Store(source) => store_code(source),
        PullError::SnapshotContended { .. } | PullError::IngestStalled { .. } => Code::Aborted,
        PullError::NotVisible { .. } => Code::FailedPrecondition,
        _ => Code::Internal,
    };
    (code, "")
}

fn registry_code(kind: Kind) -> (Code, &'static str) {
    let code = match kind {
        Kind::Unreachable | Kind::Stalled => return (Code::Unknown, "RegistryUnavailable: "),
        Kind::NotFound => Code::NotFound,
        Kind::Unauthorized { .. } => Code::Unauthenticated,
        Kind::Denied { .. } => Code::PermissionDenied,
        Kind::RateLimited => Code::ResourceExhausted,
        Kind::Tls | Kind::Config => Code::FailedPrecondition,
        Kind::DigestMismatch | Kind::SizeMismatch => Code::DataLoss,
        Kind::UnsupportedMediaType => Code::Unimplemented,
        Kind::TooLarge => Code::OutOfRange,
        Kind::Server => Code::Unavailable,
        _ => Code::Internal,
    };
    (code, "")
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Lookup(_) => Code::InvalidArgument,
        StoreError::NotReady(_) => Code::Unavailable,
        StoreError::Containerd(source) => containerd_code(source.kind()),
        StoreError::Contended { .. } | StoreError::RemoveContended { .. } => Code::Aborted,
        _ => Code::Internal,
    }
}

fn containerd_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NoSpace => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Deadline => Code::DeadlineExceeded,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Mismatch => Code::DataLoss,
        ErrorKind::Locked => Code::Aborted,
        _ => Code::Internal,
    }
}
