//! Runs the program `cri-imaged`.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a run of it left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, with nothing of this process's environment that it heeds.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cri-imaged"));
    command.args(arguments);
    for variable in ["RUST_LOG", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it to its end.
pub(crate) fn cri_imaged(arguments: &[&str], stdin: &str) -> Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdin.take().expect("piped");
    let text = stdin.to_owned();
    // In a thread: both sides could wait for the other to read.
    let writer = std::thread::spawn(move || {
        // A program that ends before it has read all closes the pipe.
        let _ = pipe.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}
