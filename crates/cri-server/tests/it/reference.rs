//! `cri-imaged reference`, run as a program.

use expect_test::{Expect, expect};

use crate::program::{Ran, cri_imaged};

#[track_caller]
fn check(arguments: &[&str], stdin: &str, exit: i32, expect: Expect) {
    let Ran { code, stdout, stderr } = cri_imaged(&[&["reference"], arguments].concat(), stdin);
    expect.assert_eq(&stdout);
    assert_eq!((code, stderr.as_str()), (Some(exit), ""));
}

#[test]
fn a_line_for_each_argument() {
    check(
        &[
            "busybox",
            "localhost:5000/a/b:v1",
            "busybox:1@sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa",
        ],
        "",
        0,
        expect![[r#"
            {"input":"busybox","ok":true,"registry":"docker.io","repository":"library/busybox","tag":"latest","canonical":"docker.io/library/busybox:latest","familiar":"busybox:latest"}
            {"input":"localhost:5000/a/b:v1","ok":true,"registry":"localhost:5000","repository":"a/b","tag":"v1","canonical":"localhost:5000/a/b:v1","familiar":"localhost:5000/a/b:v1"}
            {"input":"busybox:1@sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa","ok":true,"registry":"docker.io","repository":"library/busybox","digest":"sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa","canonical":"docker.io/library/busybox@sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa","familiar":"busybox@sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa"}
        "#]],
    );
}

#[test]
fn one_that_does_not_parse_is_reported_in_its_place() {
    check(
        &["a/B", "a/b"],
        "",
        1,
        expect![[r#"
        {"input":"a/B","ok":false,"error":"invalid reference `a/B` at byte 2: `B` is upper case, which a repository cannot have"}
        {"input":"a/b","ok":true,"registry":"docker.io","repository":"a/b","tag":"latest","canonical":"docker.io/a/b:latest","familiar":"a/b:latest"}
    "#]],
    );
}

#[test]
fn a_dash_reads_json_strings() {
    check(
        &["-"],
        "\"busybox\"\n\"a/\\u0062\"\n",
        0,
        expect![[r#"
        {"input":"busybox","ok":true,"registry":"docker.io","repository":"library/busybox","tag":"latest","canonical":"docker.io/library/busybox:latest","familiar":"busybox:latest"}
        {"input":"a/b","ok":true,"registry":"docker.io","repository":"a/b","tag":"latest","canonical":"docker.io/a/b:latest","familiar":"a/b:latest"}
    "#]],
    );
}

#[test]
fn lines_without_a_json_string_are_reported_in_the_same_form() {
    check(
        &["-", "a"],
        "busybox\n\n[\"a\"]\n\"ok\"",
        1,
        expect![[r#"
        {"input":"busybox","ok":false,"error":"the line is not a JSON string: expected value at line 1 column 1"}
        {"input":"","ok":false,"error":"the line is not a JSON string: EOF while parsing a value at line 1 column 0"}
        {"input":"[\"a\"]","ok":false,"error":"the line is not a JSON string: invalid type: sequence, expected a string at line 1 column 0"}
        {"input":"ok","ok":true,"registry":"docker.io","repository":"library/ok","tag":"latest","canonical":"docker.io/library/ok:latest","familiar":"ok:latest"}
        {"input":"a","ok":true,"registry":"docker.io","repository":"library/a","tag":"latest","canonical":"docker.io/library/a:latest","familiar":"a:latest"}
    "#]],
    );
}

#[test]
fn a_line_beyond_the_bound_is_refused_and_the_next_one_read() {
    let long = format!("\"{}\"\n\"ok\"\n", "a".repeat(200 << 10));
    let Ran { code, stdout, .. } = cri_imaged(&["reference", "-"], &long);
    assert_eq!(code, Some(1));
    let shown: Vec<String> =
        stdout.lines().map(|line| line.replace(&"a".repeat((64 << 10) - 1), "a..")).collect();
    expect![[r#"
        {"input":"\"a..","ok":false,"error":"the line is longer than 65536 bytes"}
        {"input":"ok","ok":true,"registry":"docker.io","repository":"library/ok","tag":"latest","canonical":"docker.io/library/ok:latest","familiar":"ok:latest"}"#]].assert_eq(&shown.join("\n"));
}

#[test]
fn the_longest_line_within_the_bound_is_parsed() {
    let line = format!("\"{}\"\n\"ok\"\n", "a".repeat((64 << 10) - 3));
    let Ran { stdout, .. } = cri_imaged(&["reference", "-"], &line);
    assert_eq!(stdout.lines().count(), 2);
    assert!(!stdout.contains("longer than 65536"), "refused by refparse, not by the bound");
}
