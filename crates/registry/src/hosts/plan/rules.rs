//! The rules of containerd 2.3.4 for `hosts.toml` (core/remotes/docker/config/hosts.go), one a line of a table, and what
//! becomes of each here. Rules in which we differ on purpose say so.

use std::fs;

use super::*;

/// A rule, a file (with the registry that it is for), and the hosts that are asked.
struct Rule {
    says: &'static str,
    registry: &'static str,
    file: &'static str,
    hosts: &'static [&'static str],
}

const fn rule(says: &'static str, file: &'static str, hosts: &'static [&'static str]) -> Rule {
    Rule { says, registry: "r.example", file, hosts }
}

const fn rule_for(
    registry: &'static str,
    says: &'static str,
    file: &'static str,
    hosts: &'static [&'static str],
) -> Rule {
    Rule { says, registry, file, hosts }
}

/// A host in words: protocols and base; then only what is not as it is without configuration.
fn words(host: &Host) -> String {
    let scheme = match host.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
        Scheme::HttpsThenHttp => "https|http",
    };
    let mut words = vec![format!("{scheme}://{}{}", host.authority, host.path)];
    words.extend(host.mirror_of.as_ref().map(|registry| format!("ns={registry}")));
    match (host.capabilities.pull, host.capabilities.resolve) {
        (true, true) => {}
        (true, false) => words.push("pull".to_owned()),
        (false, true) => words.push("resolve".to_owned()),
        (false, false) => words.push("nothing".to_owned()),
    }
    words.extend(host.tls.skip_verify.then(|| "unverified".to_owned()));
    words.extend((!host.ca.is_empty()).then(|| format!("ca={}", host.ca.len())));
    words.extend((!host.client.is_empty()).then(|| format!("client={}", host.client.len())));
    for (name, value) in &host.header {
        words.push(format!("{name}:{}", value.to_str().unwrap()));
    }
    words.extend(host.dial_timeout.map(|timeout| format!("dial={timeout:?}")));
    words.join(" ")
}

const OWN: &str = "https://r.example/v2";

const RULES: &[Rule] = &[
    rule("without hosts the registry itself is asked", " ", &[OWN]),
    rule_for("docker.io", "Docker Hub is asked where it serves", " ", &["https://registry-1.docker.io/v2"]),
    rule(
        "`server` is asked instead of the registry",
        "server = 'https://s.example'",
        &["https://s.example/v2 ns=r.example"],
    ),
    rule("an empty `server` is none", "server = ''", &[OWN]),
    rule_for(
        "docker.io",
        "the host that serves Docker Hub is not its mirror",
        "server = 'https://registry-1.docker.io'",
        &["https://registry-1.docker.io/v2"],
    ),
    rule(
        "hosts are asked in the order of the file, and then `server`",
        "server = 'https://s.example'\n[host.'https://b.example']\n[host.'https://a.example']",
        &[
            "https://b.example/v2 ns=r.example",
            "https://a.example/v2 ns=r.example",
            "https://s.example/v2 ns=r.example",
        ],
    ),
    rule(
        "a table of headers alone makes a host",
        "[host.'https://m.example'.header]\nx = '1'",
        &["https://m.example/v2 ns=r.example x:1", OWN],
    ),
    rule(
        "an address without scheme is https",
        "[host.'m.example:5000']",
        &["https://m.example:5000/v2 ns=r.example", OWN],
    ),
    rule(
        "user information is no part of the host",
        "[host.'https://jane:pw@m.example']",
        &["https://m.example/v2 ns=r.example", OWN],
    ),
    rule("`/v2` is added to a path", "server = 'https://r.example/hub'", &["https://r.example/hub/v2"]),
    rule("and not where it is", "server = 'https://r.example/hub/v2/'", &["https://r.example/hub/v2"]),
    rule("a path is cleaned first", "server = 'https://r.example//a/./b/../v2'", &["https://r.example/a/v2"]),
    rule(
        "`override_path` adds nothing",
        "server = 'https://r.example/hub/'\noverride_path = true",
        &["https://r.example/hub"],
    ),
    rule("a query is no part of the path", "server = 'https://r.example/?a=b'", &[OWN]),
    rule("no capabilities are all", "server = 'https://r.example'\ncapabilities = []", &[OWN]),
    rule(
        "capabilities in any case",
        "server = 'https://r.example'\ncapabilities = ['Pull', 'PUSH', 'referrers']",
        &["https://r.example/v2 pull"],
    ),
    rule(
        "a host that may only be pushed to is asked nothing",
        "server = 'https://r.example'\ncapabilities = ['push']",
        &["https://r.example/v2 nothing"],
    ),
    rule("without `server`, capabilities of the file mean nothing", "capabilities = ['pull']", &[OWN]),
    rule(
        "other fields of the file are the registry's without `server` too",
        "dial_timeout = '3s'\n[header]\nx = ['1', '2']",
        &["https://r.example/v2 x:1 x:2 dial=3s"],
    ),
    rule(
        "`ca` is a file or a list",
        "ca = 'ca.pem'\n[host.'https://m.example']\nca = ['ca.pem', 'ca.pem']",
        &["https://m.example/v2 ns=r.example ca=2", "https://r.example/v2 ca=1"],
    ),
    rule(
        "`client` is a file, a list of files, or of pairs",
        "client = 'both.pem'\n[host.'https://m.example']\nclient = ['both.pem', ['both.pem', 'both.pem']]",
        &["https://m.example/v2 ns=r.example client=2", "https://r.example/v2 client=1"],
    ),
    rule(
        "a plain host is plain",
        "server = 'http://r.example:5000'",
        &["http://r.example:5000/v2 ns=r.example"],
    ),
    rule(
        "with any setting of TLS it is tried with that first",
        "server = 'http://r.example'\nskip_verify = false",
        &["https|http://r.example/v2"],
    ),
    rule(
        "an empty list of authorities is a setting",
        "server = 'http://r.example'\nca = []",
        &["https|http://r.example/v2"],
    ),
    rule(
        "an empty list of clients is none",
        "server = 'http://r.example'\nclient = []",
        &["http://r.example/v2"],
    ),
    rule(
        "port 80 says that it is plain",
        "server = 'http://r.example:80'\nskip_verify = true",
        &["http://r.example:80/v2 ns=r.example unverified"],
    ),
    rule("`skip_verify`", "skip_verify = true", &["https://r.example/v2 unverified"]),
    rule_for(
        "localhost:5000",
        "a loopback registry is not verified, and may be plain",
        " ",
        &["https|http://localhost:5000/v2 unverified"],
    ),
    rule_for("127.0.0.1:443", "but not on port 443", " ", &["https://127.0.0.1:443/v2 unverified"]),
    rule_for("[::1]:80", "and is on port 80", " ", &["http://[::1]:80/v2"]),
    rule_for(
        "localhost:5000",
        "unless it has a `server`",
        "server = 'https://localhost:5000'",
        &["https://localhost:5000/v2"],
    ),
    rule(
        "keys are known in any case",
        "Server = 'https://s.example'\nDIAL_TIMEOUT = '1m'",
        &["https://s.example/v2 ns=r.example dial=60s"],
    ),
    rule("but not that of the hosts", "[Host.'https://m.example']", &[OWN]),
    rule("keys that are not known mean nothing", "future = 1", &[OWN]),
    // Where we differ on purpose.
    rule(
        "hosts in a form that containerd overlooks are asked",
        "host = { 'https://m.example' = {} }",
        &["https://m.example/v2 ns=r.example", OWN],
    ),
    rule("a timeout of nothing is the default, not none at all", "dial_timeout = '0s'", &[OWN]),
    rule(
        "a host is asked once, however its tables are mixed",
        "[host.'https://a.example']\n[host.'https://b.example']\n[host.'https://a.example'.header]\nx = '1'",
        &["https://a.example/v2 ns=r.example x:1", "https://b.example/v2 ns=r.example", OWN],
    ),
    rule(
        "a name that begins with `http` needs no scheme either",
        "server = 'httpbin.example'",
        &["https://httpbin.example/v2 ns=r.example"],
    ),
];

