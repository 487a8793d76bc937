//! Debian's nginx in front of a registry: it limits, refuses, redirects or hides what the registry would have answered,
//! and keeps a log of what was asked.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Process, Registry, Tools, registry, until};

/// What nginx does to the registry's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Front {
    /// Bytes a second of one connection's answers.
    pub rate_bytes: Option<u64>,
    /// Of a hundred requests so many are answered 500, 502, 503 or 504; chosen by this seed and the connection's number.
    pub failing: Option<(f64, u64)>,
    /// Begins with 429 for every request, with this `Retry-After` in seconds, until [`Nginx::relent`].
    pub throttled: Option<u64>,
    /// Blobs are sent whole, whatever `Range` was asked for.
    pub without_ranges: bool,
    /// Blobs come in chunks, of a length that is not told before; without ranges too.
    pub without_length: bool,
    /// Blobs are asked of this origin instead of the registry.
    pub blobs: Option<String>,
    /// Blobs come from the registry's own files: one copy less, where a bench has to be faster than the network.
    pub from_files: bool,
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    folder: TempDir,
    port: u16,
}

/// A line of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The `Range` that was asked for.
    pub range: String,
    /// Whether it had an `Authorization` header.
    pub has_authorization: bool,
    /// The answer's status.
    pub status: u16,
    /// The bytes of its body that were sent.
    pub body_bytes: u64,
    /// When it ended, since 1970.
    pub at: Duration,
}

impl Answered {
    /// Whether it was a GET of a blob.
    pub fn is_blob(&self) -> bool {
        self.method == "GET" && self.target.contains("/blobs/")
    }
}

impl Nginx {
    /// Starts one in front of `registry`.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start(registry: &Registry, front: &Front) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("cri-imaged-nginx-").tempdir()?;
        let port = registry::free_port()?;
        let this = folder.path();
        if front.throttled.is_some() {
            fs::write(this.join("throttled"), "")?;
        }
        let config = this.join("nginx.conf");
        fs::write(&config, text(front, registry, port, this.to_owned()))?;
        let mut command = Tools::get().command("bookworm", "nginx")?;
        command.arg("-p").arg(this).arg("-c").arg(&config).arg("-e").arg(this.join("error.log"));
        let mut process = Process::start("nginx", command, &this.join("nginx.log"))?;
        until("nginx listens", Duration::from_secs(30), || {
            let running = process.still_runs();
            async move { running.map(|()| std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)) }
        })
        .await?;
        Ok(Self { _process: process, folder, port })
    }

    /// Where it listens: `127.0.0.1:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As [`Nginx::host`].
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Ends the 429 of [`Front::throttled`].
    ///
    /// # Errors
    /// Where it was not throttled.
    pub fn relent(&self) -> anyhow::Result<()> {
        fs::remove_file(self.folder.path().join("throttled")).context("nginx does not throttle")
    }

    /// What it has answered so far, in the order in which the answers ended.
    ///
    /// # Errors
    /// Where its log is not as configured.
    pub fn answered(&self) -> anyhow::Result<Vec<Answered>> {
        let log = fs::read_to_string(self.folder.path().join("access.log"))?;
        // The last line may be half there.
        let whole = log.rfind('\n').map_or("", |end| log.get(..end).unwrap_or_default());
        whole
            .lines()
            .map(|line| answered(line).with_context(|| format!("not a line of the log: {line}")))
            .collect()
    }

    /// As [`Nginx::answered`], once every answer has ended.
    ///
    /// # Errors
    /// Where one does not end within 30 s.
    pub async fn all_answered(&self) -> anyhow::Result<Vec<Answered>> {
        until("nginx has no answer under way", Duration::from_secs(30), || async {
            Ok((self.answers_under_way().await? == 0).then_some(()))
        })
        .await?;
        self.answered()
    }

    /// How many answers have begun and not ended.
    ///
    /// # Errors
    /// Where nginx does not tell.
    pub async fn answers_under_way(&self) -> anyhow::Result<u32> {
        let status = self.status().await?;
        let (_, rest) = status.split_once("Writing: ").context("nginx does not tell")?;
        let count: u32 = rest.split(' ').next().unwrap_or_default().parse()?;
        // One is the answer to this question.
        Ok(count.saturating_sub(1))
    }

    async fn status(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"GET /nginx-status HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }
}

