//! The two calls of Docker's HTTP API that testcontainers does not have.

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// The newest API version that the daemon speaks, `1.45` for instance.
pub(super) async fn version(socket: &Path) -> anyhow::Result<String> {
    let answer = call(socket, Method::GET, "/version", Vec::new()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    Ok(answer["ApiVersion"].as_str().context("dockerd names no API version")?.to_owned())
}

/// Imports a root folder as an image.
pub(super) async fn import(socket: &Path, name: &str, tag: &str, root: Vec<u8>) -> anyhow::Result<()> {
    let path = format!("/images/create?fromSrc=-&repo={name}&tag={tag}");
    let answer = call(socket, Method::POST, &path, root).await?;
    let answer = String::from_utf8_lossy(&answer);
    // The status is sent before the import begins.
    ensure!(!answer.contains("errorDetail"), "dockerd cannot import {name}:{tag}: {answer}");
    Ok(())
}

async fn call(socket: &Path, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "docker")
        .body(Full::<Bytes>::from(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    ensure!(status.is_success(), "dockerd answers {status} to {path}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
