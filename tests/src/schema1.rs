//! Docker schema 1 manifests in a real registry. No tool pushes them any more, so that this speaks the protocol itself.
//!
//! The registry takes none without a valid signature, made as Docker's libtrust makes it: ECDSA over P-256, whose public
//! key stands in the signature.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::Registry;

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The blob of an entry without a layer, which the registry must have.
const EMPTY_LAYER_DIGEST: &str = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";

/// The gzip of two empty blocks of tar as Docker has always written it.
const EMPTY_LAYER: [u8; 32] = [
    31, 139, 8, 0, 0, 9, 110, 136, 0, 255, 98, 24, 5, 163, 96, 20, 140, 88, 0, 8, 0, 0, 255, 255, 46, 175,
    181, 239, 0, 4, 0, 0,
];

/// Lets the registry itself make a schema 1 manifest of the schema 2 image `repository:from`, as it does for clients that
/// know no other, and pushes that as `repository:to`. Answers the digest of what was signed.
///
/// # Errors
/// Where the registry refuses.
pub async fn push_schema1_of(
    registry: &Registry,
    repository: &str,
    from: &str,
    to: &str,
) -> anyhow::Result<String> {
    let path = |tag: &str| format!("/v2/{repository}/manifests/{tag}");
    let signed = call(registry, Method::GET, &path(from), (ACCEPT, SIGNED), Bytes::new()).await?;
    let is_signed = signed.headers().get(CONTENT_TYPE).is_some_and(|value| value == SIGNED);
    ensure!(is_signed, "the registry makes no schema 1 manifest: {:?}", signed.headers());
    let document = signed.into_body();
    put(registry, &path(to), document).await
}

/// Signs a schema 1 manifest with a key made for it and pushes it as `repository:tag`. `entries` is what the
/// history says, the oldest first, and whether it is about the next layer of the schema 2 image `repository:from` or
/// about no layer. Answers the digest of what was signed.
///
/// # Errors
/// Where the registry refuses.
pub async fn push_schema1(
    registry: &Registry,
    repository: &str,
    from: &str,
    tag: &str,
    entries: &[(Value, bool)],
) -> anyhow::Result<String> {
    let path = format!("/v2/{repository}/manifests/{from}");
    let manifest = call(registry, Method::GET, &path, (ACCEPT, SCHEMA2), Bytes::new()).await?.into_body();
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let mut layers = manifest["layers"].as_array().context("a schema 2 manifest has layers")?.iter();
    upload_empty_layer(registry, repository).await?;
    let (mut fs_layers, mut history) = (Vec::new(), Vec::new());
    for (said, has_layer) in entries {
        let blob = match has_layer {
            true => layers.next().context("more entries than layers")?["digest"].clone(),
            false => json!(EMPTY_LAYER_DIGEST),
        };
        fs_layers.insert(0, json!({ "blobSum": blob }));
        history.insert(0, json!({ "v1Compatibility": said.to_string() }));
    }
    let document = json!({
        "schemaVersion": 1, "name": repository, "tag": tag, "architecture": "amd64",
        "fsLayers": fs_layers, "history": history,
    });
    let document = sign(&serde_json::to_string_pretty(&document)?)?;
    put(registry, &format!("/v2/{repository}/manifests/{tag}"), document.into()).await
}

/// Puts `signatures` before the end of `payload`, a JSON object.
fn sign(payload: &str) -> anyhow::Result<String> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .ok()
        .and_then(|key| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).ok()
        })
        .context("cannot make a key")?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = payload.strip_suffix("\n}").context("pretty JSON ends so")?;
    let protected = json!({
        "formatLength": signed.len(), "formatTail": encode(b"\n}"), "time": "2026-01-01T00:00:00Z",
    });
    let protected = encode(protected.to_string().as_bytes());
    let message = format!("{protected}.{}", encode(payload.as_bytes()));
    let signature = key.sign(&random, message.as_bytes()).ok().context("cannot sign")?;
    // Uncompressed: 4, x, y.
    let (x, y) = key.public_key().as_ref().get(1..).context("a key has coordinates")?.split_at(32);
    let jwk = json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) });
    let signatures = json!([{
        "header": { "jwk": jwk, "alg": "ES256" },
        "signature": encode(signature.as_ref()),
        "protected": protected,
    }]);
    Ok(format!("{signed},\n   \"signatures\": {signatures}\n}}"))
}

async fn upload_empty_layer(registry: &Registry, repository: &str) -> anyhow::Result<()> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let begun = call(registry, Method::POST, &path, (CONTENT_LENGTH, "0"), Bytes::new()).await?;
    let location = begun.headers().get(LOCATION).context("no place to upload to")?.to_str()?;
    let (_, path) = location.split_once(&registry.host()).context("a place elsewhere")?;
    let path = format!("{path}&digest={EMPTY_LAYER_DIGEST}");
    let blob = Bytes::from_static(&EMPTY_LAYER);
    call(registry, Method::PUT, &path, (CONTENT_TYPE, "application/octet-stream"), blob).await.map(drop)
}

async fn put(registry: &Registry, path: &str, document: Bytes) -> anyhow::Result<String> {
    let answer = call(registry, Method::PUT, path, (CONTENT_TYPE, SIGNED), document).await?;
    let digest = answer.headers().get("docker-content-digest").context("the registry names no digest")?;
    Ok(digest.to_str()?.to_owned())
}

async fn call(
    registry: &Registry,
    method: Method,
    path: &str,
    (name, value): (http::HeaderName, &str),
    body: Bytes,
) -> anyhow::Result<Response<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(registry.host()).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let what = format!("{method} {path}");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, registry.host())
        .header(name, value)
        .body(Full::<Bytes>::from(body))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    ensure!(
        head.status.is_success(),
        "the registry answers {} to {what}: {}",
        head.status,
        String::from_utf8_lossy(&body)
    );
    Ok(Response::from_parts(head, body))
}
