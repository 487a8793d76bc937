//! How a test looks at an error of the CRI: its code, and that its one line says what and where.

use tonic::{Code, Status};

/// Fails unless `result` is an error of `code`, on one line, that contains every one of `parts`.
///
/// # Panics
/// Where any of that does not hold.
#[track_caller]
pub fn assert_status<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, parts: &[&str]) {
    let status = result.expect_err("the call must fail");
    assert_eq!(status.code(), code, "{status:?}");
    let message = status.message();
    assert!(!message.contains('\n'), "more than one line: {message:?}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in {message:?}");
    }
}
