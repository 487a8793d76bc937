//! The plan of a pull, and what its hosts answer to a probe.

use std::time::Duration;

use auth::Host;
use registry::{CredentialSource, Probe, ProxySetting, ProxyUrl, RegistrySettings, Scheme, StepKind};

use crate::support::{MANIFEST, Reply, World, settings};
use crate::tls::Authority;

/// The steps of a probe in one line each.
fn lines(probe: &Probe) -> Vec<String> {
    let line = |step: &registry::Step| {
        let mut line = step.kind.to_string();
        line.extend(step.status.map(|status| format!(" {status}")));
        line.extend(step.says.iter().map(|says| format!(" {says}")));
        line.extend(step.failure.as_ref().map(|failure| format!(": {}", crate::support::line(failure))));
        line
    };
    probe.steps.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn each_host_is_planned_as_it_would_be_asked() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("node");
    let configured = RegistrySettings {
        proxy: Some(ProxySetting::Through(ProxyUrl::parse("http://jane:hunter2@proxy.test:3128").unwrap())),
        credentials: Some(CredentialSource::File("/nonexistent".into())),
        credential_domain: [Host::parse("m1.test").unwrap()].into(),
        ..RegistrySettings::default()
    };
    let world = World::configured(settings("r.test", configured), None)
        .hosts(
            "r.test",
            r#"
            [host."http://user:hunter2@m1.test/hub"]
            capabilities = ["pull"]
            dial_timeout = "3s"
            [host."http://m1.test/hub".header]
            x-key = "hunter2"
            [host."http://user:hunter2@m1.test/hub".header]
            x-key = "hunter2"
            [host."http://m2.test"]
            ca = "ca.pem"
            client = [["node.pem", "node.key"]]
            "#,
        )
        .file("r.test", "ca.pem", &authority.pem())
        .file("r.test", "node.pem", &cert)
        .file("r.test", "node.key", &key);
    let session = world.session("r.test/app:1");
    let plan = session.plan().unwrap();
    assert!(!format!("{plan:?}").contains("hunter2"), "{plan:?}");
    let (mirror, tls, own) = (&plan[0], &plan[2], &plan[3]);
    assert_eq!(mirror.url, "http://m1.test/hub/v2/app/manifests/1?ns=r.test");
    assert_eq!((mirror.is_mirror, mirror.may_resolve, mirror.scheme), (true, false, Scheme::Http));
    assert_eq!(
        (mirror.dial_timeout, mirror.headers.as_slice()),
        (Duration::from_secs(3), &["x-key".to_owned()][..])
    );
    assert!(mirror.takes_callers_credentials && mirror.proxy.is_none());
    assert!(mirror.credentials.is_some(), "the registry's, for the mirror is in its domain");
    assert_eq!((tls.scheme, tls.ca.len(), tls.client.len()), (Scheme::HttpsThenHttp, 1, 1));
    assert!(!tls.takes_callers_credentials && tls.credentials.is_none());
    assert_eq!((own.is_mirror, own.may_resolve, own.scheme), (false, true, Scheme::Https));
    assert_eq!(own.proxy.as_deref(), Some("http://proxy.test:3128"));
    let problem = own.credentials_problem.as_ref().unwrap();
    assert_eq!(problem.to_string(), "cannot use the credentials in `/nonexistent`");
    assert!(world.network.dialled().is_empty(), "a plan asks nobody");
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_a_host_that_serves_and_of_those_that_do_not() {
    let authority = Authority::new();
    let world = World::bare().hosts(
        "r.test",
        r#"
        server = "http://r.test"
        [host."https://stranger.test"]
        [host."http://closed.test"]
        [host."http://content.test"]
        capabilities = ["pull"]
        [host."http://lacking.test"]
        "#,
    );
    world.network.serve_tls("stranger.test:443", authority.server("stranger.test"), |_| Reply::ok(MANIFEST));
    world.network.serve("content.test:80", |_| Reply::ok("{}"));
    world.network.serve("lacking.test:80", |_| Reply::new(404));
    world.network.serve("auth.test:80", |_| Reply::ok(r#"{"token":"t"}"#));
    world.network.serve("r.test:80", |seen| match seen.header("authorization") {
        Some("Bearer t") => Reply::ok(MANIFEST),
        _ => Reply::new(401)
            .header("www-authenticate", "Bearer realm=\"http://auth.test/token\"")
            .header("www-authenticate", "Basic realm=\"r\""),
    });
    let probes = world.session("r.test/app:1").probe().await.unwrap();
    let answered: Vec<_> = probes.iter().map(lines).collect();
    let manifest = format!("manifest 200 {}", oci::sha256(MANIFEST));
    let unknown =
        "tls: TLS handshake with `stranger.test:443` failed: invalid peer certificate: UnknownIssuer";
    assert_eq!(
        answered,
        [
            vec!["connect", unknown],
            vec!["connect: cannot connect to `closed.test:80`: connection refused"],
            vec!["connect", "base 200"],
            vec!["connect", "base 404", "manifest 404: not found"],
            vec!["connect", "base 401 Bearer Basic", &manifest],
        ]
    );
    assert_eq!(
        probes.iter().map(|probe| probe.serves).collect::<Vec<_>>(),
        [false, false, false, false, true]
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_without_tls_is_tried_again_where_plain_http_is_allowed() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test:5000\"\nskip_verify = true");
    world.network.serve("r.test:5000", |_| Reply::ok(MANIFEST));
    let probes = world.session("r.test/app:1").probe().await.unwrap();
    let kinds: Vec<_> = probes[0].steps.iter().map(|step| (step.kind, step.failure.is_some())).collect();
    let expected = [StepKind::Connect, StepKind::Tls, StepKind::Connect, StepKind::Base, StepKind::Manifest];
    assert_eq!(kinds, expected.map(|kind| (kind, kind == StepKind::Tls)));
    assert!(probes[0].serves);
}

#[tokio::test(start_paused = true)]
async fn slow_hosts_are_probed_at_the_same_time_and_each_step_is_timed() {
    let world = World::bare().hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    for server in ["m.test:80", "r.test:80"] {
        world.network.serve(server, |_| Reply::ok(MANIFEST).delayed(Duration::from_secs(5)));
    }
    let before = tokio::time::Instant::now();
    let probes = world.session("r.test/app:1").probe().await.unwrap();
    // The base, a HEAD that says too little, and a GET.
    assert_eq!(before.elapsed().as_secs(), 15);
    for probe in &probes {
        let took: Vec<_> = probe.steps.iter().map(|step| step.took.as_secs()).collect();
        assert_eq!(took, [0, 5, 10]);
    }
}
