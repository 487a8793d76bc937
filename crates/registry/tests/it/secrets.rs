//! The canary: secrets that servers saw appear in no error, no `Debug` and no log line.

use std::io::Write;
use std::sync::{Arc, Mutex};

use auth::{AuthConfig, Credentials};
use registry::RedactedUrl;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{MANIFEST, Reply, World, descriptor_of, line};

const CANARY: &str = "canary-3f9c";

/// Everything logged in this process: a subscriber of one thread would miss events whose call site another test's
/// thread was the first to reach (tracing caches "nobody listens" there).
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

/// Runs failing requests of every kind with `auth`; checks what can be read of them.
async fn check(log: &Log, auth: AuthConfig<'_>, registry: Reply, token_server: Reply) {
    let world = World::bare().hosts(
        "bird.test",
        &format!("server = \"http://u:{CANARY}@bird.test\"\n[header]\nx-key = \"{CANARY}\""),
    );
    world.network.serve("bird.test:80", move |seen| match seen.header("authorization") {
        None => Reply::new(401)
            .header("www-authenticate", "Bearer realm=\"http://auth.test/t\", Basic realm=\"r\""),
        Some(_) => registry.clone(),
    });
    world.network.serve("auth.test:80", move |_| token_server.clone());
    let credentials = Credentials::from_auth_config(&auth, "bird.test").unwrap();
    let session = world.session_as("bird.test/app:1", &credentials);
    let error = session.manifest(&descriptor_of(MANIFEST)).await.unwrap_err();
    let resolve_error = session.resolve().await.unwrap_err();
    let shown = [
        format!("{error:?} {session:?} {credentials:?} {resolve_error:?} {:?}", session.hosts()),
        line(&error),
        line(&resolve_error),
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap(),
    ];
    assert!(world.network.seen().iter().any(|seen| format!("{seen:?}").contains(CANARY)), "the canary flew");
    assert!(shown[3].contains("host failed host=\"bird.test\""), "the log was captured: {}", shown[3]);
    for text in shown {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_can_be_read_from_a_failed_pull() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .init();
    let echo = format!(r#"{{"errors":[{{"code":"DENIED","message":"token {CANARY} refused"}}]}}"#);
    let forms = [
        AuthConfig { username: "jane", password: CANARY, ..AuthConfig::default() },
        AuthConfig { identity_token: CANARY, ..AuthConfig::default() },
        AuthConfig { registry_token: CANARY, ..AuthConfig::default() },
    ];
    for auth in forms {
        let issued = Reply::ok(format!(r#"{{"token":"{CANARY}"}}"#));
        let redirect = |to: String| Reply::new(307).header("location", to);
        check(&log, auth, Reply::new(403).body(&echo), issued.clone()).await;
        check(&log, auth, Reply::new(500).body(&echo), issued.clone()).await;
        check(&log, auth, redirect(format!("http://down.test/?sig={CANARY}")), issued.clone()).await;
        check(&log, auth, redirect(format!("nonsense://{CANARY}")), issued).await;
        // The token server echoes; a registry token never gets there, and fails at the registry.
        check(&log, auth, Reply::new(404), Reply::new(401).body(&echo)).await;
    }
}

#[test]
fn a_redacted_url_keeps_its_query_for_the_request_only() {
    let url = RedactedUrl::parse(&format!("https://u:{CANARY}@cdn.test/a?sig={CANARY}")).unwrap();
    assert!(!format!("{url} {url:?}").contains(CANARY));
    assert_eq!(url.uri().query(), Some(format!("sig={CANARY}").as_str()));
}
