//! From `certs.d` to the hosts that are asked, in their order.

use std::fs;
use std::path::Path;

use super::*;

struct CertsD(tempfile::TempDir);

impl CertsD {
    fn new() -> CertsD {
        CertsD(tempfile::tempdir().unwrap())
    }

    fn with(self, path: &str, text: &str) -> CertsD {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn root(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

#[track_caller]
fn check(roots: &[PathBuf], registry: &str, expected: &[(&str, Scheme)]) {
    let hosts = plan(roots, registry).unwrap();
    let found: Vec<_> = hosts.iter().map(|host| (host.base(), host.scheme)).collect();
    let expected: Vec<_> = expected.iter().map(|(base, scheme)| ((*base).to_owned(), *scheme)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_registry_without_configuration_is_its_own_host() {
    check(&[], "r.example", &[("https://r.example/v2", Scheme::Https)]);
    check(&[], "docker.io", &[("https://registry-1.docker.io/v2", Scheme::Https)]);
    check(
        &[PathBuf::from("/nonexistent")],
        "r.example:5000",
        &[("https://r.example:5000/v2", Scheme::Https)],
    );
}

#[test]
fn loopback_is_tried_with_https_and_then_with_http() {
    for registry in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
        let host = plan(&[], registry).unwrap().remove(0);
        assert_eq!((host.scheme, host.tls.skip_verify), (Scheme::HttpsThenHttp, true), "{registry}");
    }
    for registry in ["localhost", "localhost:443", "[::1]"] {
        let host = plan(&[], registry).unwrap().remove(0);
        assert_eq!((host.scheme, host.tls.skip_verify), (Scheme::Https, true), "{registry}");
    }
    let host = plan(&[], "localhost:80").unwrap().remove(0);
    assert_eq!((host.scheme, host.tls.skip_verify), (Scheme::Http, false));
}

#[test]
fn an_http_host_with_tls_settings_is_tried_with_https_first() {
    let scheme = |text: &str| {
        let certs = CertsD::new().with("r.example/hosts.toml", text);
        plan(&[certs.root()], "r.example").unwrap()[0].scheme
    };
    assert_eq!(scheme("server = \"http://r.example:5000\""), Scheme::Http);
    assert_eq!(scheme("server = \"http://r.example:5000\"\nskip_verify = false"), Scheme::HttpsThenHttp);
    assert_eq!(scheme("server = \"http://r.example:80\"\nskip_verify = true"), Scheme::Http);
}

#[test]
fn mirrors_come_first_and_are_told_the_registry() {
    let certs = CertsD::new().with(
        "docker.io/hosts.toml",
        "server = \"https://registry-1.docker.io\"\n[host.\"https://m.example\"]\ncapabilities = [\"pull\"]",
    );
    let hosts = plan(&[certs.root()], "docker.io").unwrap();
    let url = |host: &Host| host.url("library/a/manifests/1", false).unwrap().uri().to_string();
    assert_eq!(url(&hosts[0]), "https://m.example/v2/library/a/manifests/1?ns=docker.io");
    assert_eq!(url(&hosts[1]), "https://registry-1.docker.io/v2/library/a/manifests/1");
}

#[test]
fn the_port_of_the_registry_is_escaped_for_a_mirror() {
    let certs = CertsD::new().with("r.example:5000/hosts.toml", "[host.\"https://m.example\"]");
    let hosts = plan(&[certs.root()], "r.example:5000").unwrap();
    assert!(
        hosts[0].url("a/manifests/1", false).unwrap().uri().to_string().ends_with("?ns=r.example%3A5000")
    );
}

#[test]
fn the_search_order_is_port_form_then_name_then_default() {
    let toml = |name: &str| format!("server = \"https://{name}\"");
    let certs = CertsD::new()
        .with("_default/hosts.toml", &toml("default.example"))
        .with("r.example:5000/hosts.toml", &toml("colon.example"))
        .with("r.example_5000_/hosts.toml", &toml("underscore.example"));
    let first = |registry: &str| plan(&[certs.root()], registry).unwrap()[0].authority.clone();
    assert_eq!(first("r.example:5000"), "underscore.example");
    assert_eq!(first("other.example"), "default.example");
    fs::remove_dir_all(certs.root().join("r.example_5000_")).unwrap();
    assert_eq!(first("r.example:5000"), "colon.example");
}

#[test]
fn an_earlier_root_wins_whole() {
    let first = CertsD::new().with("_default/hosts.toml", "server = \"https://one.example\"");
    let second = CertsD::new().with("r.example/hosts.toml", "server = \"https://two.example\"");
    check(&[first.root(), second.root()], "r.example", &[("https://one.example/v2", Scheme::Https)]);
}

#[test]
fn root_fields_without_server_keep_tls_and_lose_capabilities() {
    let certs = CertsD::new()
        .with("r.example/hosts.toml", "capabilities = [\"push\"]\nskip_verify = true\ndial_timeout = \"3s\"");
    let host = plan(&[certs.root()], "r.example").unwrap().remove(0);
    assert_eq!(host.capabilities, Capabilities::ALL);
    assert!(host.tls.skip_verify);
    assert_eq!(host.dial_timeout, Some(std::time::Duration::from_secs(3)));
}

#[test]
fn a_broken_file_is_an_error_and_not_a_default() {
    let certs = CertsD::new().with("r.example/hosts.toml", "server = \n");
    let error = plan(&[certs.root()], "r.example").unwrap_err();
    assert!(matches!(error, ConfigError::Invalid { line: 1, .. }), "{error}");
}

#[test]
fn docker_layout_gives_cas_and_client_pairs() {
    let ca = rcgen::generate_simple_self_signed(["r.example".to_owned()]).unwrap();
    let key = ca.signing_key.serialize_pem();
    let certs = CertsD::new()
        .with("r.example/ca.crt", &ca.cert.pem())
        .with("r.example/client.cert", &ca.cert.pem())
        .with("r.example/client.key", &key)
        .with("r.example/notes.txt", "");
    let host = plan(&[certs.root()], "r.example").unwrap().remove(0);
    assert_eq!((host.tls.ca.len(), host.tls.clients.len()), (1, 1));
    assert_eq!(host.tls.clients[0].key, key.into_bytes());
}

#[test]
fn an_unusable_certificate_names_its_file() {
    let certs =
        CertsD::new().with("r.example/hosts.toml", "ca = \"a.crt\"").with("r.example/a.crt", "no PEM");
    let error = plan(&[certs.root()], "r.example").unwrap_err();
    let path = certs.root().join("r.example/a.crt");
    assert_eq!(error.to_string(), format!("unusable certificate file `{}`", path.display()));
    fs::remove_file(&path).unwrap();
    let error = plan(&[certs.root()], "r.example").unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read `{}`", Path::new(&path).display()));
}
