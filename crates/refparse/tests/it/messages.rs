//! The text of errors, as a user reads it: every kind once.

use expect_test::{Expect, expect};
use refparse::{Digest, Reference};

#[track_caller]
fn check(inputs: &[&str], expected: Expect) {
    let texts =
        inputs.iter().map(|input| Reference::parse(input).expect_err("the input is wrong").to_string());
    expected.assert_eq(&(texts.collect::<Vec<_>>().join("\n") + "\n"));
}

#[test]
fn the_whole() {
    check(
        &["", &"7c".repeat(32)],
        expect![[r#"
        invalid reference `` at byte 0: the reference is empty
        invalid reference `7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c` at byte 0: 64 hex digits are an image id, which cannot be a repository
    "#]],
    );
}

#[test]
fn the_registry() {
    check(
        &[
            "https://example.com/app",
            ":5000/app",
            "a..b/app",
            "a-.b/app",
            "[::1%eth0]/app",
            "example.com:http/app",
            "user@example.com/app",
        ],
        expect![[r#"
            invalid reference `https://example.com/app` at byte 0: a reference begins with the registry, without a scheme
            invalid reference `:5000/app` at byte 0: the registry has no host
            invalid reference `a..b/app` at byte 2: the registry has a dot with nothing beside it
            invalid reference `a-.b/app` at byte 1: a label of the registry's host cannot begin or end with a hyphen
            invalid reference `[::1%eth0]/app` at byte 4: the registry's address must be hex digits and colons between `[` and `]`
            invalid reference `example.com:http/app` at byte 12: the registry's port must be decimal digits
            invalid reference `user@example.com/app` at byte 4: the registry cannot have `@`
        "#]],
    );
}

#[test]
fn the_repository() {
    check(
        &["example.com/", "a//b", "a..b", "App", "a b", "app\u{1b}[31m", &"a".repeat(300)],
        expect![[r#"
            invalid reference `example.com/` at byte 12: the repository is missing
            invalid reference `a//b` at byte 2: the repository has nothing beside a slash
            invalid reference `a..b` at byte 2: the repository must have letters or digits on both sides of `.`, `_`, `__` or hyphens
            invalid reference `App` at byte 0: `A` is upper case, which a repository cannot have
            invalid reference `a b` at byte 1: the repository cannot have ` `
            invalid reference `app\u{1b}[31m` at byte 3: the repository cannot have `\u{1b}`
            invalid reference `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`… (300 bytes) at byte 247: the repository has 308 bytes, more than 255
        "#]],
    );
}

#[test]
fn the_tag() {
    check(
        &["app:", "app:.x", "app:x\u{202e}y", "app:x\ny", &format!("app:{}", "x".repeat(129))],
        expect![[r#"
            invalid reference `app:` at byte 4: the tag is missing
            invalid reference `app:.x` at byte 4: the tag cannot begin with `.`
            invalid reference `app:x\u{202e}y` at byte 5: the tag cannot have `\u{202e}`
            invalid reference `app:x\ny` at byte 5: the tag cannot have `\n`
            invalid reference `app:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` at byte 132: the tag has 129 bytes, more than 128
        "#]],
    );
}

#[test]
fn the_digest() {
    check(
        &["app@", "app@sha256", "app@md5:00", "app@sha256:Aa", "app@sha256:xy", "app:v1@sha256:7c"],
        expect![[r#"
            invalid reference `app@` at byte 4: the digest is missing
            invalid reference `app@sha256` at byte 10: the digest has no colon after its algorithm
            invalid reference `app@md5:00` at byte 4: the digest's algorithm is unknown, known are sha256, sha384 and sha512
            invalid reference `app@sha256:Aa` at byte 11: `A` is upper case, which a digest cannot have
            invalid reference `app@sha256:xy` at byte 11: the digest cannot have `x` after the colon
            invalid reference `app:v1@sha256:7c` at byte 16: the digest has 2 hex digits, its algorithm has 64
        "#]],
    );
}

#[test]
fn a_digest_alone() {
    let error = Digest::parse("sha256:7c").expect_err("it is too short");
    expect!["invalid digest `sha256:7c` at byte 9: the digest has 2 hex digits, its algorithm has 64"]
        .assert_eq(&error.to_string());
}
