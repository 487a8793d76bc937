//! What our own configuration says of single registries: whether they are asked at all, and through which proxy.

use registry::{Fallback, Kind, Proxies, ProxySetting, ProxyUrl, RegistrySettings};

use crate::support::{MANIFEST, Reply, World, descriptor_of, line, settings};

fn never() -> RegistrySettings {
    RegistrySettings { fallback: Fallback::Never, ..RegistrySettings::default() }
}

fn with_proxy(proxy: ProxySetting) -> RegistrySettings {
    RegistrySettings { proxy: Some(proxy), ..RegistrySettings::default() }
}

fn through(url: &str) -> RegistrySettings {
    with_proxy(ProxySetting::Through(ProxyUrl::parse(url).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn without_fallback_the_registry_itself_is_never_dialled() {
    let world = World::configured(settings("r.test", never()), None)
        .hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m1.test\"]\n[host.\"http://m2.test\"]");
    world.network.serve("m1.test:80", |_| Reply::new(404));
    world.network.serve("m2.test:80", |_| Reply::new(503));
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    let error = world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap_err();
    assert!(!world.network.dialled().contains(&"r.test:80".to_owned()), "{:?}", world.network.dialled());
    let line = line(&error);
    assert!(line.contains("host `m1.test`: not found; host `m2.test`: server answered 503"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn without_fallback_and_mirrors_the_error_says_so_and_nobody_is_dialled() {
    for (registry, hosts) in [
        ("r.test", ""),
        ("r.test", "server = \"https://r.test:443\""),
        ("r.test", "[host.\"https://R.test\"]"),
        ("docker.io", "server = \"https://registry-1.docker.io\""),
    ] {
        let world = World::configured(settings(registry, never()), None).hosts(registry, hosts);
        let error = world.session(&format!("{registry}/team/app:1")).resolve().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let expected = format!("no mirror of `{registry}` is configured, and its `fallback` is `never`");
        assert!(line(&error).ends_with(&expected), "{}", line(&error));
        assert!(world.network.dialled().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_fallback_another_server_in_the_file_is_still_a_mirror() {
    let world = World::configured(settings("r.test", never()), None)
        .hosts("r.test", "server = \"http://other.test\"");
    world.network.serve("other.test:80", |_| Reply::ok(MANIFEST));
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_fallback_a_foreign_layer_does_not_lead_to_the_registry_either() {
    let world =
        World::configured(settings("r.test", never()), None).hosts("r.test", "[host.\"http://m.test\"]");
    world.network.serve("m.test:80", |_| Reply::new(404));
    let mut layer = descriptor_of(MANIFEST);
    layer.urls = vec!["https://r.test/layer".to_owned(), "https://other.test/layer".to_owned()];
    world.session("r.test/app:1").blob(&layer, 0).await.map(drop).unwrap_err();
    assert!(world.network.dialled().contains(&"other.test:443".to_owned()), "{:?}", world.network.dialled());
    assert!(!world.network.dialled().contains(&"r.test:443".to_owned()), "{:?}", world.network.dialled());
}

#[tokio::test(start_paused = true)]
async fn without_fallback_a_mirror_does_not_lead_to_the_registry_either() {
    let world = World::configured(settings("r.test", never()), None)
        .hosts("r.test", "[host.\"http://m1.test\"]\n[host.\"http://m2.test\"]");
    world.network.serve("m1.test:80", |_| Reply::new(307).header("location", "http://r.test/blob"));
    world.network.serve("m2.test:80", |_| {
        Reply::new(401).header("www-authenticate", "Bearer realm=\"http://r.test/token\"")
    });
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    let error = world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap_err();
    let line = line(&error);
    let leads = |path: &str| {
        format!("leads to `http://r.test/{path}`, which is not asked: its `fallback` is `never`")
    };
    assert!(line.contains(&format!("host `m1.test`: {}; ", leads("blob"))), "{line}");
    assert!(line.ends_with(&format!("host `m2.test`: {}", leads("token?<redacted>"))), "{line}");
    assert!(world.network.dialled().iter().all(|address| address != "r.test:80"));
}

#[tokio::test(start_paused = true)]
async fn a_registrys_own_proxy_goes_before_the_environments_and_before_no_proxy() {
    let world = World::configured(
        |config| {
            config.proxies = Proxies::all("http://env.test:3128", "r.test");
            settings("r.test", through("http://own.test:3128"))(config);
        },
        None,
    )
    .hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]");
    world.network.serve("env.test:3128", |_| Reply::new(404));
    world.network.serve("own.test:3128", |_| Reply::ok(MANIFEST));
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    // The mirror has no settings of its own, so the environment's proxy is its.
    assert_eq!(world.network.dialled(), ["env.test:3128", "own.test:3128"]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_without_proxy_is_dialled_directly_whatever_the_environment_says() {
    let world = World::configured(
        |config| {
            config.proxies = Proxies::all("http://env.test:3128", "");
            settings("r.test", with_proxy(ProxySetting::Direct))(config);
        },
        None,
    )
    .hosts("r.test", "server = \"http://r.test\"");
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert_eq!(world.network.dialled(), ["r.test:80"]);
}

#[tokio::test(start_paused = true)]
async fn the_settings_of_docker_io_are_those_of_the_host_that_serves_it() {
    let world = World::configured(settings("docker.io", through("http://own.test:3128")), None);
    world.network.serve("own.test:3128", |_| Reply::new(403));
    world.session("docker.io/library/app:1").resolve().await.unwrap_err();
    let asked: Vec<_> = world.network.seen().iter().map(|seen| seen.target.clone()).collect();
    assert!(
        asked.iter().all(|target| target == "registry-1.docker.io:443") && !asked.is_empty(),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn token_server_and_redirects_go_the_registrys_way() {
    let world = World::configured(settings("r.test", through("http://own.test:3128")), None)
        .hosts("r.test", "server = \"http://r.test\"");
    world.network.serve("own.test:3128", |seen| match seen.target.split('?').next().unwrap() {
        "http://auth.test/token" => Reply::ok(r#"{"token":"t"}"#),
        target if target.starts_with("http://r.test/") => match seen.header("authorization") {
            Some("Bearer t") => Reply::new(307).header("location", "http://store.test/blob"),
            _ => Reply::new(401)
                .header("www-authenticate", "Bearer realm=\"http://auth.test/token\",service=\"r\""),
        },
        "http://store.test/blob" => Reply::ok(MANIFEST),
        target => panic!("asked for {target}"),
    });
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.unwrap();
    assert!(world.network.dialled().iter().all(|address| address == "own.test:3128"));
}
