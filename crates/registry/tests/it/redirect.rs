//! Redirects: where they lead, what goes along, and which are refused.

use registry::Kind;

use crate::support::{MANIFEST, Reply, World, basic, descriptor_of, line};
use crate::tls::Authority;

async fn fetch(world: &World) -> Result<bytes::Bytes, registry::FetchError> {
    let session = world.session_as("r.test/app:1", &basic("r.test", "jane", "hunter2"));
    session.manifest(&descriptor_of(MANIFEST)).await
}

/// `r.test` wants Basic and then redirects to `location`.
fn redirecting(location: &'static str) -> World {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[header]\nx-key = \"1\"");
    world.network.serve("r.test:80", move |seen| {
        if seen.target == "/here" {
            Reply::ok(MANIFEST)
        } else if seen.header("authorization").is_some() {
            Reply::new(307).header("location", location)
        } else {
            Reply::new(401).header("www-authenticate", "Basic realm=\"r\"")
        }
    });
    world
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_follows_a_redirect_to_another_origin() {
    let world = redirecting("http://cdn.test/blob?X-Signature=abc");
    world.network.serve("cdn.test:80", |_| Reply::ok(MANIFEST));
    fetch(&world).await.unwrap();
    let last = world.network.seen().pop().unwrap();
    assert_eq!((last.server.as_str(), last.target.as_str()), ("cdn.test:80", "/blob?X-Signature=abc"));
    assert_eq!((last.header("authorization"), last.header("x-key")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn another_port_is_another_origin() {
    let world = redirecting("http://r.test:8080/blob");
    world.network.serve("r.test:8080", |_| Reply::ok(MANIFEST));
    fetch(&world).await.unwrap();
    assert_eq!(world.network.seen().pop().unwrap().header("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn within_the_origin_the_credentials_go_along() {
    let world = redirecting("/here");
    fetch(&world).await.unwrap();
    let last = world.network.seen().pop().unwrap();
    assert!(last.header("authorization").is_some());
    assert_eq!(last.header("x-key"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_challenges_gets_an_anonymous_token_at_most() {
    let world = redirecting("http://cdn.test/blob");
    world.network.serve("cdn.test:80", |seen| match seen.header("authorization") {
        Some("Bearer anonymous") => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Bearer realm=\"http://auth.test/t\""),
    });
    world.network.serve("auth.test:80", |seen| {
        assert_eq!(seen.header("authorization"), None);
        Reply::ok(r#"{"token":"anonymous"}"#)
    });
    fetch(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_target_that_wants_a_password_does_not_get_it() {
    let world = redirecting("http://cdn.test/blob");
    world.network.serve("cdn.test:80", |_| Reply::new(401).header("www-authenticate", "Basic realm=\"c\""));
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Unauthorized { credentials_given: false });
    let at_cdn = world.network.seen().into_iter().filter(|seen| seen.server == "cdn.test:80");
    assert!(at_cdn.into_iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(start_paused = true)]
async fn redirects_are_bounded() {
    let world = World::new();
    world.network.serve("r.test:80", |seen| Reply::new(302).header("location", format!("{}x", seen.target)));
    let error = fetch(&world).await.unwrap_err();
    assert_eq!((error.kind(), world.network.seen().len()), (Kind::Protocol, 11));
    assert!(line(&error).ends_with("host `r.test`: more than 10 redirects"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_nowhere_is_a_clear_error() {
    for location in [None, Some("ftp://x/"), Some("https://")] {
        let world = World::new();
        world.network.serve("r.test:80", move |_| match location {
            Some(location) => Reply::new(302).header("location", location),
            None => Reply::new(302),
        });
        assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Protocol, "{location:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_from_https_to_http_is_refused() {
    let authority = Authority::new();
    let world = World::bare().hosts("r.test", "server = \"https://r.test\"\nca = \"ca.crt\"").file(
        "r.test",
        "ca.crt",
        &authority.pem(),
    );
    let tls = authority.server("r.test");
    world.network.serve_tls("r.test:443", tls, |_| {
        Reply::new(307).header("location", "http://cdn.test/blob?X-Signature=abc")
    });
    world.network.serve("cdn.test:80", |_| Reply::ok(MANIFEST));
    let error = fetch(&world).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(
        line(&error).ends_with("refused redirect from https to `http://cdn.test/blob?<redacted>`"),
        "{}",
        line(&error)
    );
    assert!(!world.network.dialled().contains(&"cdn.test:80".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_password_is_not_sent_to_a_plain_realm_of_an_https_registry() {
    let authority = Authority::new();
    let world = World::bare().hosts("r.test", "server = \"https://r.test\"\nca = \"ca.crt\"").file(
        "r.test",
        "ca.crt",
        &authority.pem(),
    );
    world.network.serve_tls("r.test:443", authority.server("r.test"), |_| {
        Reply::new(401).header("www-authenticate", "Bearer realm=\"http://auth.test/t\"")
    });
    assert_eq!(fetch(&world).await.unwrap_err().kind(), Kind::Protocol);
    assert!(!world.network.dialled().contains(&"auth.test:80".to_owned()));
}
