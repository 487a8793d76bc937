//! Who is shown what: challenges, tokens and the hosts they are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auth::{AuthConfig, Credentials};
use registry::Kind;

use crate::support::{MANIFEST, Reply, Seen, World, basic, descriptor_of, line};

const CHALLENGE: &str =
    r#"Bearer realm="http://auth.test/token",service="r.test",scope="repository:app:pull""#;
// `jane:hunter2`.
const BASIC: &str = "Basic amFuZTpodW50ZXIy";

/// A registry that takes the token `token-N` of the N-th token request only.
fn guarded(world: &World) -> Arc<AtomicUsize> {
    let issued = Arc::new(AtomicUsize::new(0));
    let newest = Arc::clone(&issued);
    world.network.serve("r.test:80", move |seen| {
        let expected = format!("Bearer token-{}", newest.load(Ordering::Relaxed));
        if seen.header("authorization") == Some(&expected) {
            Reply::ok(MANIFEST)
        } else {
            Reply::new(401).header("www-authenticate", CHALLENGE)
        }
    });
    let count = Arc::clone(&issued);
    world.network.serve("auth.test:80", move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        Reply::ok(format!(r#"{{"token":"token-{number}","expires_in":300}}"#))
    });
    issued
}

async fn fetch(world: &World, credentials: &Credentials) -> Result<(), registry::FetchError> {
    let session = world.session_as("r.test/app:1", credentials);
    session.manifest(&descriptor_of(MANIFEST)).await.map(drop)
}

fn from_server(world: &World, server: &str) -> Vec<Seen> {
    world.network.seen().into_iter().filter(|seen| seen.server == server).collect()
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_with_a_token_got_by_password() {
    let world = World::new();
    guarded(&world);
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    let requests = from_server(&world, "auth.test:80");
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/token"));
    let form = "grant_type=password&username=jane&password=hunter2&service=r.test&client_id=cri-imaged\
                &scope=repository%3Aapp%3Apull";
    assert_eq!(requests[0].body, form);
    // The password itself never goes to a registry that wants tokens.
    assert!(from_server(&world, "r.test:80").iter().all(|seen| seen.header("authorization") != Some(BASIC)));
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_takes_no_post_is_asked_by_get_and_remembered() {
    for status in [400, 401, 404, 405] {
        let world = World::new();
        let issued = guarded(&world);
        world.network.serve("auth.test:80", move |seen| match seen.method.as_str() {
            "GET" => {
                let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
                Reply::ok(format!(r#"{{"token":"token-{number}","expires_in":300}}"#))
            }
            _ => Reply::new(status),
        });
        fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
        fetch(&world, &basic("r.test", "joan", "hunter2")).await.unwrap();
        let requests = from_server(&world, "auth.test:80");
        let methods: Vec<&str> = requests.iter().map(|seen| seen.method.as_str()).collect();
        assert_eq!(methods, ["POST", "GET", "GET"], "{status}");
        let target = "/token?service=r.test&scope=repository%3Aapp%3Apull&client_id=cri-imaged";
        assert_eq!(requests[1].target, target);
        assert_eq!(requests[1].header("authorization"), Some(BASIC));
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_wrong_once_does_not_end_the_posts() {
    let world = World::new();
    guarded(&world);
    world.network.serve("auth.test:80", |seen| match seen.body.contains("password=hunter2") {
        true => Reply::ok(r#"{"token":"token-0"}"#),
        false => Reply::new(401),
    });
    fetch(&world, &basic("r.test", "jane", "wrong")).await.unwrap_err();
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    let requests = from_server(&world, "auth.test:80");
    let methods: Vec<&str> = requests.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "POST"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_repeats_the_form_repeats_no_secret() {
    let world = World::new();
    guarded(&world);
    world.network.serve("auth.test:80", |seen| {
        Reply::new(403).body(format!(r#"{{"details":"refused: {}"}}"#, seen.body))
    });
    let error = fetch(&world, &basic("r.test", "jane", "p ss&w/rd")).await.unwrap_err();
    let line = line(&error);
    assert!(line.contains("no token from") && !line.contains("w%2Frd") && !line.contains("w/rd"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn one_session_is_challenged_once() {
    let world = World::new();
    guarded(&world);
    let session = world.session("r.test/app:1");
    for _ in 0..3 {
        session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    }
    assert_eq!(from_server(&world, "r.test:80").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn equal_callers_share_a_token_and_others_do_not() {
    let world = World::new();
    let issued = guarded(&world);
    for _ in 0..2 {
        fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    }
    assert_eq!(issued.load(Ordering::Relaxed), 1);
    fetch(&world, &basic("r.test", "jane", "other")).await.unwrap();
    fetch(&world, &Credentials::anonymous()).await.unwrap();
    assert_eq!(issued.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn many_layers_at_once_ask_for_one_token() {
    let world = World::new();
    let issued = guarded(&world);
    let session = world.session("r.test/app:1");
    let blob = descriptor_of(MANIFEST);
    let opened = futures::future::join_all((0..8).map(|_| session.blob(&blob, 0))).await;
    assert!(opened.into_iter().all(|blob| blob.is_ok()));
    assert_eq!(issued.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_past_its_life_is_replaced_before_it_is_refused() {
    let world = World::new();
    let issued = guarded(&world);
    let session = world.session("r.test/app:1");
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    tokio::time::advance(Duration::from_secs(301)).await;
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(issued.load(Ordering::Relaxed), 2);
    let refused = from_server(&world, "r.test:80").len() - 2;
    assert_eq!(refused, 1, "only the first challenge");
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_in_mid_session_is_replaced_once() {
    let world = World::new();
    let issued = guarded(&world);
    let session = world.session("r.test/app:1");
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    // Someone else got a token, and with it ours is revoked.
    issued.fetch_add(1, Ordering::Relaxed);
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(issued.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_every_token_is_asked_twice() {
    let world = World::new();
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"no such repository"}]}"#;
    world
        .network
        .serve("r.test:80", move |_| Reply::new(401).header("www-authenticate", CHALLENGE).body(body));
    world.network.serve("auth.test:80", |_| Reply::ok(r#"{"token":"useless"}"#));
    let error = fetch(&world, &Credentials::anonymous()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: false });
    assert!(
        line(&error).ends_with("host `r.test`: credentials required (UNAUTHORIZED: no such repository)"),
        "{}",
        line(&error)
    );
    assert_eq!(from_server(&world, "r.test:80").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_said_by_the_token_server() {
    for status in [400, 401] {
        let world = World::new();
        guarded(&world);
        world.network.serve("auth.test:80", move |_| {
            Reply::new(status).body(r#"{"details":"incorrect username or password"}"#)
        });
        let error = fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: true });
        assert!(
            line(&error).ends_with(
                "host `r.test`: no token from `http://auth.test/token?<redacted>`: \
                 credentials refused (incorrect username or password)"
            ),
            "{}",
            line(&error)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_is_down_is_unreachable() {
    let world = World::new();
    guarded(&world);
    world.network.stop("auth.test:80");
    let error = fetch(&world, &Credentials::anonymous()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(line(&error).contains("cannot connect to `auth.test:80`"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_hiccups_is_asked_again() {
    let world = World::new();
    guarded(&world);
    let requests = AtomicUsize::new(0);
    world.network.serve("auth.test:80", move |_| match requests.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::new(503),
        _ => Reply::ok(r#"{"access_token":"token-0"}"#),
    });
    fetch(&world, &Credentials::anonymous()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_token_is_a_clear_error() {
    let world = World::new();
    guarded(&world);
    world.network.serve("auth.test:80", |_| Reply::ok("<html>"));
    let error = fetch(&world, &Credentials::anonymous()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    world.network.serve("auth.test:80", |_| Reply::ok(vec![b' '; 2 << 20]).chunked());
    assert_eq!(fetch(&world, &Credentials::anonymous()).await.unwrap_err().kind(), Kind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_basic_challenge_is_answered_with_the_password() {
    let world = World::new();
    world.network.serve("r.test:80", |seen| match seen.header("authorization") {
        Some(BASIC) => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
    });
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    let error = fetch(&world, &basic("r.test", "jane", "wrong")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: true });
    let error = fetch(&world, &Credentials::anonymous()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: false });
}

#[tokio::test(start_paused = true)]
async fn a_registry_token_is_sent_as_it_is() {
    let world = World::new();
    guarded(&world);
    let credentials = |registry_token| {
        let config = AuthConfig { registry_token, ..AuthConfig::default() };
        Credentials::from_auth_config(&config, "r.test").unwrap()
    };
    fetch(&world, &credentials("token-0")).await.unwrap();
    assert_eq!(world.network.seen().len(), 1, "unasked, and without a token server");
    let error = fetch(&world, &credentials("wrong")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: true });
    assert!(from_server(&world, "auth.test:80").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_identity_token_is_exchanged_by_post() {
    let world = World::new();
    guarded(&world);
    let config = AuthConfig { identity_token: "refresh", ..AuthConfig::default() };
    fetch(&world, &Credentials::from_auth_config(&config, "r.test").unwrap()).await.unwrap();
    let requests = from_server(&world, "auth.test:80");
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/token"));
    assert_eq!(requests[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(
        requests[0].body.contains("grant_type=refresh_token&refresh_token=refresh"),
        "{}",
        requests[0].body
    );
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_asked_with_an_anonymous_token() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    guarded(&world);
    world.network.serve("m.test:80", |seen| match seen.header("authorization") {
        Some("Bearer token-1") => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", CHALLENGE),
    });
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    assert_eq!(from_server(&world, "auth.test:80")[0].header("authorization"), None);
    assert!(from_server(&world, "r.test:80").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_asks_for_a_password_does_not_get_it() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    guarded(&world);
    world.network.serve("m.test:80", |_| Reply::new(401).header("www-authenticate", "Basic realm=\"m\""));
    fetch(&world, &basic("r.test", "jane", "hunter2")).await.unwrap();
    assert!(from_server(&world, "m.test:80").iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(start_paused = true)]
async fn credentials_for_another_server_stay_here() {
    let world = World::new();
    guarded(&world);
    let config = AuthConfig {
        username: "jane",
        password: "hunter2",
        server_address: "other.test",
        ..AuthConfig::default()
    };
    fetch(&world, &Credentials::from_auth_config(&config, "r.test").unwrap()).await.unwrap();
    assert!(world.network.seen().iter().all(|seen| seen.header("authorization") != Some(BASIC)));
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_cannot_be_read_is_a_clear_error() {
    let world = World::new();
    world.network.serve("r.test:80", |_| Reply::new(401).header("www-authenticate", "Bearer service=\"x\""));
    let error = fetch(&world, &Credentials::anonymous()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(line(&error).ends_with("a bearer challenge has no realm"), "{}", line(&error));
}

#[tokio::test(start_paused = true)]
async fn configured_headers_go_to_a_token_server_of_the_same_origin_alone() {
    for (realm, expected) in [("http://r.test/token", Some("1")), ("http://auth.test/token", None)] {
        let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[header]\nx-key = \"1\"");
        let challenge = format!("Bearer realm=\"{realm}\"");
        let script = move |seen: &Seen| match seen.header("authorization") {
            _ if seen.target.starts_with("/token") => Reply::ok(r#"{"token":"t"}"#),
            Some("Bearer t") => Reply::ok(MANIFEST),
            _ => Reply::new(401).header("www-authenticate", &challenge),
        };
        world.network.serve("r.test:80", script.clone());
        world.network.serve("auth.test:80", script);
        fetch(&world, &Credentials::anonymous()).await.unwrap();
        let seen = world.network.seen();
        let asked = seen.iter().find(|seen| seen.target.starts_with("/token")).unwrap();
        assert_eq!(asked.header("x-key"), expected, "{realm}");
    }
}
