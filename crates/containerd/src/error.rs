//! The one reading of a gRPC status from containerd.

use std::time::Duration;

use tonic::{Code, Status};

/// Longest message of containerd's that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A call to containerd that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("containerd {operation} `{subject}`: {message}")]
pub struct CallError {
    operation: &'static str,
    subject: String,
    kind: ErrorKind,
    message: String,
}

/// What a failed call means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object is not there.
    NotFound,
    /// An object of that name is there already.
    AlreadyExists,
    /// The object's state forbids it: a snapshot with children, a target that changed.
    FailedPrecondition,
    /// Another writer holds the ingest; it will be free when that one ends.
    Locked,
    /// The file system of containerd is full.
    NoSpace,
    /// containerd cannot be reached, or it went away during the call.
    Unavailable,
    /// The call took longer than its deadline.
    Deadline,
    /// containerd, or this version of it, does not serve the call.
    Unimplemented,
    /// The bytes do not match the digest or size that was announced.
    Mismatch,
    /// Anything else: containerd's own trouble.
    Other,
}

impl CallError {
    /// What it means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// Whether an object of that name is there already.
    pub fn is_already_exists(&self) -> bool {
        self.kind == ErrorKind::AlreadyExists
    }

    /// Whether containerd did not answer: the call may have had its effect.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Deadline)
    }

    pub(crate) fn from_status(operation: &'static str, subject: &str, status: &Status) -> CallError {
        let mut message: String = status.message().chars().take(MESSAGE_BYTES_MAX).collect();
        // A transport error's own message may be the bare "transport error"; the reason is in its sources.
        let mut source = std::error::Error::source(status);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        CallError { operation, subject: subject.to_owned(), kind: kind(status), message }
    }

    pub(crate) fn deadline(operation: &'static str, subject: &str, limit: Duration) -> CallError {
        CallError::local(
            operation,
            subject,
            ErrorKind::Deadline,
            format!("no answer within {} s", limit.as_secs()),
        )
    }

    /// An answer that is none, or a failure on this side of the call.
    pub(crate) fn local(
        operation: &'static str,
        subject: &str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> CallError {
        CallError { operation, subject: subject.to_owned(), kind, message: message.into() }
    }
}

fn kind(status: &Status) -> ErrorKind {
    let message = status.message();
    // containerd passes ENOSPC on as text only: its error package has no class for it, so the code is Unknown.
    if message.contains("no space left on device") || message.contains("disk quota exceeded") {
        return ErrorKind::NoSpace;
    }
    match status.code() {
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        // A commit whose bytes are not those announced answers FailedPrecondition
        // (plugins/content/local/writer.go, v2.3.4).
        Code::FailedPrecondition if message.contains("unexpected commit") => ErrorKind::Mismatch,
        Code::FailedPrecondition => ErrorKind::FailedPrecondition,
        // The content store answers Unavailable for an ingest that another writer holds
        // (plugins/content/local/locks.go, v2.3.4); a broken connection has a source beneath.
        Code::Unavailable if message.contains("locked") => ErrorKind::Locked,
        Code::Unavailable | Code::Cancelled => ErrorKind::Unavailable,
        _ if std::error::Error::source(status).is_some() => ErrorKind::Unavailable,
        Code::DeadlineExceeded => ErrorKind::Deadline,
        Code::Unimplemented => ErrorKind::Unimplemented,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, message: &str, expected: ErrorKind) {
        assert_eq!(
            CallError::from_status("test", "x", &Status::new(code, message)).kind(),
            expected,
            "{code:?} {message}"
        );
    }

    #[test]
    fn statuses_of_containerd_get_their_meaning() {
        check(Code::NotFound, "image \"x\": not found", ErrorKind::NotFound);
        check(
            Code::Unavailable,
            "ref layer-sha256:00 locked for 3s (since now): unavailable",
            ErrorKind::Locked,
        );
        check(Code::Unavailable, "error reading from server: EOF", ErrorKind::Unavailable);
        check(Code::Unknown, "write /var/lib/x: no space left on device", ErrorKind::NoSpace);
        check(
            Code::FailedPrecondition,
            "unexpected commit digest sha256:00, expected sha256:11: failed precondition",
            ErrorKind::Mismatch,
        );
        check(Code::FailedPrecondition, "cannot remove snapshot with child", ErrorKind::FailedPrecondition);
        check(Code::Internal, "boom", ErrorKind::Other);
    }

    #[test]
    fn a_message_of_any_length_is_kept_short() {
        let error = CallError::from_status("test", "x", &Status::unknown("y".repeat(1 << 20)));
        assert!(error.to_string().len() < 2048);
    }
}
