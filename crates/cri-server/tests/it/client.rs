//! The commands that ask a daemon, run as programs against one in this process.

use expect_test::{Expect, expect};

use crate::dummy::Served;
use crate::program::{Ran, cri_imaged};

/// Runs the command against `served`; answers the exit code, standard output and standard error, one after the other.
async fn check(served: &Served, arguments: &[&str], expect: Expect) {
    let socket = served.config.socket.to_str().expect("UTF-8").to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--socket", &socket]);
        cri_imaged(&arguments, "")
    });
    let Ran { code, stdout, stderr } = ran.await.expect("no panic");
    expect.assert_eq(&format!("exit {code:?}\n{stdout}{stderr}"));
}

#[tokio::test]
async fn images() {
    let served = Served::start().await;
    check(
        &served,
        &["images"],
        expect![[r#"
        exit Some(0)
        IMAGE                           ID                  SIZE
        a.example/b:1                   1f1f1f1f1f1f      4.3 MB
        docker.io/library/busybox:1.36  1f1f1f1f1f1f      4.3 MB
    "#]],
    )
    .await;
    check(
        &served,
        &["images", "--output", "json"],
        expect![[r#"
        exit Some(0)
        {
          "images": [
            {
              "id": "sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
              "pinned": false,
              "repoDigests": [],
              "repoTags": [
                "a.example/b:1"
              ],
              "size": 4261550,
              "uid": 0,
              "username": ""
            },
            {
              "id": "sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
              "pinned": false,
              "repoDigests": [],
              "repoTags": [
                "docker.io/library/busybox:1.36"
              ],
              "size": 4261550,
              "uid": 0,
              "username": ""
            }
          ]
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn status() {
    let served = Served::start().await;
    check(
        &served,
        &["status", "a.example/b:1"],
        expect![[r#"
        exit Some(0)
        id:      sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f
        name:    a.example/b:1
        size:    4261550 bytes
        uid:     0
        pinned:  false
    "#]],
    )
    .await;
    check(
        &served,
        &["status", "a.example/b:1", "--verbose", "-o", "json"],
        expect![[r#"
        exit Some(0)
        {
          "info": {
            "info": {
              "chainID": "sha256:00"
            }
          },
          "status": {
            "id": "sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
            "pinned": false,
            "repoDigests": [],
            "repoTags": [
              "a.example/b:1"
            ],
            "size": 4261550,
            "uid": 0,
            "username": ""
          }
        }
    "#]],
    )
    .await;
    check(
        &served,
        &["status", "absent"],
        expect![[r#"
        exit Some(1)
        cri-imaged: no image `absent`
    "#]],
    )
    .await;
}

#[tokio::test]
async fn pull() {
    let served = Served::start().await;
    served.dummy.finish.notify_one();
    check(
        &served,
        &["pull", "busybox"],
        expect![[r#"
        exit Some(0)
        sha256:1f
    "#]],
    )
    .await;
    served.dummy.finish.notify_one();
    check(
        &served,
        &["pull", "busybox", "-o", "json"],
        expect![[r#"
        exit Some(0)
        {
          "imageRef": "sha256:1f"
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn remove() {
    let served = Served::start().await;
    check(
        &served,
        &["rm", "a", "b"],
        expect![[r#"
        exit Some(0)
        removed a
        removed b
    "#]],
    )
    .await;
    check(
        &served,
        &["rm", "a", ""],
        expect![[r#"
        exit Some(1)
        removed a
        cri-imaged: cannot remove ``: INVALID_ARGUMENT: no image is named
    "#]],
    )
    .await;
}
