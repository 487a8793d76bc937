//! `cri-imaged serve` as systemd runs it: ready when it is, stopped by SIGTERM, on a socket of its own or one passed on.

use std::cell::RefCell;
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

/// A process that does not outlive its test, not even one that fails.
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon, and what it says to the systemd that this test plays.
struct Daemon {
    child: Mortal,
    notifications: UnixDatagram,
    /// All lines so far: a state that is waited for may have been said before another one was.
    said: RefCell<Vec<String>>,
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
        Daemon { child: Mortal(child), notifications, said: RefCell::default(), directory }
    }

    /// Waits for the daemon to say `state`.
    #[track_caller]
    fn wait_for(&self, state: &str) {
        self.wait_until(|line| line == state);
    }

    /// The first line that `is_it`, of what the daemon has said or will say.
    #[track_caller]
    fn wait_until(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut said = self.said.borrow_mut();
        let mut message = [0; 4096];
        loop {
            if let Some(line) = said.iter().find(|line| is_it(line)) {
                return line.clone();
            }
            let count = self.notifications.recv(&mut message).expect("a notification in time");
            let text = std::str::from_utf8(&message[..count]).expect("UTF-8");
            said.extend(text.lines().map(str::to_owned));
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("cri.sock")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, signal).expect("it lives");
    }

    /// Its exit code and its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child.0.stderr.take().expect("piped").read_to_string(&mut log).expect("UTF-8");
        (self.child.0.wait().expect("it ends").code(), log)
    }
}

#[test]
fn starts_without_containerd_says_so_and_stops_on_sigterm() {
    let daemon = Daemon::start(&["--log-format", "json"]);
    daemon.wait_for("READY=1");
    UnixStream::connect(daemon.socket()).expect("served when it says so");
    let status = daemon.wait_until(|line| line.contains("No such file or directory"));
    let reason = status.strip_prefix("STATUS=waiting: ").expect("it waits for what is missing");
    let socket = daemon.socket();
    daemon.signal(Signal::TERM);
    daemon.wait_for("STOPPING=1");
    let (code, log) = daemon.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!Path::new(&socket).exists());
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let says_so = |line: &serde_json::Value| {
        line["fields"]["message"] == "not ready" && line["fields"]["reason"] == reason
    };
    assert!(lines.iter().any(says_so), "{log}");
    let says_where =
        |line: &serde_json::Value| line["fields"]["containerd"] == "/nonexistent/containerd.sock";
    assert!(lines.iter().any(says_where), "{log}");
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
    let Daemon { child, directory: _directory, .. } = daemon;
    drop(child);
    assert!(fs::symlink_metadata(&socket).is_ok(), "left behind");
    cri_server::Socket::bind(&socket).expect("replaced");
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
    let daemon = Daemon { child: Mortal(child), notifications, said: RefCell::default(), directory };
    daemon.wait_for("READY=1");
    let Ran { code, stderr, .. } = cri_imaged(&["images", "--socket", path.to_str().expect("UTF-8")], "");
    assert_eq!(code, Some(1), "no containerd, but an answer");
    assert!(stderr.contains("UNAVAILABLE"), "{stderr}");
    daemon.signal(Signal::TERM);
    daemon.wait_for("STOPPING=1");
    let Daemon { mut child, directory: _directory, .. } = daemon;
    assert!(child.0.wait().expect("it ends").success());
    assert!(path.exists(), "systemd's to keep");
}
