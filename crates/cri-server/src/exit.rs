//! How the process ends: its exit code, and the one line that says why.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for is done.
    Done,
    /// 1: it is not, and standard error or the output says why.
    Failed,
    /// 64 (`EX_USAGE` of sysexits.h): the command line or the configuration is wrong, so the same again fails again.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::Usage => ExitCode::from(64),
        }
    }
}

/// Says `error` with its whole chain on standard error, a line of it for each line of the error.
pub(crate) fn explain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // Nobody is left to tell where standard error is closed.
        let _ = writeln!(stderr, "cri-imaged: {line}");
    }
}
