//! What the product relies on in a registry, as bodies that run against the fake and against a real one over TCP.
//!
//! Distribution-spec v1.1, "Pull" and "Error Codes", as far as registries agree about it. [`all`] lists the bodies for
//! a registry that everybody may read, [`guarded`] those for one that wants credentials.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::image::{Blob, Image};

/// A registry that listens on TCP without TLS, and what was pushed to it.
#[derive(Clone, Debug)]
pub struct Subject {
    address: String,
    repository: String,
    tag: String,
    image: Image,
}

impl Subject {
    /// The registry at `address`, `host:port`, in which `tag` of `repository` is `image`. The image has a layer of at
    /// least 16 bytes.
    pub fn new(address: &str, repository: &str, tag: &str, image: Image) -> Subject {
        Subject { address: address.to_owned(), repository: repository.to_owned(), tag: tag.to_owned(), image }
    }

    fn manifest_path(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }

    fn blob_path(&self, digest: &str) -> String {
        format!("/v2/{}/blobs/{digest}", self.repository)
    }

    fn layer(&self) -> &Blob {
        self.image.layer_blobs().last().unwrap()
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        // It ends with the client.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.ok().map(|body| body.to_bytes());
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn manifest(&self, method: Method, reference: &str) -> Answer {
        let accept = ("accept", self.image.manifest().media_type());
        self.ask(method, &self.manifest_path(reference), &[accept]).await
    }

    async fn range(&self, range: &str) -> Answer {
        self.ask(Method::GET, &self.blob_path(self.layer().digest()), &[("range", range)]).await
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// `None` when it broke off.
    body: Option<Bytes>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The first code of an error body.
    #[track_caller]
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(self.body.as_ref().unwrap()).unwrap();
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn is_document(&self, document: &Blob, with_body: bool) {
        assert_eq!(self.status, StatusCode::OK);
        assert_eq!(self.header("docker-content-digest"), document.digest());
        assert_eq!(self.header("content-length"), document.size().to_string());
        let expected = if with_body { document.bytes().clone() } else { Bytes::new() };
        assert_eq!(self.body, Some(expected));
    }
}

/// One body.
#[derive(Clone, Copy)]
pub struct Body {
    name: &'static str,
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

impl Body {
    /// What holds.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the body.
    ///
    /// # Panics
    /// When the registry does not behave as the body says.
    ///
    /// # Cancel safety
    /// Nothing is changed by a body.
    pub async fn run(&self, subject: Subject) {
        (self.run)(subject).await;
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Body").field(&self.name).finish()
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $list:ident { $($body:ident,)* })*) => {
        $($(#[$doc])*
        pub fn $list() -> Vec<Body> {
            vec![$(Body { name: stringify!($body), run: |subject| Box::pin($body(subject)) },)*]
        })*
    };
}

bodies! {
    /// The bodies for a registry that everybody may read.
    all {
        the_base_answers,
        a_manifest_is_served_by_tag,
        a_manifest_is_served_by_digest,
        a_head_tells_the_digest_without_a_body,
        a_missing_manifest_is_not_found,
        a_missing_repository_is_not_found,
        a_blob_is_served_whole,
        a_range_is_served_as_a_part,
        a_range_behind_the_end_is_refused,
        a_missing_blob_is_not_found,
    }
    /// The bodies for a registry that wants credentials for what the subject names.
    guarded {
        a_refusal_names_a_challenge,
        wrong_credentials_are_refused_like_none,
    }
}

async fn the_base_answers(subject: Subject) {
    assert_eq!(subject.ask(Method::GET, "/v2/", &[]).await.status, StatusCode::OK);
}

async fn a_manifest_is_served_by_tag(subject: Subject) {
    let answer = subject.manifest(Method::GET, &subject.tag).await;
    answer.is_document(subject.image.manifest(), true);
    assert_eq!(answer.header("content-type"), subject.image.manifest().media_type());
}

async fn a_manifest_is_served_by_digest(subject: Subject) {
    let answer = subject.manifest(Method::GET, subject.image.manifest().digest()).await;
    answer.is_document(subject.image.manifest(), true);
    assert_eq!(answer.header("content-type"), subject.image.manifest().media_type());
}

async fn a_head_tells_the_digest_without_a_body(subject: Subject) {
    let tag = subject.manifest(Method::HEAD, &subject.tag).await;
    tag.is_document(subject.image.manifest(), false);
    assert_eq!(tag.header("content-type"), subject.image.manifest().media_type());
    let path = subject.blob_path(subject.layer().digest());
    subject.ask(Method::HEAD, &path, &[]).await.is_document(subject.layer(), false);
}

async fn a_missing_manifest_is_not_found(subject: Subject) {
    let absent = format!("sha256:{}", "0".repeat(64));
    for reference in ["no-such-tag", &absent] {
        let answer = subject.manifest(Method::GET, reference).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN".to_owned()));
        assert!(answer.header("content-type").starts_with("application/json"));
        let answer = subject.manifest(Method::HEAD, reference).await;
        assert_eq!((answer.status, answer.body), (StatusCode::NOT_FOUND, Some(Bytes::new())));
    }
}

/// Registries differ in the code: some tell that there is no such repository, some know of the manifest alone.
async fn a_missing_repository_is_not_found(subject: Subject) {
    let answer = subject.ask(Method::GET, "/v2/no/such/repository/manifests/1", &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(["NAME_UNKNOWN", "MANIFEST_UNKNOWN"].contains(&answer.code().as_str()));
}

async fn a_blob_is_served_whole(subject: Subject) {
    for blob in [subject.layer(), subject.image.config()] {
        subject.ask(Method::GET, &subject.blob_path(blob.digest()), &[]).await.is_document(blob, true);
    }
}

async fn a_range_is_served_as_a_part(subject: Subject) {
    let (bytes, size) = (subject.layer().bytes(), subject.layer().size());
    let last = size - 1;
    let open = subject.range("bytes=5-").await;
    assert_eq!(open.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(open.header("content-range"), format!("bytes 5-{last}/{size}"));
    assert_eq!(open.header("content-length"), (size - 5).to_string());
    assert_eq!(open.body, Some(bytes.slice(5..)));
    let closed = subject.range("bytes=2-9").await;
    assert_eq!(closed.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(closed.header("content-range"), format!("bytes 2-9/{size}"));
    assert_eq!(closed.body, Some(bytes.slice(2..10)));
}

/// Whatever body comes with it: docker-registry 2.8 declares the length of the blob, sends one line and hangs up.
async fn a_range_behind_the_end_is_refused(subject: Subject) {
    let size = subject.layer().size();
    let answer = subject.range(&format!("bytes={size}-")).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.header("content-range"), format!("bytes */{size}"));
}

async fn a_missing_blob_is_not_found(subject: Subject) {
    let path = subject.blob_path(&format!("sha256:{}", "0".repeat(64)));
    let answer = subject.ask(Method::GET, &path, &[]).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "BLOB_UNKNOWN".to_owned()));
    let answer = subject.ask(Method::HEAD, &path, &[]).await;
    assert_eq!((answer.status, answer.body), (StatusCode::NOT_FOUND, Some(Bytes::new())));
}

#[track_caller]
fn is_challenge(answer: &Answer, repository: &str) {
    assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED".to_owned()));
    let challenge = answer.header("www-authenticate");
    if challenge.starts_with("Bearer ") {
        assert!(challenge.contains("realm=\"http"), "{challenge}");
        assert!(challenge.contains(",service=\""), "{challenge}");
        assert!(challenge.contains(&format!(",scope=\"repository:{repository}:pull\"")), "{challenge}");
    } else {
        assert!(challenge.starts_with("Basic realm=\""), "{challenge}");
    }
}

async fn a_refusal_names_a_challenge(subject: Subject) {
    is_challenge(&subject.manifest(Method::GET, &subject.tag).await, &subject.repository);
    let path = subject.blob_path(subject.layer().digest());
    is_challenge(&subject.ask(Method::GET, &path, &[]).await, &subject.repository);
    let base = subject.ask(Method::GET, "/v2/", &[]).await;
    assert_eq!(base.status, StatusCode::UNAUTHORIZED);
}

async fn wrong_credentials_are_refused_like_none(subject: Subject) {
    for authorization in ["Basic bm9ib2R5Ondyb25n", "Bearer no-such-token"] {
        let path = subject.manifest_path(&subject.tag);
        let answer = subject.ask(Method::GET, &path, &[("authorization", authorization)]).await;
        is_challenge(&answer, &subject.repository);
    }
}
