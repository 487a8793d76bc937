//! The real `docker-registry` of Debian, on a loopback port, with and without TLS and authentication.

use std::fs;
use std::net::TcpListener;
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
    /// http; everything needs a token.
    PlainAndToken,
    /// http; everything needs a password, and nobody has one.
    PlainAndBasic,
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
        let folder = tempfile::Builder::new().prefix("cri-imaged-registry-").tempdir()?;
        let port = free_port()?;
        let mut config = serde_json::json!({
            "version": "0.1",
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": folder.path().join("data") } },
            "http": { "addr": format!("127.0.0.1:{port}"), "secret": "e2e" },
            "compatibility": { "schema1": { "enabled": true } },
        });
        let mut token_server = None;
        if access == Access::PlainAndBasic {
            let passwords = folder.path().join("passwords");
            fs::write(&passwords, "")?;
            config["auth"]["htpasswd"] = serde_json::json!({ "realm": "e2e", "path": passwords });
        }
        if matches!(access, Access::TlsAndToken | Access::PlainAndToken) {
            let authority = Authority::new()?;
            let identity = authority.issue()?;
            let server = TokenServer::start(&authority).await?;
            let (certificate, key) = (folder.path().join("registry.crt"), folder.path().join("registry.key"));
            let signers = folder.path().join("signers.crt");
            // skopeo takes every `.crt` and `.key` of a folder: the authority has one of its own.
            fs::create_dir(folder.path().join("trust"))?;
            authority.write_certificate(&folder.path().join("trust/ca.crt"))?;
            fs::write(&certificate, &identity.certificate_pem)?;
            fs::write(&key, &identity.key_pem)?;
            fs::write(&signers, server.certificate_pem())?;
            if access == Access::TlsAndToken {
                config["http"]["tls"] = serde_json::json!({ "certificate": certificate, "key": key });
            }
            config["auth"]["token"] = serde_json::json!({
                "realm": server.realm(), "service": SERVICE, "issuer": ISSUER, "rootcertbundle": signers,
            });
            token_server = Some(server);
        }
        // JSON is YAML.
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string())?;
        let mut command = Tools::get().command("bookworm", "docker-registry")?;
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
        matches!(self.access, Access::TlsAndToken | Access::PlainAndToken).then(|| AuthConfig {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ..AuthConfig::default()
        })
    }

    /// The folder with the authority's `ca.crt`, for skopeo.
    pub(crate) fn certificate_folder(&self) -> PathBuf {
        self.folder.path().join("trust")
    }

    /// Tells a `certs.d` folder how to reach this registry.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn announce(&self, certs_d: &Path) -> anyhow::Result<()> {
        let ca = (self.access == Access::TlsAndToken).then(|| self.certificate_folder().join("ca.crt"));
        self::certs_d(certs_d, &self.host(), ca)
    }
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
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
