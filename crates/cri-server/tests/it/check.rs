//! `cri-imaged check` as an operator runs it, without a daemon and without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use crate::program::{Ran, command};

/// A node's configuration: `config.toml`, and `certs.d` beside it.
struct Node(TempDir);

impl Node {
    /// `DIR` in a text stands for the node's directory.
    fn new(config: &str) -> Node {
        let node = Node(tempfile::tempdir().expect("a temporary directory"));
        node.with("config.toml", &format!("[registry]\nconfig_path = \"DIR/certs.d\"\n{config}"))
    }

    fn with(self, path: &str, text: &str) -> Node {
        let directory = self.0.path().to_string_lossy().into_owned();
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, text.replace("DIR", &directory)).expect("written");
        self
    }

    fn check(&self, arguments: &[&str], proxy: &str) -> Ran {
        let config = self.0.path().join("config.toml");
        let mut command = command(&["check", "--config", &config.to_string_lossy()]);
        for variable in ["HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "no_proxy"] {
            command.env_remove(variable);
        }
        command.env("HTTPS_PROXY", proxy).env("NO_PROXY", "10.0.0.0/8");
        let output = command.args(arguments).output().expect("it runs");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            assert!(!text.contains("hunter2"), "{text}");
            text.replace(&*self.0.path().to_string_lossy(), "DIR")
        };
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[track_caller]
fn check(ran: &Ran, code: i32, expected: Expect) {
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{}", ran.stdout);
    expected.assert_eq(&ran.stdout.replace(&oci_platform(), "PLATFORM"));
}

/// The one line that differs from machine to machine.
fn oci_platform() -> String {
    oci::Platform::host().to_string()
}

const HOSTS: &str = r#"
server = "https://registry.example"
[host."https://jane:hunter2@mirror.example:5000/hub"]
capabilities = ["pull"]
ca = "ca.pem"
dial_timeout = "3s"
[host."https://jane:hunter2@mirror.example:5000/hub".header]
x-key = "hunter2"
[host."http://10.1.2.3:5000"]
skip_verify = true
[host."http://127.0.0.1:1"]
"#;

fn authority() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/check/ca.pem")).expect("there")
}

