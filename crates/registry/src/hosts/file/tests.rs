//! What `hosts.toml` may say, and what each fault of it is called.

use super::*;

#[track_caller]
fn parse(text: &str) -> HostsFile {
    HostsFile::parse(Path::new("/certs/r.example/hosts.toml"), text).unwrap()
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = HostsFile::parse(Path::new("/certs/hosts.toml"), text).unwrap_err();
    assert_eq!(error.to_string(), format!("`/certs/hosts.toml` {expected}"));
}

#[test]
fn mirrors_keep_the_order_of_the_file() {
    let file = parse(
        r#"
        server = "https://r.example"
        [host."https://zulu.example"]
        [host."https://alpha.example"]
        [host."https://zulu.example".header]
        x-key = "1"
        [host."http://mike.example:5000"]
        "#,
    );
    let hosts: Vec<_> = file.mirrors.iter().map(|entry| entry.server.clone().unwrap().authority).collect();
    assert_eq!(hosts, ["zulu.example", "alpha.example", "mike.example:5000"]);
    assert_eq!(file.mirrors[0].header.len(), 1);
    assert!(!file.mirrors[2].server.clone().unwrap().https);
}

#[test]
fn paths_end_in_v2_unless_overridden() {
    let path = |url: &str, rest: &str| {
        parse(&format!("[host.\"{url}\"]\n{rest}")).mirrors[0].server.clone().unwrap().path
    };
    assert_eq!(path("https://m.example", ""), "/v2");
    assert_eq!(path("m.example", ""), "/v2");
    assert_eq!(path("https://m.example/", ""), "/v2");
    assert_eq!(path("https://m.example/v2/", ""), "/v2");
    assert_eq!(path("https://m.example/hub", ""), "/hub/v2");
    assert_eq!(path("https://m.example/hub", "override_path = true"), "/hub");
    assert_eq!(path("https://m.example", "override_path = true"), "");
}

#[test]
fn ca_and_client_take_every_form_of_containerd() {
    let pair =
        |cert: &str, key: Option<&str>| ClientPair { cert: PathBuf::from(cert), key: key.map(PathBuf::from) };
    assert_eq!(parse("ca = \"a.crt\"").root.ca, Some(vec![PathBuf::from("/certs/r.example/a.crt")]));
    assert_eq!(parse("ca = [\"/x/a.crt\", \"b.crt\"]").root.ca.map(|files| files.len()), Some(2));
    assert_eq!(parse("client = \"/x/c.pem\"").root.client, [pair("/x/c.pem", None)]);
    assert_eq!(
        parse("client = [\"/c.pem\", [\"/a.cert\", \"/a.key\"], [\"/b.cert\", \"\"]]").root.client,
        [pair("/c.pem", None), pair("/a.cert", Some("/a.key")), pair("/b.cert", None)]
    );
}

#[test]
fn capabilities_default_to_all_and_ignore_case() {
    assert_eq!(parse("").root.capabilities, Capabilities::ALL);
    assert_eq!(parse("capabilities = []").root.capabilities, Capabilities::ALL);
    let pull_only = parse("capabilities = [\"PULL\", \"push\"]").root.capabilities;
    assert_eq!(pull_only, Capabilities { pull: true, resolve: false });
}

#[test]
fn a_dial_timeout_of_nothing_is_the_default() {
    assert_eq!(parse("dial_timeout = \"1m30s\"").root.dial_timeout, Some(Duration::from_secs(90)));
    assert_eq!(parse("dial_timeout = \"0s\"").root.dial_timeout, None);
}

#[test]
fn keys_of_a_later_containerd_are_ignored_and_told() {
    let file = parse(
        "future = 1\nSERVER = \"r.example\"\n[host.\"m.example\"]\ncapabilites = []\nDial_Timeout = \"1s\"\n\
         [host.\"m.example\".header]\nx-key = \"1\"",
    );
    assert!(file.root.server.is_some());
    let unknown: Vec<_> = file.unknown.iter().map(|unknown| (unknown.line, unknown.key.as_str())).collect();
    assert_eq!(unknown, [(1, "future"), (4, "capabilites")]);
}

#[test]
fn an_error_names_the_line() {
    check_error(
        "server = \"https://r.example\"\ncapabilities = [\"pull\",\n \"serve\"]",
        "line 3: unknown capability `serve`",
    );
    check_error("\nskip_verify = \"yes\"", "line 2: `skip_verify` must be true or false");
    check_error("dial_timeout = \"soon\"", "line 1: `soon` is not a duration such as `30s` or `1m30s`");
    check_error("\n[host.\"ftp://m\"]", "line 2: `host`: URL scheme is neither http nor https");
    check_error(
        "client = [[\"a\"]]",
        "line 1: an entry of `client` must be one file or a pair of certificate and key",
    );
    check_error("ca = 1", "line 1: `ca` must be a string or a list of strings");
    check_error("host = 1", "line 1: `host` must be a table");
    check_error(
        "[header]\n\"bad name\" = \"hunter2\"",
        "line 2: header `bad name` cannot be sent: its name or value has a character that HTTP does not allow",
    );
}

#[test]
fn a_syntax_error_names_the_line() {
    let error = HostsFile::parse(Path::new("/certs/hosts.toml"), "server = \"a\"\nhost = [\n").unwrap_err();
    assert!(error.to_string().starts_with("`/certs/hosts.toml` line "), "{error}");
}

#[test]
fn secrets_in_a_file_do_not_print() {
    let file =
        parse("server = \"https://user:hunter2@r.example\"\n[header]\nauthorization = \"Basic hunter2\"");
    assert!(!format!("{file:?}").contains("hunter2"), "{file:?}");
    check_error("server = \"https://user:hunter2@r .example\"", "line 1: `server`: malformed URL");
}
