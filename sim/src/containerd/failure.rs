//! containerd's error classes as gRPC statuses, with the class spelled at the end of the text as containerd does.

use tonic::{Code, Status};

pub(crate) fn not_found(what: impl AsRef<str>) -> Status {
    with_class(Code::NotFound, what.as_ref(), "not found")
}

pub(crate) fn already_exists(what: impl AsRef<str>) -> Status {
    with_class(Code::AlreadyExists, what.as_ref(), "already exists")
}

pub(crate) fn invalid_argument(what: impl AsRef<str>) -> Status {
    with_class(Code::InvalidArgument, what.as_ref(), "invalid argument")
}

pub(crate) fn failed_precondition(what: impl AsRef<str>) -> Status {
    with_class(Code::FailedPrecondition, what.as_ref(), "failed precondition")
}

pub(crate) fn unavailable(what: impl AsRef<str>) -> Status {
    with_class(Code::Unavailable, what.as_ref(), "unavailable")
}

fn with_class(code: Code, what: &str, class: &str) -> Status {
    Status::new(code, format!("{what}: {class}"))
}
