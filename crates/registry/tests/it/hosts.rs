//! Mirrors: who is asked, in which order, for what, and what is told when nobody helps.

use std::sync::atomic::{AtomicUsize, Ordering};

use oci::media_type::OCI_MANIFEST;
use registry::{AccessError, Kind, Origin};

use crate::support::{MANIFEST, Reply, Seen, World, descriptor_of, line};

fn serving(seen: &Seen) -> Reply {
    let reply = Reply::ok(MANIFEST)
        .header("content-type", OCI_MANIFEST)
        .header("docker-content-digest", oci::sha256(MANIFEST).to_string());
    if seen.method == "HEAD" {
        reply.body("").header("content-length", MANIFEST.len().to_string())
    } else {
        reply
    }
}

fn mirrored(capabilities: &str) -> World {
    let text =
        format!("server = \"http://r.test\"\n[host.\"http://m.test\"]\ncapabilities = [{capabilities}]");
    World::bare().hosts("r.test", &text)
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_asked_first_and_told_the_registry() {
    let world = mirrored("");
    world.network.serve("m.test:80", serving);
    let resolved = world.session("r.test/app:1").resolve().await.unwrap();
    assert_eq!(resolved.host, "m.test");
    assert_eq!(world.network.lines(), ["HEAD m.test:80 /v2/app/manifests/1?ns=r.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_without_resolve_serves_digests_and_not_tags() {
    let world = mirrored("\"pull\"");
    world.network.serve("m.test:80", serving);
    world.network.serve("r.test:80", serving);
    let session = world.session("r.test/app:1");
    assert_eq!(session.resolve().await.unwrap().host, "r.test");
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    let digest = oci::sha256(MANIFEST);
    let by_digest = world.session(&format!("r.test/app@{digest}")).resolve().await.unwrap();
    assert_eq!(by_digest.host, "m.test");
    assert_eq!(
        world.network.lines(),
        [
            "HEAD r.test:80 /v2/app/manifests/1".to_owned(),
            format!("GET m.test:80 /v2/app/manifests/{digest}?ns=r.test"),
            format!("HEAD m.test:80 /v2/app/manifests/{digest}?ns=r.test"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_mirror_without_pull_serves_nothing() {
    let world = mirrored("\"push\"");
    world.network.serve("m.test:80", serving);
    world.network.serve("r.test:80", serving);
    let session = world.session("r.test/app:1");
    session.resolve().await.unwrap();
    session.blob(&descriptor_of(MANIFEST), 0).await.unwrap();
    assert!(world.network.seen().iter().all(|seen| seen.server == "r.test:80"));
}

#[tokio::test(start_paused = true)]
async fn the_next_host_helps_where_a_mirror_fails_in_any_way() {
    let failures = [
        Reply::new(404),
        Reply::new(500),
        Reply::new(401),
        Reply::new(429).header("retry-after", "3600"),
        Reply::ok("<html>").header("content-type", "text/html"),
    ];
    for failure in failures {
        let world = mirrored("");
        world.network.serve("m.test:80", move |_| failure.clone());
        world.network.serve("r.test:80", serving);
        let before = tokio::time::Instant::now();
        assert_eq!(world.session("r.test/app:1").resolve().await.unwrap().host, "r.test");
        assert_eq!(before.elapsed().as_millis(), 0, "no wait while another host is there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_down_is_asked_last_from_then_on() {
    let world = mirrored("");
    world.network.serve("r.test:80", serving);
    let session = world.session("r.test/app:1");
    session.resolve().await.unwrap();
    for _ in 0..5 {
        session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    }
    let dials = world.network.dialled().into_iter().filter(|address| address == "m.test:80").count();
    assert_eq!(dials, 1);
    // Still there as the last resort.
    world.network.stop("r.test:80");
    world.network.serve("m.test:80", serving);
    let blob = descriptor_of(MANIFEST);
    assert_eq!(session.blob(&blob, 0).await.unwrap().host(), Some("m.test"));
}

#[tokio::test(start_paused = true)]
async fn an_error_lists_each_host_with_its_cause_and_the_last_decides() {
    let world = mirrored("");
    world.network.serve("r.test:80", |_| Reply::new(404));
    let error = world.session("r.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.origin(), Origin::Registry);
    assert_eq!(
        line(&error),
        "cannot resolve `r.test/app:1`: host `m.test`: cannot connect to `m.test:80`: connection refused; \
         host `r.test`: not found"
    );

    let world = mirrored("");
    world.network.serve("m.test:80", |_| Reply::new(404));
    let error = world.session("r.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let AccessError::Hosts(hosts) = error.access() else { panic!("{error:?}") };
    assert_eq!(hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["m.test", "r.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_hosts_file_fails_the_pull_before_any_request() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\ncapabilities = \"pull\"");
    world.network.serve("r.test:80", serving);
    let session = world.session("r.test/app:1");
    let error = session.resolve().await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Config, Origin::Local));
    assert!(line(&error).contains("hosts.toml` line 2: `capabilities` must be a list"), "{}", line(&error));
    assert_eq!(session.blob(&descriptor_of(MANIFEST), 0).await.unwrap_err().kind(), Kind::Config);
    assert!(world.network.dialled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_registry_whose_every_host_lacks_the_capability_says_so() {
    let text = "server = \"http://r.test\"\ncapabilities = [\"pull\"]";
    let world = World::bare().hosts("r.test", text);
    let error = world.session("r.test/app:1").resolve().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(
        line(&error),
        "cannot resolve `r.test/app:1`: no host configured for `r.test` may resolve tags"
    );
}

#[tokio::test(start_paused = true)]
async fn configured_headers_go_to_their_host_alone() {
    let world = World::bare().hosts(
        "r.test",
        "server = \"http://r.test\"\n[host.\"http://m.test\".header]\nx-key = [\"one\", \"two\"]",
    );
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", serving);
    world.session("r.test/app:1").resolve().await.unwrap();
    let keys: Vec<_> =
        world.network.seen().iter().map(|seen| seen.headers.get_all("x-key").iter().count()).collect();
    assert_eq!(keys, [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_overridden_path_is_the_whole_base() {
    let world = World::bare().hosts("r.test", "[host.\"http://m.test/proxy/hub\"]\noverride_path = true");
    world.network.serve("m.test:80", serving);
    world.session("r.test/app:1").resolve().await.unwrap();
    assert_eq!(world.network.lines(), ["HEAD m.test:80 /proxy/hub/app/manifests/1?ns=r.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_hosts_file_counts_from_the_next_session_on() {
    let world = World::new();
    world.network.serve("r.test:80", serving);
    world.network.serve("n.test:80", serving);
    assert_eq!(world.session("r.test/app:1").resolve().await.unwrap().host, "r.test");
    let world = world.hosts("r.test", "server = \"http://n.test\"");
    assert_eq!(world.session("r.test/app:1").resolve().await.unwrap().host, "n.test");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_said_no_is_not_asked_again() {
    let world = mirrored("");
    world.network.serve("m.test:80", |_| Reply::new(404));
    let requests = AtomicUsize::new(0);
    world.network.serve("r.test:80", move |seen| match requests.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::new(503),
        _ => serving(seen),
    });
    world.session("r.test/app:1").resolve().await.unwrap();
    let servers: Vec<_> = world.network.seen().into_iter().map(|seen| seen.server).collect();
    assert_eq!(servers, ["m.test:80", "r.test:80", "r.test:80", "r.test:80"]);
}