#[test]
fn each_rule_of_containerd_holds() {
    let certificate = rcgen::generate_simple_self_signed(["r.example".to_owned()]).unwrap();
    for Rule { says, registry, file, hosts } in RULES {
        let certs_d = tempfile::tempdir().unwrap();
        let directory = certs_d.path().join(registry);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("hosts.toml"), file).unwrap();
        fs::write(directory.join("ca.pem"), certificate.cert.pem()).unwrap();
        let both = certificate.cert.pem() + &certificate.signing_key.serialize_pem();
        fs::write(directory.join("both.pem"), both).unwrap();
        let planned = plan(&[certs_d.path().to_owned()], registry).unwrap();
        assert_eq!(planned.iter().map(words).collect::<Vec<_>>(), *hosts, "{says}");
    }
}

/// What containerd logs and then forgets together with every host of the file, stops the pull here.
#[test]
fn what_containerd_would_not_read_is_an_error() {
    for file in [
        "server = [",
        "server = 1",
        "server = 'ftp://r.example'",
        "server = 'https://'",
        "capabilities = 'pull'",
        "capabilities = ['serve']",
        "capabilities = [1]",
        "ca = 1",
        "ca = [1]",
        "client = 1",
        "client = [1]",
        "client = [['a']]",
        "client = [['a', 'b', 'c']]",
        "client = [[1, 2]]",
        "skip_verify = 'true'",
        "override_path = 1\nserver = 'r.example'",
        "header = 1",
        "[header]\nx = 1",
        "[header]\nx = [1]",
        "dial_timeout = 3",
        "dial_timeout = '3'",
        "dial_timeout = '-3s'",
        "host = 1",
        "[host]\n'https://m.example' = 1",
        "ca = 'missing.pem'",
        "client = 'missing.pem'",
    ] {
        let certs_d = tempfile::tempdir().unwrap();
        fs::create_dir(certs_d.path().join("r.example")).unwrap();
        fs::write(certs_d.path().join("r.example/hosts.toml"), file).unwrap();
        let error = plan(&[certs_d.path().to_owned()], "r.example").unwrap_err();
        let at_line = matches!(&error, ConfigError::Invalid { line, .. } if *line > 0);
        assert!(at_line || file.contains("missing.pem"), "{file}: {error}");
    }
}
