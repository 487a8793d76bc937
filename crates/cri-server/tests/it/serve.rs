//! `cri-imaged serve` as systemd runs it: ready when it is, stopped by SIGTERM, on a socket of its own or one passed on.

use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Ran, command, cri_imaged};

/// Far above what a start takes on a loaded machine; a test that fails waits no longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon, and what it says to the systemd that this test plays.
struct Daemon {
    child: Child,
    notifications: UnixDatagram,
    directory: TempDir,
}

impl Daemon {
    fn start(flags: &[&str]) -> Daemon {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let notify = directory.path().join("notify");
        let notifications = UnixDatagram::bind(&notify).expect("binds");
        notifications.set_read_timeout(Some(PATIENCE)).expect("set");
        let socket = directory.path().join("cri.sock");
        let child = command(&["serve", "--socket", socket.to_str().expect("UTF-8")])
            .args(flags)
            // The machine's own configuration and containerd are none of this test's business.
            .args(["--config", "/dev/null", "--containerd-address", "/nonexistent/containerd.sock"])
            .env("NOTIFY_SOCKET", &notify)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Daemon { child, notifications, directory }
    }

    /// Reads what the daemon says up to `state`.
    #[track_caller]
    fn wait_for(&self, state: &str) {
        let mut message = [0; 4096];
        loop {
            let count = self.notifications.recv(&mut message).expect("a notification in time");
            if std::str::from_utf8(&message[..count]).expect("UTF-8").lines().any(|line| line == state) {
                return;
            }
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("cri.sock")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it lives");
    }

    /// Its exit code and its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("UTF-8");
        (self.child.wait().expect("it ends").code(), log)
    }
}

#[test]
fn starts_without_containerd_says_so_and_stops_on_sigterm() {
    let daemon = Daemon::start(&["--log-format", "json"]);
    daemon.wait_for("READY=1");
    UnixStream::connect(daemon.socket()).expect("served when it says so");
    let socket = daemon.socket();
    daemon.signal(Signal::TERM);
    daemon.wait_for("STOPPING=1");
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!Path::new(&socket).exists());
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let waits = |line: &serde_json::Value| line["fields"]["message"] == "not ready";
    let reason =
        &lines.iter().find(|line| waits(line)).expect("it says what it waits for")["fields"]["reason"];
    assert!(reason.as_str().expect("text").contains("/nonexistent/containerd.sock"), "{reason}");
}

#[test]
fn sigint_stops_it_too() {
    let daemon = Daemon::start(&[]);
    daemon.wait_for("READY=1");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn a_second_daemon_on_the_same_socket_fails_and_the_first_goes_on() {
    let daemon = Daemon::start(&[]);
    daemon.wait_for("READY=1");
    let socket = daemon.socket();
    let Ran { code, stderr, .. } =
        cri_imaged(&["serve", "--config", "/dev/null", "--socket", socket.to_str().expect("UTF-8")], "");
    assert_eq!(code, Some(1));
    expect![[r#"
        cri-imaged: cannot take the socket: socket `SOCKET` is in use: another cri-imaged holds the lock `SOCKET.lock`
    "#]].assert_eq(&stderr.replace(&*socket.to_string_lossy(), "SOCKET"));
    UnixStream::connect(&socket).expect("untouched");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn a_daemon_that_was_killed_is_no_obstacle_to_the_next() {
    let daemon = Daemon::start(&[]);
    daemon.wait_for("READY=1");
    daemon.signal(Signal::KILL);
    let socket = daemon.socket();
    let directory = {
        let Daemon { mut child, directory, .. } = daemon;
        child.wait().expect("it ends");
        directory
    };
    assert!(fs::symlink_metadata(&socket).is_ok(), "left behind");
    let next = cri_server::Socket::bind(&socket).expect("replaced");
    drop((next, directory));
}

#[test]
fn a_socket_that_systemd_passes_on_is_served_and_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("activated.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("binds");
    let notify = directory.path().join("notify");
    let notifications = UnixDatagram::bind(&notify).expect("binds");
    notifications.set_read_timeout(Some(PATIENCE)).expect("set");
    // LISTEN_PID is known only after the fork, so a shell sets it and becomes the daemon: exec keeps the pid.
    let script = r#"exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --config /dev/null --socket /nonexistent/unused --containerd-address /nonexistent/c.sock"#;
    let child = std::process::Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_cri-imaged")])
        .env("NOTIFY_SOCKET", &notify)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let daemon = Daemon { child, notifications, directory };
    daemon.wait_for("READY=1");
    let Ran { code, stderr, .. } = cri_imaged(&["images", "--socket", path.to_str().expect("UTF-8")], "");
    assert_eq!(code, Some(1), "no containerd, but an answer");
    assert!(stderr.contains("UNAVAILABLE"), "{stderr}");
    daemon.signal(Signal::TERM);
    daemon.wait_for("STOPPING=1");
    let directory = daemon.directory.path().to_owned();
    let Daemon { mut child, directory: kept, .. } = daemon;
    assert!(child.wait().expect("it ends").success());
    assert!(directory.join("activated.sock").exists(), "systemd's to keep");
    drop(kept);
}
