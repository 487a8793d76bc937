//! The real `docker-registry` of Debian, on a loopback port, with and without TLS and authentication.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_cri::v1::AuthConfig;
use tempfile::TempDir;

use crate::token_server::{ISSUER, PASSWORD, SERVICE, USERNAME};
use crate::{Authority, Process, TokenServer, Tools, until};

/// How a registry is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// http, everyone may pull and push.
    Plain,
    /// https with a certificate of the test's own authority; pulling needs a token, and a token needs the password.
    TlsAndToken,
    /// https as above; a client needs a certificate of that authority too, and nothing else.
    TlsAndClientCertificate,
    /// http; everything needs a token.
    PlainAndToken,
    /// http; everything needs a password, and nobody has one.
    PlainAndBasic,
}

impl Access {
    /// Whether it is https.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::TlsAndToken | Self::TlsAndClientCertificate)
    }

    fn wants_token(self) -> bool {
        matches!(self, Self::TlsAndToken | Self::PlainAndToken)
    }
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    _token_server: Option<TokenServer>,
    folder: TempDir,
    access: Access,
    port: u16,
}

impl Registry {
    /// Starts an empty one.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start(access: Access) -> anyhow::Result<Self> {
        Self::start_with(access, None).await
    }

    /// Starts one that everyone may pull from over plain http, and that has what `origin` has: it asks for it with the
    /// credentials of `origin` and keeps it.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn cache_of(origin: &Registry) -> anyhow::Result<Self> {
        Self::start_with(Access::Plain, Some(origin)).await
    }

    async fn start_with(access: Access, origin: Option<&Self>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("cri-imaged-registry-").tempdir()?;
        let port = free_port()?;
        let mut config = serde_json::json!({
            "version": "0.1",
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": folder.path().join("data") } },
            "http": { "addr": format!("127.0.0.1:{port}"), "secret": "e2e" },
            "compatibility": { "schema1": { "enabled": true } },
        });
        let token_server = secure(access, folder.path(), &mut config).await?;
        let mut command = Tools::get().command("bookworm", "docker-registry")?;
        if let Some(origin) = origin {
            let scheme = if origin.access.is_tls() { "https" } else { "http" };
            let auth = origin.auth().unwrap_or_default();
            config["proxy"] = serde_json::json!({
                "remoteurl": format!("{scheme}://{}", origin.host()),
                "username": auth.username, "password": auth.password,
            });
            // Go's own variable: whom it trusts beside the system's authorities.
            command.env("SSL_CERT_FILE", origin.authority());
        }
        // JSON is YAML.
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string())?;
        command.arg("serve").arg(&path);
        let mut process = Process::start("docker-registry", command, &folder.path().join("registry.log"))?;
        until("docker-registry listens", Duration::from_secs(30), || {
            let running = process.still_runs();
            async move { running.map(|()| std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)) }
        })
        .await?;
        Ok(Self { process, _token_server: token_server, folder, access, port })
    }

    /// The registry's part of a reference: `127.0.0.1:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A reference to `name` in this registry.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The folder of its blobs.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// How it is reached.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The credentials that may pull and push.
    pub fn auth(&self) -> Option<AuthConfig> {
        self.access.wants_token().then(|| AuthConfig {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ..AuthConfig::default()
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder with the authority's `ca.crt`, and with `client.cert` and `client.key` where a client needs them.
    pub fn certificate_folder(&self) -> PathBuf {
        self.folder.path().join("trust")
    }

    /// The certificate of the authority, of its token server too.
    pub fn authority(&self) -> PathBuf {
        self.certificate_folder().join("ca.crt")
    }

    /// Tells a `certs.d` folder how to reach this registry.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn announce(&self, certs_d: &Path) -> anyhow::Result<()> {
        let ca = self.access.is_tls().then(|| self.authority());
        self::certs_d(certs_d, &self.host(), ca)?;
        if self.access == Access::TlsAndClientCertificate {
            let [certificate, key] =
                ["client.cert", "client.key"].map(|name| self.certificate_folder().join(name));
            let line = format!("client = [[\"{}\", \"{}\"]]\n", certificate.display(), key.display());
            let path = certs_d.join(self.host()).join("hosts.toml");
            fs::write(&path, fs::read_to_string(&path)? + &line)?;
        }
        Ok(())
    }
}

/// Adds to `config` what `access` demands, its files below `folder`; the token server, where there is one.
async fn secure(
    access: Access,
    folder: &Path,
    config: &mut serde_json::Value,
) -> anyhow::Result<Option<TokenServer>> {
    if access == Access::PlainAndBasic {
        let passwords = folder.join("passwords");
        fs::write(&passwords, "")?;
        config["auth"]["htpasswd"] = serde_json::json!({ "realm": "e2e", "path": passwords });
    }
    if matches!(access, Access::Plain | Access::PlainAndBasic) {
        return Ok(None);
    }
    let authority = Authority::new()?;
    let identity = authority.issue()?;
    let (certificate, key) = (folder.join("registry.crt"), folder.join("registry.key"));
    // skopeo takes every `.crt` and `.key` of a folder: the authority has one of its own.
    let trust = folder.join("trust");
    fs::create_dir(&trust)?;
    authority.write_certificate(&trust.join("ca.crt"))?;
    fs::write(&certificate, &identity.certificate_pem)?;
    fs::write(&key, &identity.key_pem)?;
    if access.is_tls() {
        config["http"]["tls"] = serde_json::json!({ "certificate": certificate, "key": key });
    }
    if access == Access::TlsAndClientCertificate {
        let client = authority.issue()?;
        fs::write(trust.join("client.cert"), &client.certificate_pem)?;
        fs::write(trust.join("client.key"), &client.key_pem)?;
        config["http"]["tls"]["clientcas"] = serde_json::json!([trust.join("ca.crt")]);
    }
    if !access.wants_token() {
        return Ok(None);
    }
    let server = TokenServer::start(&authority).await?;
    let signers = folder.join("signers.crt");
    fs::write(&signers, server.certificate_pem())?;
    config["auth"]["token"] = serde_json::json!({
        "realm": server.realm(), "service": SERVICE, "issuer": ISSUER, "rootcertbundle": signers,
    });
    Ok(Some(server))
}

/// Writes `hosts.toml` of one registry: https with `ca`, plain http without.
///
/// # Errors
/// Where a file cannot be written.
pub fn certs_d(folder: &Path, host: &str, ca: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = folder.join(host);
    fs::create_dir_all(&folder)?;
    let text = match ca {
        Some(ca) => format!("server = \"https://{host}\"\nca = \"{}\"\n", ca.display()),
        None => format!("server = \"http://{host}\"\n"),
    };
    fs::write(folder.join("hosts.toml"), text)?;
    Ok(())
}

/// A port that nobody listens on now. Another process may take it before the registry does: it then fails to start
/// and the test says so.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
