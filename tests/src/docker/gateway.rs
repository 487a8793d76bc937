//! The socket that testcontainers talks to: dockerd's own, with the API version in each request's path lowered.
//!
//! testcontainers 0.28 asks for API 1.53 without negotiating, and no Debian release has a dockerd that speaks it; the
//! calls it makes are all in 1.45.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What a request begins with.
const METHODS: [&[u8]; 5] = [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE "];

/// A listening gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// Listens on `public` for `socket`, whose daemon speaks `version` at most.
    pub(super) fn start(public: &Path, socket: &Path, version: String) -> anyhow::Result<Self> {
        let listener =
            UnixListener::bind(public).with_context(|| format!("cannot listen on {}", public.display()))?;
        let socket = socket.to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, version) = (socket.clone(), version.clone());
                tokio::spawn(async move { forward(client, &socket, &version).await });
            }
        });
        Ok(Self { path: public.to_owned(), serving })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn forward(client: UnixStream, socket: &Path, version: &str) -> std::io::Result<()> {
    let server = UnixStream::connect(socket).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut part = vec![0; 64 << 10];
    loop {
        let count = from_client.read(&mut part).await?;
        if count == 0 {
            to_server.shutdown().await?;
            break;
        }
        to_server.write_all(&lower(&part[..count], version)).await?;
    }
    answers.await?.map(drop)
}

/// A client sends the next request only after an answer, so a head is always at the beginning of what was read.
fn lower(part: &[u8], version: &str) -> Vec<u8> {
    let is_head = METHODS.iter().any(|method| part.starts_with(method));
    let path = part.windows(4).position(|window| window == b" /v1").filter(|_| is_head);
    let end =
        path.and_then(|path| Some(path + 3 + part.get(path + 3..)?.iter().position(|byte| *byte == b'/')?));
    match (path, end) {
        (Some(path), Some(end)) => [&part[..path + 3], version.as_bytes(), &part[end..]].concat(),
        _ => part.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn only_the_version_of_a_head_is_changed() {
        let check = |part: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&lower(part.as_bytes(), "1.45")), expected);
        };
        check("GET /v1.53/info HTTP/1.1\r\n", "GET /v1.45/info HTTP/1.1\r\n");
        check("GET /_ping HTTP/1.1\r\n", "GET /_ping HTTP/1.1\r\n");
        check("{\"a\": \"GET /v1.53/info\"}", "{\"a\": \"GET /v1.53/info\"}");
    }
}
