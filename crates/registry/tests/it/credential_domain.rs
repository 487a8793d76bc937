//! `credential_domain`: other hosts that a registry's credentials may be shown to, and nobody else.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use auth::{Credentials, Host};
use registry::{CredentialSource, Kind, RegistrySettings};

use crate::support::{MANIFEST, Reply, Seen, World, basic, descriptor_of, settings};

// `jane:hunter2`.
const BASIC: &str = "Basic amFuZTpodW50ZXIy";

fn domain(hosts: &[&str]) -> RegistrySettings {
    let hosts: BTreeSet<_> = hosts.iter().map(|host| Host::parse(host).unwrap()).collect();
    RegistrySettings { credential_domain: hosts, ..RegistrySettings::default() }
}

fn guarded(seen: &Seen) -> Reply {
    match seen.header("authorization") {
        Some(BASIC) => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
    }
}

/// A registry whose mirrors both ask for the password, and which redirects to a store that does.
fn world(configured: RegistrySettings) -> World {
    let world = World::configured(settings("r.test", configured), None).hosts(
        "r.test",
        "server = \"http://r.test\"\n[host.\"http://m1.test\"]\n[host.\"http://m2.test:5000\"]",
    );
    for mirror in ["m1.test:80", "m2.test:5000", "store.test:80"] {
        world.network.serve(mirror, guarded);
    }
    world.network.serve("r.test:80", |_| Reply::new(307).header("location", "http://store.test/blob"));
    world
}

async fn fetch(world: &World, credentials: &Credentials) -> Result<(), registry::FetchError> {
    world.session_as("r.test/app:1", credentials).manifest(&descriptor_of(MANIFEST)).await.map(drop)
}

/// The servers that were shown the password.
fn shown_to(world: &World) -> Vec<String> {
    let seen = world.network.seen();
    seen.into_iter().filter(|seen| seen.header("authorization").is_some()).map(|seen| seen.server).collect()
}

#[tokio::test(start_paused = true)]
async fn no_domain_is_nobody() {
    let world = world(RegistrySettings::default());
    let error = fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: false });
    assert!(shown_to(&world).is_empty(), "{:?}", shown_to(&world));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_of_the_domain_gets_the_callers_and_another_does_not() {
    let world = world(domain(&["m2.test:5000"]));
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    assert_eq!(shown_to(&world), ["m2.test:5000"]);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_was_not_named_is_another_host() {
    let world = world(domain(&["m2.test"]));
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap_err();
    assert!(shown_to(&world).is_empty(), "{:?}", shown_to(&world));
}

#[tokio::test(start_paused = true)]
async fn a_redirects_target_of_the_domain_gets_them() {
    let world = world(domain(&["store.test"]));
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    assert_eq!(shown_to(&world), ["store.test:80"]);
}

#[tokio::test(start_paused = true)]
async fn the_nodes_credentials_go_where_the_callers_would() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "username = \"jane\"\npassword = \"hunter2\"").unwrap();
    std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (hosts, expected) in [(&["m2.test:5000"], "m2.test:5000"), (&["store.test"; 1], "store.test:80")] {
        let credentials = Some(CredentialSource::File(secret.path().to_owned()));
        let world = world(RegistrySettings { credentials, ..domain(hosts) });
        fetch(&world, &Credentials::anonymous()).await.unwrap();
        assert_eq!(shown_to(&world), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_the_caller_has_for_the_mirror_itself_are_not_replaced() {
    let world = world(domain(&["m1.test"]));
    let both = basic("r.test", "joe", "other")
        .with("m1.test", basic("m1.test", "jane", "hunter2").for_host("m1.test").unwrap().clone());
    fetch(&world, &both.unwrap()).await.unwrap();
    assert_eq!(shown_to(&world), ["m1.test:80"]);
}

#[tokio::test(start_paused = true)]
async fn another_registrys_domain_does_not_count() {
    let configured = domain(&["m1.test"]);
    let world = World::configured(settings("other.test", configured), None)
        .hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m1.test\"]");
    world.network.serve("m1.test:80", guarded);
    world.network.serve("r.test:80", guarded);
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    assert_eq!(shown_to(&world), ["r.test:80"]);
}
