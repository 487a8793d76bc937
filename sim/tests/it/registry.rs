//! The fake registry over HTTP, in memory and on loopback.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sim::image::{Compression, Format, ImageBuilder, Index, Layer, Pushable as _, Schema1};
use sim::registry::{Access, Authorization, Fault, Match, Options, Principal, Registry, Rule, User};

const HOST: &str = "registry.example";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Bytes, hyper::Error>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn json(self) -> serde_json::Value {
        serde_json::from_slice(&self.body.unwrap()).unwrap()
    }
}

/// One request on an in-memory connection of its own.
async fn send(
    registry: &Registry,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, hyper::Error> {
    let io = TokioIo::new(registry.dial(HOST));
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let (parts, body) = client.send_request(request).await?.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

async fn get(registry: &Registry, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(registry, Method::GET, path, headers, "").await.unwrap()
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// A registry with one image, and the path of the image's only layer.
fn with_image(options: Options) -> (Registry, sim::image::Image, String) {
    let registry = Registry::new(options);
    let image = ImageBuilder::new().layer(Layer::random("data", 300_000, 7, Compression::Gzip)).build();
    registry.push("team/app", Some("1"), &image);
    let path = format!("/v2/team/app/blobs/{}", image.layer_blobs()[0].digest());
    (registry, image, path)
}

#[tokio::test(start_paused = true)]
async fn manifests_are_served_by_tag_and_digest() {
    let (registry, image, _) = with_image(Options::default());
    let by_digest = format!("/v2/team/app/manifests/{}", image.manifest().digest());
    for path in ["/v2/team/app/manifests/1", &by_digest] {
        let answer = get(&registry, path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("docker-content-digest"), image.manifest().digest());
        assert_eq!(answer.header("content-type"), image.manifest().media_type());
        assert_eq!(answer.body.unwrap(), image.manifest().bytes());
        let head = send(&registry, Method::HEAD, path, &[], "").await.unwrap();
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("content-length"), image.manifest().size().to_string());
        assert!(head.body.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_by_code() {
    let (registry, image, blob) = with_image(Options::default());
    registry.remove("team/app", image.layer_blobs()[0].digest());
    for (path, code) in [
        ("/v2/team/app/manifests/2", "MANIFEST_UNKNOWN"),
        ("/v2/nobody/app/manifests/1", "NAME_UNKNOWN"),
        (&blob, "BLOB_UNKNOWN"),
    ] {
        let answer = get(&registry, path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["errors"][0]["code"], code);
    }
    registry.untag("team/app", "1");
    assert_eq!(get(&registry, "/v2/team/app/manifests/1", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn blobs_are_served_whole_and_in_parts() {
    let (registry, image, path) = with_image(Options::default());
    let bytes = image.layer_blobs()[0].bytes();
    assert_eq!(get(&registry, &path, &[]).await.body.unwrap(), bytes);
    let part = get(&registry, &path, &[("range", "bytes=100-199")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", bytes.len()));
    assert_eq!(part.body.unwrap(), bytes.slice(100..200));
    let rest = get(&registry, &path, &[("range", "bytes=250000-")]).await;
    assert_eq!(rest.body.unwrap(), bytes.slice(250_000..));
    let beyond = get(&registry, &path, &[("range", "bytes=9999999-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), format!("bytes */{}", bytes.len()));
}

#[tokio::test(start_paused = true)]
async fn redirected_blobs_refuse_an_authorization() {
    let mut options = Options::default();
    options.redirect = Some("http://storage.example".to_owned());
    let (registry, image, path) = with_image(options);
    let redirect = get(&registry, &path, &[]).await;
    assert_eq!(redirect.status, StatusCode::TEMPORARY_REDIRECT);
    let location = redirect.header("location").strip_prefix("http://storage.example").unwrap().to_owned();
    let stored = get(&registry, &location, &[]).await;
    assert_eq!(stored.body.unwrap(), image.layer_blobs()[0].bytes());
    let refused = get(&registry, &location, &[("authorization", "Bearer x")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn tokens_open_what_their_scope_says_until_they_expire() {
    let mut options = Options::default();
    options.access = Access::Token { anonymous_pull: true };
    options.private_repositories = ["team/app".to_owned()].into();
    let (registry, image, _) = with_image(options);
    registry.push("public/app", Some("1"), &image);
    registry.add_user(User::new("ann", "secret"));
    let path = "/v2/team/app/manifests/1";

    let challenge = get(&registry, path, &[]).await;
    assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
    let expected =
        "Bearer realm=\"http://registry.example/token\",service=\"sim\",scope=\"repository:team/app:pull\"";
    assert_eq!(challenge.header("www-authenticate"), expected);

    let token = async |scope: &str, headers: &[(&str, &str)]| {
        let answer = get(&registry, &format!("/token?service=sim&scope={scope}"), headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        format!("Bearer {}", answer.json()["token"].as_str().unwrap())
    };
    let anonymous = token("repository:team/app:pull", &[]).await;
    let refused = get(&registry, path, &[("authorization", &anonymous)]).await;
    assert!(refused.header("www-authenticate").ends_with("error=\"insufficient_scope\""));
    let anonymous = token("repository:public%2Fapp:pull", &[]).await;
    let public = get(&registry, "/v2/public/app/manifests/1", &[("authorization", &anonymous)]).await;
    assert_eq!(public.status, StatusCode::OK);

    let ann = token("repository:team/app:pull", &[("authorization", &basic("ann", "secret"))]).await;
    assert_eq!(get(&registry, path, &[("authorization", &ann)]).await.status, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(301)).await;
    let expired = get(&registry, path, &[("authorization", &ann)]).await;
    assert!(expired.header("www-authenticate").ends_with("error=\"invalid_token\""));

    let wrong = get(&registry, "/token?scope=x", &[("authorization", &basic("ann", "wrong"))]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let seen: Vec<_> = registry.requests().into_iter().map(|request| request.authorization).collect();
    assert!(seen.contains(&Authorization::Valid(Principal::User("ann".to_owned()))));
    assert_eq!(seen.last(), Some(&Authorization::Invalid));
}

#[tokio::test(start_paused = true)]
async fn identity_tokens_are_exchanged_by_post() {
    let mut options = Options::default();
    options.access = Access::Token { anonymous_pull: false };
    let (registry, _, _) = with_image(options);
    registry.add_user(User::new("ann", "secret"));
    let post = async |form: &str| send(&registry, Method::POST, "/token", &[], form).await.unwrap();
    let password =
        "grant_type=password&username=ann&password=secret&service=sim&client_id=c&access_type=offline";
    let refresh = post(password).await.json()["refresh_token"].as_str().unwrap().to_owned();
    for identity in [refresh, registry.identity_token("ann")] {
        let form = format!(
            "grant_type=refresh_token&refresh_token={identity}&service=sim&scope=repository%3Ateam%2Fapp%3Apull"
        );
        let token = format!("Bearer {}", post(&form).await.json()["access_token"].as_str().unwrap());
        let answer = get(&registry, "/v2/team/app/manifests/1", &[("authorization", &token)]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let unknown = post("grant_type=refresh_token&refresh_token=x").await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    let direct = format!("Bearer {}", registry.registry_token("ann", "team/app"));
    let answer = get(&registry, "/v2/team/app/manifests/1", &[("authorization", &direct)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    registry.revoke_tokens();
    let answer = get(&registry, "/v2/team/app/manifests/1", &[("authorization", &direct)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn basic_registries_want_the_password_every_time() {
    let mut options = Options::default();
    options.access = Access::Basic;
    let (registry, _, path) = with_image(options);
    registry.add_user(User::new("ann", "secret"));
    let challenge = get(&registry, &path, &[]).await;
    assert_eq!(challenge.header("www-authenticate"), "Basic realm=\"sim\"");
    let answer = get(&registry, &path, &[("authorization", &basic("ann", "secret"))]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = get(&registry, &path, &[("authorization", &basic("ann", "x"))]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn faults_hit_what_they_match_and_as_often_as_told() {
    let (registry, image, path) = with_image(Options::default());
    let bytes = image.layer_blobs()[0].bytes();
    let busy = Fault::Status(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after".to_owned(), "3".to_owned())]);
    registry.inject(Rule::new(Match::path("/blobs/"), busy).skip(1).times(1));
    assert_eq!(get(&registry, &path, &[]).await.status, StatusCode::OK);
    let limited = get(&registry, &path, &[]).await;
    assert_eq!((limited.status, limited.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "3"));
    assert_eq!(get(&registry, &path, &[]).await.status, StatusCode::OK);

    registry.inject(Rule::new(Match::path("/blobs/"), Fault::Corrupt(5)).times(1));
    let corrupt = get(&registry, &path, &[]).await.body.unwrap();
    assert_eq!(corrupt.iter().zip(bytes).filter(|(got, sent)| got != sent).count(), 1);

    registry.inject(Rule::new(Match::path("/blobs/"), Fault::IgnoreRange).times(1));
    let whole = get(&registry, &path, &[("range", "bytes=5-")]).await;
    assert_eq!((whole.status, whole.body.unwrap().len()), (StatusCode::OK, bytes.len()));

    registry.inject(Rule::new(Match::any().host(HOST).method(Method::GET), Fault::Disconnect).times(1));
    assert!(send(&registry, Method::GET, &path, &[], "").await.is_err());
    assert_eq!(registry.requests().last().unwrap().status, None);

    registry.inject(Rule::new(Match::any(), Fault::Delay(Duration::from_secs(9))).times(1));
    let before = tokio::time::Instant::now();
    get(&registry, &path, &[]).await;
    assert!(before.elapsed() >= Duration::from_secs(9));

    registry.inject(Rule::new(Match::any(), Fault::Stall(10)));
    let stalled = tokio::time::timeout(Duration::from_secs(60), get(&registry, &path, &[])).await;
    assert!(stalled.is_err(), "the body never ends");
    registry.heal();
    assert_eq!(get(&registry, &path, &[]).await.body.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_reset_comes_after_the_bytes_it_was_told_to_send() {
    let (registry, image, path) = with_image(Options::default());
    registry.inject(Rule::new(Match::path("/blobs/"), Fault::Reset(100_000)));
    let io = TokioIo::new(registry.dial(HOST));
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri(&path).header("host", HOST).body(Full::new(Bytes::new())).unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    let mut received = Vec::new();
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => received.extend_from_slice(frame.data_ref().unwrap()),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(broken);
    assert_eq!(received, image.layer_blobs()[0].bytes().slice(..100_000));
}

#[tokio::test]
async fn it_listens_on_loopback() {
    let (registry, image, path) = with_image(Options::default());
    let serving = registry.serve_tcp().await.unwrap();
    let host = serving.address().to_string();
    let stream = tokio::net::TcpStream::connect(serving.address()).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().uri(&path).header("host", &host).body(Full::new(Bytes::new())).unwrap();
    let body = client.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, image.layer_blobs()[0].bytes());
    assert_eq!(registry.requests()[0].host, host);
    drop(client);
    connection.await.unwrap().unwrap();
    serving.stop().await;
}

#[test]
fn images_have_the_same_bytes_every_time() {
    let build = |os: &str| {
        ImageBuilder::new()
            .platform(os, "amd64")
            .layer(Layer::random("data", 1000, 1, Compression::Gzip))
            .layer(Layer::random("data2", 1000, 2, Compression::Zstd))
            .build()
    };
    let index = || Index::new(Format::Oci, [build("linux"), build("windows")]);
    assert_eq!(index(), index());
    assert_eq!(index().images()[0].chain_ids().len(), 2);
    assert_ne!(index().images()[0].config().digest(), index().images()[1].config().digest());
    let schema1 = Schema1::new("a", "1", &[Layer::random("x", 10, 3, Compression::Gzip)]);
    let manifest: serde_json::Value = serde_json::from_slice(schema1.target().bytes()).unwrap();
    assert_eq!(manifest["fsLayers"][1]["blobSum"], schema1.blobs()[0].digest());
    let signed = schema1.clone().signed();
    assert_eq!(signed.target().digest(), schema1.target().digest(), "the signature is not named");
    assert_ne!(signed.target().bytes(), schema1.target().bytes());
}
