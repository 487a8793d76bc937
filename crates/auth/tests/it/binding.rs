//! Which host is shown what.

use auth::{Credential, Credentials, Secret};
use proptest::prelude::*;

use crate::{bound_to, password_message};

#[test]
fn credentials_without_server_address_are_for_the_registry_of_the_reference() {
    let credentials = Credentials::from_auth_config(&password_message(), "quay.io").expect("credentials");
    assert!(credentials.for_host("quay.io").is_some());
    for other in ["mirror.example", "cdn.quay.io", "quay.io.evil.example", "io", "quay.io:5000", ""] {
        assert!(credentials.for_host(other).is_none(), "{other}");
    }
}

#[test]
fn docker_hub_has_three_names() {
    for bound in ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io:443"] {
        let credentials = bound_to(bound);
        for host in
            ["docker.io", "INDEX.docker.io", "registry-1.docker.io", "https://registry-1.docker.io/v2/"]
        {
            assert!(credentials.for_host(host).is_some(), "{bound} at {host}");
        }
        for host in [
            "auth.docker.io",
            "docker.io:5000",
            "hub.docker.com",
            "mirror.docker.io",
            "production.cloudflare.docker.com",
        ] {
            assert!(credentials.for_host(host).is_none(), "{bound} at {host}");
        }
    }
}

#[test]
fn ports_and_addresses_compare_by_meaning() {
    for (bound, host, is_same) in [
        ("localhost:5000", "localhost:5000", true),
        ("localhost:5000", "LOCALHOST:05000", true),
        ("localhost:5000", "localhost", false),
        ("localhost", "localhost:443", true),
        ("http://localhost", "http://localhost:80", true),
        ("localhost:80", "localhost:80", true),
        ("localhost", "localhost:80", true),
        ("localhost:80", "http://localhost/", true),
        ("localhost:80", "https://localhost:80", false),
        ("localhost:443", "http://localhost:443", false),
        ("localhost:", "localhost", true),
        ("index.docker.io:5000", "docker.io:5000", false),
        ("[::1]:5000", "[0:0:0:0:0:0:0:1]:5000", true),
        ("[::1]:443", "[::1]", true),
        ("[::1]", "[::2]", false),
        ("[2001:DB8::1]", "https://[2001:db8::1]/", true),
    ] {
        assert_eq!(bound_to(bound).for_host(host).is_some(), is_same, "{bound} at {host}");
    }
}

#[test]
fn a_host_may_be_given_its_own_credential() {
    let token = Credential::RegistryToken(Secret::from("token"));
    let credentials = bound_to("quay.io").with("mirror.example", token.clone()).expect("a host");
    assert_eq!(credentials.for_host("mirror.example"), Some(&token));
    assert_eq!(credentials.for_host("quay.io"), Some(&crate::basic("password")));
    let replaced = credentials.with("QUAY.io:443", token.clone()).expect("a host");
    assert_eq!(replaced.for_host("quay.io"), Some(&token));
    assert!(Credentials::anonymous().with("no host", token).is_err());
}

#[test]
fn what_is_no_port_is_refused_and_what_is_no_scheme_is_none() {
    for text in ["quay.io:+80", "quay.io:80a", "quay.io:65536"] {
        assert!(Credentials::anonymous().with(text, crate::basic("password")).is_err(), "{text}");
    }
    for text in ["quay.io:+80", "1http://quay.io", "ht_tp://quay.io", "://quay.io"] {
        assert!(bound_to("quay.io").for_host(text).is_none(), "{text}");
    }
}

#[test]
fn what_goes_into_the_header_is_that_of_the_form() {
    let header = |credential: Credential| credential.authorization().map(|value| value.expose().to_owned());
    assert_eq!(header(crate::basic("password")).as_deref(), Some("Basic dXNlcjpwYXNzd29yZA=="));
    assert_eq!(header(Credential::RegistryToken(Secret::from("t"))).as_deref(), Some("Bearer t"));
    assert_eq!(header(Credential::IdentityToken(Secret::from("t"))), None);
}

#[test]
fn debug_shows_for_whom_and_no_secret() {
    let shown = format!("{:?}", bound_to("quay.io:5000"));
    assert!(shown.contains("quay.io:5000") && shown.contains("user"), "{shown}");
    assert!(!shown.contains("password\""), "{shown}");
    let message = password_message();
    let shown = format!("{message:?}");
    assert!(
        shown.contains("password: ****") && shown.contains("auth: \"\"") && shown.contains("user"),
        "{shown}"
    );
}

#[test]
fn equal_only_with_equal_secrets_for_equal_hosts() {
    assert_eq!(bound_to("docker.io"), bound_to("https://index.docker.io/v1/"));
    assert_ne!(bound_to("quay.io"), bound_to("docker.io"));
    let other = Credentials::anonymous().with("quay.io", crate::basic("other")).expect("a host");
    assert_ne!(bound_to("quay.io"), other);
    assert_ne!(bound_to("quay.io"), Credentials::anonymous());
}

/// Hosts that differ, in spellings that do not: what the pairs of one row share is the same place.
fn spellings() -> impl Strategy<Value = (usize, String)> {
    let hosts = ["a.example", "b.example", "a.example:5000", "[::1]", "[::1]:5000", "docker.io"];
    let forms = ["{}", "https://{}", "https://{}/v2/", "{}/", "https://user:pw@{}/", "//{}"];
    (0..hosts.len(), 0..forms.len(), any::<bool>()).prop_map(move |(host, form, upper)| {
        let text = if upper { hosts[host].to_uppercase() } else { hosts[host].to_owned() };
        (host, forms[form].replace("{}", &text))
    })
}

proptest! {
    #[test]
    fn shown_at_the_same_place_only((bound, address) in spellings(), (host, asked) in spellings()) {
        prop_assert_eq!(bound_to(&address).for_host(&asked).is_some(), bound == host);
    }

    #[test]
    fn any_text_is_a_host_or_gets_nothing(bound in ".{0,24}", host in ".{0,24}|[a-z.:/@?#\\[\\]0-9]{0,12}") {
        let _ = bound_to("quay.io").for_host(&host);
        if let Ok(credentials) = Credentials::anonymous().with(&bound, crate::basic("password")) {
            prop_assert!(credentials.for_host(&bound).is_some());
        }
    }
}
