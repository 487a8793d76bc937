//! 0 done, 1 failed, 64 usage or configuration; what is to be read stands where it is looked for.

use std::fs;

use expect_test::expect;

use crate::program::{Ran, cri_imaged};

#[test]
fn help_and_version_are_done() {
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["help", "pull"]] {
        let Ran { code, stdout, stderr } = cri_imaged(arguments, "");
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!stdout.is_empty());
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    for arguments in [
        &[][..],
        &["bogus"],
        &["pull"],
        &["serve", "--bogus"],
        &["reference"],
        &["images", "--output", "xml"],
    ] {
        let Ran { code, stdout, stderr } = cri_imaged(arguments, "");
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(!stderr.is_empty());
    }
}

#[test]
fn a_wrong_configuration_is_usage_for_check_and_serve_alike() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("config.toml");
    fs::write(&file, "sokcet = ''\n[metrics]\naddress = ':9091'").expect("written");
    let file = file.to_str().expect("UTF-8");
    let said = [&["config", "check", file][..], &["serve", "--config", file]].map(|arguments| {
        let Ran { code, stdout, stderr } = cri_imaged(arguments, "");
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{arguments:?}");
        stderr.replace(file, "FILE")
    });
    assert_eq!(said[0], said[1]);
    expect![[r#"
        cri-imaged: FILE:1: unknown key `sokcet`, did you mean `socket`?
        cri-imaged: FILE:3: `metrics.address` cannot be `:9091`: must be an IP address and a port, as in `127.0.0.1:9091`
    "#]]
    .assert_eq(&said[0]);
    let Ran { code, stderr, .. } = cri_imaged(&["serve", "--socket", "a", "--metrics-address", "b"], "");
    assert_eq!(code, Some(64));
    expect![[r#"
        cri-imaged: --socket: `socket` cannot be `a`: must be an absolute path
        cri-imaged: --metrics-address: `metrics.address` cannot be `b`: must be an IP address and a port, as in `127.0.0.1:9091`
    "#]].assert_eq(&stderr);
    let Ran { code, stderr, .. } = cri_imaged(&["serve", "--log-level", "info,=x="], "");
    assert_eq!(code, Some(64));
    expect![[r#"
        cri-imaged: cannot read the log filter `info,=x=`: invalid filter directive
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn the_default_configuration_is_accepted_by_check() {
    let Ran { code, stdout, .. } = cri_imaged(&["config", "default"], "");
    assert_eq!(code, Some(0));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("config.toml");
    fs::write(&file, stdout).expect("written");
    let Ran { code, stderr, .. } = cri_imaged(&["config", "check", file.to_str().expect("UTF-8")], "");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_daemon_that_is_not_there_is_failed() {
    let Ran { code, stdout, stderr } = cri_imaged(&["images", "--socket", "/nonexistent/cri.sock"], "");
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    expect![[r#"
        cri-imaged: cannot reach the daemon at `/nonexistent/cri.sock`: No such file or directory (os error 2)
    "#]]
    .assert_eq(&stderr);
}
