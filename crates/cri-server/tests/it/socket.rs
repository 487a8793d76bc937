//! Who may have the socket's path, with what mode, and until when.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use cri_server::{Socket, SocketError};
use tempfile::TempDir;

fn path() -> (PathBuf, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    (directory.path().join("cri-imaged.sock"), directory)
}

/// Leaves what a daemon that was killed leaves.
fn make_stale(path: &Path) {
    drop(UnixListener::bind(path).expect("binds"));
    assert!(UnixStream::connect(path).is_err(), "stale");
}

#[test]
fn mode_is_0600_and_missing_directories_are_made_0755() {
    let (path, directory) = path();
    let path = path.with_file_name("run").join("cri-imaged").join("a.sock");
    let _socket = Socket::bind(&path).expect("binds");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory.path().join("run/cri-imaged")), 0o755);
    UnixStream::connect(&path).expect("it listens");
}

#[test]
fn a_stale_socket_is_replaced() {
    let (path, _directory) = path();
    make_stale(&path);
    let _socket = Socket::bind(&path).expect("binds");
    UnixStream::connect(&path).expect("it listens");
}

#[test]
fn a_socket_of_a_daemon_that_lives_is_refused() {
    let (path, _directory) = path();
    let _first = Socket::bind(&path).expect("binds");
    let error = Socket::bind(&path).expect_err("in use");
    assert!(matches!(error, SocketError::Locked { .. }), "{error}");
    UnixStream::connect(&path).expect("the first one's socket is untouched");
}

#[test]
fn a_socket_of_another_program_that_lives_is_refused() {
    let (path, _directory) = path();
    let other = UnixListener::bind(&path).expect("binds");
    let error = Socket::bind(&path).expect_err("in use").to_string();
    assert_eq!(error, format!("socket `{}` is in use: a program listens on it", path.display()));
    UnixStream::connect(&path).expect("untouched");
    drop(other);

    fs::remove_file(&path).expect("removed");
    let _datagrams = UnixDatagram::bind(&path).expect("binds");
    assert!(
        matches!(Socket::bind(&path), Err(SocketError::InUse { .. })),
        "a socket of another type is in use too"
    );
}

#[test]
fn a_live_socket_with_a_full_backlog_is_refused_at_once() {
    let (path, _directory) = path();
    let other = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None);
    let other = other.expect("a socket");
    rustix::net::bind(&other, &rustix::net::SocketAddrUnix::new(&path).expect("a path")).expect("binds");
    rustix::net::listen(&other, 0).expect("listens");
    // A backlog of 0 takes one connection.
    let _waiting = UnixStream::connect(&path).expect("the backlog has a place");
    assert!(matches!(Socket::bind(&path), Err(SocketError::InUse { .. })));
}

#[test]
fn what_is_no_socket_is_refused_and_left() {
    let (path, _directory) = path();
    fs::write(&path, "precious").expect("written");
    let error = Socket::bind(&path).expect_err("refused");
    assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("there"), "precious");

    // Not what a symbolic link points at either: the link would be replaced.
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("elsewhere", &path).expect("linked");
    assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket { .. })));
}

#[test]
fn of_daemons_that_start_at_once_one_wins_and_its_socket_works() {
    const DAEMONS: usize = 8;
    for _ in 0..20 {
        let (path, _directory) = path();
        make_stale(&path);
        let start = Barrier::new(DAEMONS);
        let results: Vec<_> = thread::scope(|scope| {
            let daemon = || {
                start.wait();
                Socket::bind(&path)
            };
            let threads: Vec<_> = (0..DAEMONS).map(|_| scope.spawn(daemon)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        UnixStream::connect(&path).expect("the winner's socket is the one at the path");
    }
}

#[tokio::test]
async fn the_place_goes_with_its_holder_and_not_with_the_listener() {
    let (path, _directory) = path();
    let (listener, place) = Socket::bind(&path).expect("binds").into_parts().expect("listens");
    drop(listener);
    assert!(UnixStream::connect(&path).is_err(), "nobody accepts any longer");
    assert!(matches!(Socket::bind(&path), Err(SocketError::Locked { .. })), "the drain is not over");
    drop(place);
    assert!(!path.exists());
    Socket::bind(&path).expect("the next daemon starts");
}

#[test]
fn a_socket_that_another_put_there_is_left_at_the_end() {
    let (path, _directory) = path();
    let ours = Socket::bind(&path).expect("binds");
    fs::remove_file(&path).expect("removed");
    let _theirs = UnixListener::bind(&path).expect("binds");
    drop(ours);
    assert!(fs::metadata(&path).expect("there").file_type().is_socket());
    UnixStream::connect(&path).expect("theirs still listens");
}