#[test]
fn the_plan_of_a_registry_with_mirrors() {
    let node = Node::new(
        r#"
[registry."registry.example"]
proxy = "socks5h://jane:hunter2@socks.example:1080"
credentials = { file = "DIR/secret" }
credential_domain = ["mirror.example:5000"]
[registry."10.1.2.3:5000"]
credentials = { docker_config = "DIR/config.json" }
"#,
    )
    .with("certs.d/registry.example/hosts.toml", HOSTS)
    .with("certs.d/registry.example/ca.pem", &authority())
    .with("secret", "username = \"jane\"\npassword = \"hunter2\"\n")
    .with("config.json", r#"{"auths":{"10.1.2.3:5000":{"auth":"amFuZTpodW50ZXIy"}}}"#);
    for secret in ["secret", "config.json", "config.toml"] {
        fs::set_permissions(node.0.path().join(secret), fs::Permissions::from_mode(0o600)).expect("set");
    }
    let ran = node.check(&["registry.example/team/app"], "http://jane:hunter2@proxy.example:3128");
    check(
        &ran,
        0,
        expect![[r#"
        reference    registry.example/team/app:latest
        platform     PLATFORM
        hosts from   DIR/certs.d/registry.example
        fallback     always

        1. mirror.example:5000 (mirror)
           url          https://mirror.example:5000/hub/v2/team/app/manifests/latest?ns=registry.example
           asked for    content only, not what a tag points at
           trusts       the system's authorities and DIR/certs.d/registry.example/ca.pem
           headers      x-key
           timeout      3000 ms to connect
           proxy        http://proxy.example:3128
           credentials  the kubelet's, else file DIR/secret

        2. 10.1.2.3:5000 (mirror)
           url          https://10.1.2.3:5000/v2/team/app/manifests/latest?ns=registry.example
           asked for    everything
           scheme       https, then http where the host speaks no TLS
           trusts       any certificate, unverified
           timeout      30000 ms to connect
           proxy        none
           credentials  docker configuration DIR/config.json

        3. 127.0.0.1:1 (mirror)
           url          http://127.0.0.1:1/v2/team/app/manifests/latest?ns=registry.example
           asked for    everything
           timeout      30000 ms to connect
           proxy        none
           credentials  none

        4. registry.example (registry)
           url          https://registry.example/v2/team/app/manifests/latest
           asked for    everything
           trusts       the system's authorities
           timeout      30000 ms to connect
           proxy        socks5h://socks.example:1080
           credentials  the kubelet's, else file DIR/secret
    "#]],
    );
}

#[test]
fn a_registry_that_nothing_is_said_of() {
    let ran = Node::new("").check(&["busybox:1.36"], "");
    check(
        &ran,
        0,
        expect![[r#"
        reference    docker.io/library/busybox:1.36
        platform     PLATFORM
        hosts from   (no directory in certs.d)
        fallback     always

        1. registry-1.docker.io (registry)
           url          https://registry-1.docker.io/v2/library/busybox/manifests/1.36
           asked for    everything
           trusts       the system's authorities
           timeout      30000 ms to connect
           proxy        none
           credentials  the kubelet's
    "#]],
    );
}

#[test]
fn the_same_as_json() {
    let node = Node::new("[registry.\"r.example\"]\ncredentials = { helper = \"none\" }");
    let ran = node.check(
        &[
            "r.example/a@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "-o",
            "json",
        ],
        "",
    );
    assert_eq!(ran.code, Some(1), "there is no such helper");
    let mut report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    // The directories of the PATH of whoever runs this.
    let problem = report["problems"][0].as_str().expect("one").to_owned();
    assert!(
        problem.starts_with("cannot run the credential helper `docker-credential-none`: not found in `/"),
        "{problem}"
    );
    report["problems"] = serde_json::json!([]);
    report["platform"] = serde_json::json!("PLATFORM");
    expect![[r#"
        {
          "fallback": "always",
          "hosts": [
            {
              "ca": [],
              "capabilities": [
                "pull",
                "resolve"
              ],
              "client": [],
              "dial_timeout_ms": 30000,
              "headers": [],
              "kubelet_credentials": true,
              "may_resolve": true,
              "name": "r.example",
              "node_credentials": "program docker-credential-none",
              "proxy": null,
              "role": "registry",
              "schemes": [
                "https"
              ],
              "skip_verify": false,
              "url": "https://r.example/v2/a/manifests/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            }
          ],
          "hosts_directory": null,
          "platform": "PLATFORM",
          "problems": [],
          "reference": "r.example/a@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          "warnings": []
        }"#]].assert_eq(&serde_json::to_string_pretty(&report).expect("JSON"));
}

#[test]
fn mistakes_have_their_file_and_line() {
    let node = Node::new("")
        .with("certs.d/r.example/hosts.toml", "server = \"https://r.example\"\ncapabilities = [\"serve\"]");
    check(
        &node.check(&["r.example/a"], ""),
        1,
        expect![[r#"
            reference    r.example/a:latest
            platform     PLATFORM
            hosts from   DIR/certs.d/r.example
            fallback     always

            problems
               `DIR/certs.d/r.example/hosts.toml` line 2: unknown capability `serve`
        "#]],
    );

    let node = Node::new("[registry.\"r.example\"]\nfallback = \"never\"");
    check(
        &node.check(&["r.example/a"], ""),
        1,
        expect![[r#"
        reference    r.example/a:latest
        platform     PLATFORM
        hosts from   (no directory in certs.d)
        fallback     never

        problems
           no mirror of `r.example` is configured, and its `fallback` is `never`
    "#]],
    );

    let node = Node::new("")
        .with("certs.d/r.example/hosts.toml", "server = \"https://r.example\"\ncapabilities = [\"pull\"]");
    check(
        &node.check(&["r.example/a"], ""),
        1,
        expect![[r#"
        reference    r.example/a:latest
        platform     PLATFORM
        hosts from   DIR/certs.d/r.example
        fallback     always

        1. r.example (registry)
           url          https://r.example/v2/a/manifests/latest
           asked for    content only, not what a tag points at
           trusts       the system's authorities
           timeout      30000 ms to connect
           proxy        none
           credentials  the kubelet's

        problems
           no host may be asked what the reference points at
    "#]],
    );

    let node = Node::new("[registry.\"r.example\"]\ncredentials.file = \"DIR/secret\"")
        .with("secret", "password = \"hunter2\"");
    fs::set_permissions(node.0.path().join("secret"), fs::Permissions::from_mode(0o644)).expect("set");
    check(
        &node.check(&["r.example/a"], ""),
        1,
        expect![[r#"
        reference    r.example/a:latest
        platform     PLATFORM
        hosts from   (no directory in certs.d)
        fallback     always

        1. r.example (registry)
           url          https://r.example/v2/a/manifests/latest
           asked for    everything
           trusts       the system's authorities
           timeout      30000 ms to connect
           proxy        none
           credentials  the kubelet's, else file DIR/secret

        problems
           cannot use the credentials in `DIR/secret`: the file has mode 0644, so every user of this machine may read or change it: `chmod o-rw` it
    "#]],
    );
}

#[test]
fn a_key_that_means_nothing_is_a_warning() {
    let node = Node::new("")
        .with("certs.d/r.example/hosts.toml", "server = \"https://r.example\"\n\ncapabilites = [\"pull\"]");
    check(
        &node.check(&["r.example/a"], ""),
        0,
        expect![[r#"
        reference    r.example/a:latest
        platform     PLATFORM
        hosts from   DIR/certs.d/r.example
        fallback     always

        1. r.example (registry)
           url          https://r.example/v2/a/manifests/latest
           asked for    everything
           trusts       the system's authorities
           timeout      30000 ms to connect
           proxy        none
           credentials  the kubelet's

        warnings
           `DIR/certs.d/r.example/hosts.toml` line 3: unknown key `capabilites` is ignored
    "#]],
    );

    let node = Node::new("[registry.\"r.example\"]\nproxy = \"http://jane:hunter2@proxy.example\"");
    let ran = node.check(&["r.example/a"], "");
    let warning = "\nwarnings\n   `DIR/config.toml` has a proxy's password and every user may read it\n";
    assert!(ran.stdout.ends_with(warning), "{}", ran.stdout);
}

#[test]
fn a_wrong_configuration_is_usage_and_a_wrong_reference_a_failure() {
    let node = Node::new("[registry.\"r.example\"]\nfallback = 1");
    let ran = node.check(&["r.example/a"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(64), ""));
    assert!(
        ran.stderr.contains("config.toml:4: `registry.\"r.example\".fallback` must be a string"),
        "{}",
        ran.stderr
    );
    let ran = Node::new("").check(&["R.example/UPPER"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
}

#[test]
fn a_probe_of_a_port_where_nobody_listens() {
    let node = Node::new("").with("certs.d/r.example/hosts.toml", "server = \"http://127.0.0.1:1\"");
    let ran = node.check(&["r.example/a", "--probe", "--output", "json"], "");
    assert_eq!(ran.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["served"], false);
    let steps = report["hosts"][0]["probe"]["steps"].as_array().expect("a list");
    assert_eq!((steps.len(), &steps[0]["step"]), (1, &serde_json::json!("connect")));
    let error = steps[0]["error"].as_str().expect("an error");
    assert!(error.starts_with("cannot connect to `127.0.0.1:1`: ") && error.contains("refused"), "{error}");
}