fn answered(line: &str) -> Option<Answered> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| line.get(key)?.as_str().map(str::to_owned);
    Some(Answered {
        method: text("method")?,
        target: text("target")?,
        range: text("range")?,
        has_authorization: text("authorization")? == "sent",
        status: text("status")?.parse().ok()?,
        body_bytes: text("body_bytes")?.parse().ok()?,
        at: Duration::try_from_secs_f64(text("at")?.parse().ok()?).ok()?,
    })
}

/// The whole configuration.
fn text(front: &Front, registry: &Registry, port: u16, folder: PathBuf) -> String {
    let scheme = if registry.access().is_tls() { "https" } else { "http" };
    let upstream = format!("{scheme}://{}", registry.host());
    let mut fates = String::new();
    if let Some((percent, seed)) = front.failing {
        let each = percent / 4.0;
        let _ = writeln!(fates, "split_clients \"{seed} $connection $connection_requests\" $fate {{");
        for status in [500, 502, 503, 504] {
            let _ = writeln!(fates, "    {each:.2}% {status};");
        }
        fates.push_str("    * \"\";\n  }\n");
    }
    let folder = folder.display();
    format!(
        r#"user root;
daemon off;
# One process: workers outlive a master that is killed.
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_authorization $authorization {{ default sent; "" none; }}
  map $request_uri $is_logged {{ default 1; /nginx-status 0; }}
  log_format answers escape=json
    '{{"method":"$request_method","target":"$request_uri","range":"$http_range","authorization":"$authorization","status":"$status","body_bytes":"$body_bytes_sent","at":"$msec"}}';
  access_log {folder}/access.log answers if=$is_logged;
  default_type application/octet-stream;
  sendfile on;
  client_max_body_size 0;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_max_temp_file_size 0;
  proxy_set_header Host $http_host;
  {fates}
  server {{
    listen 127.0.0.1:{port};
    {rate}
    location = /nginx-status {{ limit_rate 0; stub_status; }}
    location / {{
      {refusals}
      proxy_pass {upstream};
    }}
    location ~ ^/v2/.+/blobs/sha256:(?<shard>..)(?<rest>.+)$ {{
      {refusals}
      {blobs}
    }}
    {throttled}
  }}
}}
"#,
        rate = front.rate_bytes.map(|bytes| format!("limit_rate {bytes};")).unwrap_or_default(),
        refusals = refusals(front, &folder.to_string()),
        blobs = blobs(front, registry, &upstream),
        throttled = front.throttled.map(throttling).unwrap_or_default(),
    )
}

/// What is answered instead of the registry's answer, whatever was asked.
fn refusals(front: &Front, folder: &str) -> String {
    let mut lines = String::new();
    if front.throttled.is_some() {
        let _ =
            writeln!(lines, "error_page 429 @throttled;\n      if (-f {folder}/throttled) {{ return 429; }}");
    }
    if front.failing.is_some() {
        for status in [500, 502, 503, 504] {
            let _ = writeln!(lines, "      if ($fate = {status}) {{ return {status}; }}");
        }
    }
    lines
}

fn throttling(seconds: u64) -> String {
    format!("location @throttled {{ add_header Retry-After {seconds} always; return 429; }}")
}

/// Where blobs come from.
fn blobs(front: &Front, registry: &Registry, upstream: &str) -> String {
    let mut lines = String::new();
    if front.without_ranges || front.without_length {
        lines.push_str("proxy_set_header Range \"\"; proxy_hide_header Accept-Ranges; max_ranges 0;\n");
    }
    if front.without_length {
        // What might be replaced has no length before it is through.
        lines.push_str("      sub_filter_types *; sub_filter 'nobody writes this' '';\n");
    }
    match (&front.blobs, front.from_files) {
        (Some(origin), _) => {
            let _ = write!(lines, "      proxy_pass {origin};");
        }
        (None, true) => {
            let data = registry.data().join("docker/registry/v2/blobs/sha256");
            let _ = write!(lines, "      alias {}/$shard/$shard$rest/data;", data.display());
        }
        (None, false) => {
            let _ = write!(lines, "      proxy_pass {upstream};");
        }
    }
    lines
}
