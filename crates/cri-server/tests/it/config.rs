//! Every fault of a configuration at once, each with its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cri_server::{Config, CriAddress, DEFAULT_TOML, Flags};
use expect_test::{Expect, expect};

use crate::program::cri_imaged;

/// What reading `text` says: the configuration, or all that is wrong.
#[track_caller]
fn check(text: &str, expect: Expect) {
    let said = match Config::parse(text, Path::new("node.toml")) {
        Ok(config) => format!("{config:#?}\n"),
        Err(errors) => format!("{errors}\n"),
    };
    expect.assert_eq(&said);
}

#[test]
fn every_fault_is_reported_at_once_with_its_line() {
    check(
        r#"soket = "/run/a.sock"
snapshotter = "native"
socket = "run/a.sock"

[containerd]
adress = "/run/containerd.sock"
address = 7
namespace = "k8s..io"
cri_address = true

[registri]
config_path = "/a"

[registry]
config_path = "/a:b"

[metrics]
address = "0.0.0.0:9091"
port = 9091
"#,
        expect![[r#"
            node.toml:1: unknown key `soket`, did you mean `socket`?
            node.toml:2: unknown key `snapshotter`, did you mean `containerd.snapshotter`?
            node.toml:3: `socket` cannot be `run/a.sock`: must be an absolute path
            node.toml:6: unknown key `containerd.adress`, did you mean `containerd.address`?
            node.toml:7: `containerd.address` must be a string, not integer
            node.toml:8: `containerd.namespace` cannot be `k8s..io`: must be letters and digits with single `-`, `_` or `.` between them
            node.toml:9: `containerd.cri_address` must be a string, not boolean
            node.toml:11: unknown table `registri`, did you mean `registry`?
            node.toml:15: `registry.config_path` cannot be `/a:b`: must be an absolute path
            node.toml:18: `metrics.address` cannot be `0.0.0.0:9091`: must be a loopback address
            node.toml:19: unknown key `metrics.port`
        "#]],
    );
}

#[test]
fn syntax_errors_stand_beside_the_other_faults() {
    check(
        r#"socket = /run/a.sock
[containerd]
adress = "x"
namespace = "k8s.io
[metrics]
address = "localhost:1"
address = "127.0.0.1:1"
"#,
        expect![[r#"
            node.toml:1: not valid TOML: string values must be quoted, expected literal string
            node.toml:3: unknown key `containerd.adress`, did you mean `containerd.address`?
            node.toml:4: not valid TOML: invalid basic string, expected `"`
            node.toml:6: `metrics.address` cannot be `localhost:1`: must be an IP address and a port, as in `127.0.0.1:9091`
            node.toml:7: not valid TOML: duplicate key
        "#]],
    );
}

#[test]
fn a_table_that_is_none() {
    check(
        "containerd = '/run/containerd.sock'",
        expect![[r#"
        node.toml:1: `containerd` must be a table, not string
    "#]],
    );
}

#[test]
fn all_keys_set() {
    check(
        r#"
socket = "unix:///run/i.sock"
[containerd]
address = "/run/c.sock"
namespace = "moby"
snapshotter = "native"
cri_address = "/run/cri.sock"
[registry]
config_path = "/etc/a:/etc/b"
schema1 = "reject"
dial_timeout = "1m30s"
header_timeout = "0"
stall_timeout = "1s"
stall_bytes = 1
range_width = 1
streams_per_host = 2
streams = 3
[pull]
resume_within = "90m"
[unpack]
method = "differ"
layers = "discard"
workers = 3
niceness = 19
[metrics]
address = "[::1]:9091"
"#,
        expect![[r#"
            Config {
                socket: "/run/i.sock",
                containerd: ContainerdConfig {
                    address: "/run/c.sock",
                    namespace: "moby",
                    snapshotter: "native",
                    cri: Socket(
                        "/run/cri.sock",
                    ),
                },
                registry: RegistryConfig {
                    config_path: [
                        "/etc/a",
                        "/etc/b",
                    ],
                    hosts: {},
                    schema1: Reject,
                    network: NetworkConfig {
                        dial_timeout: 90s,
                        header_timeout: 0ns,
                        stall_timeout: 1s,
                        stall_bytes: 1,
                        range_width: 1,
                        streams_per_host: 2,
                        streams: 3,
                    },
                },
                pull: PullConfig {
                    resume_within: 5400s,
                },
                unpack: UnpackConfig {
                    method: Differ,
                    layers: Discard,
                    workers: Some(
                        3,
                    ),
                    niceness: 19,
                },
                metrics: MetricsConfig {
                    address: Some(
                        [::1]:9091,
                    ),
                },
            }
        "#]],
    );
}

#[test]
fn the_time_of_an_interrupted_pull() {
    check(
        "[pull]\nresume_within = '24h1s'",
        expect![[r#"
            node.toml:2: `pull.resume_within` cannot be `24h1s`: must be a duration of at most 24 h, as in `30s` or `1h30m`; `0` is none
        "#]],
    );
}

#[test]
fn limits_of_the_network() {
    check(
        "[registry]\ndial_timeout = '30'\nheader_timeout = '-1s'\nstall_timeout = 30\nstall_bytes = -1\nrange_width = 0\n\
         streams_per_host = 1025\nstreams = '3'",
        expect![[r#"
            node.toml:2: `registry.dial_timeout` cannot be `30`: must be a duration, as in `30s` or `1m30s`; `0` is no limit
            node.toml:3: `registry.header_timeout` cannot be `-1s`: must be a duration, as in `30s` or `1m30s`; `0` is no limit
            node.toml:4: `registry.stall_timeout` must be a string, not integer
            node.toml:5: `registry.stall_bytes` cannot be `-1`: must be a whole number from 0 to 1073741824
            node.toml:6: `registry.range_width` cannot be `0`: must be a whole number from 1 to 64
            node.toml:7: `registry.streams_per_host` cannot be `1025`: must be a whole number from 1 to 1024
            node.toml:8: `registry.streams` must be a whole number, not string
        "#]],
    );
}

#[test]
fn bounds_of_paths_and_names() {
    let long_path = format!("/{}", "a".repeat(107));
    let long_name = "a".repeat(77);
    let error = Config::parse(
        &format!("socket = '{long_path}'\n[containerd]\nnamespace = '{long_name}'\nsnapshotter = ''"),
        Path::new("node.toml"),
    )
    .expect_err("all three are out of bounds");
    let said: Vec<String> = error
        .problems()
        .iter()
        .map(|problem| problem.to_string().replace(&long_path, "/a..").replace(&long_name, "a.."))
        .collect();
    expect![[r#"
        [
            "node.toml:1: `socket` cannot be `/a..`: must be at most 107 bytes long",
            "node.toml:3: `containerd.namespace` cannot be `a..`: must be at most 76 bytes long",
            "node.toml:4: `containerd.snapshotter` cannot be ``: must be letters and digits with single `-`, `_` or `.` between them",
        ]
    "#]].assert_debug_eq(&said);
    let longest = format!("socket = '/{}'\n[containerd]\nnamespace = '{}'", "a".repeat(106), "a".repeat(76));
    Config::parse(&longest, Path::new("node.toml")).expect("the bounds themselves are allowed");
}

#[test]
fn words_of_schema_1() {
    check(
        "[registry]\nschema1 = 'ignore'",
        expect![[r#"
            node.toml:2: `registry.schema1` cannot be `ignore`: must be `convert` or `reject`
        "#]],
    );
}

#[test]
fn words_and_numbers_of_unpacking() {
    check(
        "[unpack]\nmethod = 'native'\nlayers = 'drop'\nworkers = '2'\nniceness = -1",
        expect![[r#"
            node.toml:2: `unpack.method` cannot be `native`: must be `auto` or `differ`
            node.toml:3: `unpack.layers` cannot be `drop`: must be `keep` or `discard`
            node.toml:4: `unpack.workers` must be a whole number, not string
            node.toml:5: `unpack.niceness` cannot be `-1`: must be a whole number from 0 to 19
        "#]],
    );
}

#[test]
fn tables_of_single_hosts() {
    let text = r#"
[registry."docker.io"]
fallback = "never"
proxy = "http://jane:hunter2@proxy.example:3128"
credentials = { docker_config = "/etc/docker/config.json" }
credential_domain = ["mirror.example:5000", "[::1]:5000"]
[registry."mirror.example:5000"]
fallback = "always"
proxy = "none"
credentials.helper = "ecr-login"
[registry.localhost]
credentials.file = "/etc/secret"
"#;
    let config = Config::parse(text, Path::new("node.toml")).expect("valid");
    expect![[r#"
        {
            docker.io: RegistrySettings {
                fallback: Never,
                proxy: Some(
                    Through(
                        ProxyUrl(http://proxy.example:3128),
                    ),
                ),
                credentials: Some(
                    DockerConfig(
                        "/etc/docker/config.json",
                    ),
                ),
                credential_domain: {
                    [::1]:5000,
                    mirror.example:5000,
                },
            },
            localhost: RegistrySettings {
                fallback: Always,
                proxy: None,
                credentials: Some(
                    File(
                        "/etc/secret",
                    ),
                ),
                credential_domain: {},
            },
            mirror.example:5000: RegistrySettings {
                fallback: Always,
                proxy: Some(
                    Direct,
                ),
                credentials: Some(
                    Helper(
                        "ecr-login",
                    ),
                ),
                credential_domain: {},
            },
        }
    "#]]
    .assert_debug_eq(&config.registry.hosts);
}

#[test]
fn faults_of_single_hosts() {
    check(
        r#"[registry]
config_pth = "/a"
[registry."r.example"]
fallback = "sometimes"
proxy = "http://jane:hunter2@proxy.example/path"
credentials = { file = "secret" }
credential_domain = ["mirror.example", "word", 7]
falback = "never"
[registry."m.example"]
proxy = "ftp://jane:hunter2@proxy.example"
credentials = "/etc/secret"
credential_domain = "mirror.example"
[registry."n.example"]
credentials = { file = "/etc/secret", helper = "x" }
[registry."n.example:443"]
credentials.helper = "../evil"
[registry."o.example"]
credentials.docker-config = "/etc/secret"
[registry.p.example]
fallback = "never"
[registry."https://q.example"]
"#,
        expect![[r#"
            node.toml:2: unknown key `registry.config_pth`, did you mean `registry.config_path`?
            node.toml:4: `registry."r.example".fallback` cannot be `sometimes`: must be `always` or `never`
            node.toml:5: `registry."r.example".proxy` has a value that it cannot have: must end with the port, without a path
            node.toml:6: `registry."r.example".credentials.file` cannot be `secret`: must be an absolute path
            node.toml:7: `registry."r.example".credential_domain` cannot be `word`: must be a host, with its port where that is not the default one: `"registry.example:5000"`, in quotes
            node.toml:8: unknown key `registry."r.example".falback`, did you mean `registry."r.example".fallback`?
            node.toml:10: `registry."m.example".proxy` has a value that it cannot have: must begin with `http://`, `https://`, `socks5://` or `socks5h://`
            node.toml:11: `registry."m.example".credentials` must be a table, not string
            node.toml:12: `registry."m.example".credential_domain` must be a list of strings, not string
            node.toml:14: `registry."n.example".credentials` has a value that it cannot have: must have one of `file`, `docker_config` and `helper`
            node.toml:15: `registry."n.example:443"` has a value that it cannot have: is the same host as another table's
            node.toml:16: `registry."n.example:443".credentials.helper` cannot be `../evil`: must be what follows `docker-credential-` in the name of a program
            node.toml:18: unknown key `registry."o.example".credentials.docker-config`, did you mean `registry."o.example".credentials.docker_config`?
            node.toml:19: `registry."p"` has a value that it cannot have: must be a host, with its port where that is not the default one: `"registry.example:5000"`, in quotes
            node.toml:21: `registry."https://q.example"` has a value that it cannot have: must be a host, with its port where that is not the default one: `"registry.example:5000"`, in quotes
        "#]],
    );
}

#[test]
fn the_default_file_is_the_default_and_names_every_key() {
    assert_eq!(Config::parse(DEFAULT_TOML, Path::new("default.toml")).expect("valid"), Config::default());
    // The one key whose default is another key's value stands there as a comment.
    let commented = DEFAULT_TOML.replace("# cri_address", "cri_address");
    let config = Config::parse(&commented, Path::new("default.toml")).expect("valid");
    // What is said of hosts is an example that can be taken as it is.
    let example: String = DEFAULT_TOML
        .lines()
        .skip_while(|line| !line.starts_with("# [registry."))
        .map_while(|line| line.strip_prefix("# ").or(line.strip_prefix('#')))
        .map(|line| format!("{line}\n"))
        .collect();
    let hosts = Config::parse(&example, Path::new("default.toml")).expect("valid").registry.hosts;
    assert_eq!(hosts.len(), 1);
    assert_eq!(config.containerd.cri, CriAddress::Socket(Config::default().containerd.address));
    // A key that is given twice is an error of the parser, so a file that names a key says so when it is named again.
    let flags: BTreeSet<&str> =
        DEFAULT_TOML.lines().filter_map(|line| line.strip_prefix("# Flag: ")).collect();
    let keys = commented.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
    assert_eq!(flags.len(), keys);
}

#[test]
fn each_flag_sets_its_own_key_and_stands_in_the_help() {
    let flag = |text: &str| Some(text.to_owned());
    let flags = Flags {
        config: Some("/dev/null".into()),
        socket: flag("/s"),
        containerd_address: flag("/c"),
        containerd_namespace: flag("n"),
        containerd_snapshotter: flag("s"),
        containerd_cri_address: flag("/cri"),
        registry_config_path: flag("/r1:/r2"),
        registry_schema1: flag("reject"),
        registry_dial_timeout: flag("1s"),
        registry_header_timeout: flag("2s"),
        registry_stall_timeout: flag("0"),
        registry_stall_bytes: flag("3"),
        registry_range_width: flag("4"),
        registry_streams_per_host: flag("5"),
        registry_streams: flag("6"),
        pull_resume_within: flag("7s"),
        unpack_method: flag("differ"),
        unpack_layers: flag("discard"),
        unpack_workers: flag("7"),
        unpack_niceness: flag("11"),
        metrics_address: flag("127.0.0.1:1"),
    };
    let text = "socket = '/s'\n[containerd]\naddress = '/c'\nnamespace = 'n'\nsnapshotter = 's'\ncri_address = '/cri'\n\
        [registry]\nconfig_path = '/r1:/r2'\nschema1 = 'reject'\n\
        dial_timeout = '1s'\nheader_timeout = '2s'\nstall_timeout = '0'\nstall_bytes = 3\nrange_width = 4\n\
        streams_per_host = 5\nstreams = 6\n[pull]\nresume_within = '7s'\n[unpack]\nmethod = 'differ'\nlayers = 'discard'\n\
        workers = 7\nniceness = 11\n[metrics]\naddress = '127.0.0.1:1'";
    assert_eq!(
        Config::load(&flags).expect("valid"),
        Config::parse(text, Path::new("node.toml")).expect("valid")
    );

    let help = cri_imaged(&["serve", "--help"], "").stdout;
    for flag in DEFAULT_TOML.lines().filter_map(|line| line.strip_prefix("# Flag: ")) {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
}

#[test]
fn cri_address_follows_containerd_unless_set() {
    let cri = |text: &str| {
        let config = Config::parse(text, Path::new("node.toml")).expect("valid");
        config.containerd.cri_address().map(|path| path.display().to_string())
    };
    assert_eq!(cri(""), Some("/run/containerd/containerd.sock".into()));
    assert_eq!(cri("[containerd]\naddress = '/run/k3s.sock'"), Some("/run/k3s.sock".into()));
    assert_eq!(
        cri("[containerd]\naddress = '/run/k3s.sock'\ncri_address = '/run/b.sock'"),
        Some("/run/b.sock".into())
    );
    assert_eq!(cri("[containerd]\ncri_address = ''"), None);
}

#[test]
fn flags_win_over_the_file_and_are_checked_with_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("config.toml");
    fs::write(&file, "socket = '/run/file.sock'\n[containerd]\nsnapshotter = 'file'").expect("written");
    let flags =
        Flags { config: Some(file.clone()), socket: Some("/run/flag.sock".into()), ..Flags::default() };
    let config = Config::load(&flags).expect("valid");
    assert_eq!(config.socket, Path::new("/run/flag.sock"));
    assert_eq!(config.containerd.snapshotter, "file");

    fs::write(&file, "sock = 1").expect("written");
    let flags = Flags { metrics_address: Some("9091".into()), ..flags };
    let errors = Config::load(&flags).expect_err("two faults").to_string();
    expect![[r#"
        DIR/config.toml:1: unknown key `sock`, did you mean `socket`?
        --metrics-address: `metrics.address` cannot be `9091`: must be an IP address and a port, as in `127.0.0.1:9091`"#]].assert_eq(&errors.replace(&*directory.path().to_string_lossy(), "DIR"));
}

#[test]
fn a_named_file_must_be_there_and_be_of_some_size() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("config.toml");
    let load = || {
        let errors =
            Config::load(&Flags { config: Some(file.clone()), ..Flags::default() }).expect_err("a fault");
        errors.to_string().replace(&*directory.path().to_string_lossy(), "DIR")
    };
    expect!["DIR/config.toml: cannot read the configuration: No such file or directory (os error 2)"]
        .assert_eq(&load());
    fs::write(&file, "#".repeat((1 << 20) + 1)).expect("written");
    expect!["DIR/config.toml: longer than 1048576 bytes"].assert_eq(&load());
}
