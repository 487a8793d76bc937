//! A token server as the distribution token specification describes it: Basic credentials in, a signed token out.
//!
//! The real registry judges what it signs, so it cannot agree with the daemon by accident. Serves TLS on loopback.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Authority;

/// The `iss` and `aud` that the registry is configured for.
pub(crate) const ISSUER: &str = "e2e-issuer";
pub(crate) const SERVICE: &str = "e2e-registry";

/// The only account.
pub(crate) const USERNAME: &str = "puller";
pub(crate) const PASSWORD: &str = "s3cret-of-the-puller";

/// How long a token holds; the registry wants at least 60 s.
const LIFETIME: Duration = Duration::from_secs(300);

/// A running token server.
#[derive(Debug)]
pub struct TokenServer {
    port: u16,
    certificate_pem: String,
    serving: JoinHandle<()>,
}

struct Signer {
    key: EcdsaKeyPair,
    certificate: String,
}

impl TokenServer {
    /// Starts one with a certificate of `authority`.
    ///
    /// # Errors
    /// Where a key or a port cannot be had.
    pub async fn start(authority: &Authority) -> anyhow::Result<Self> {
        let pair = KeyPair::generate()?;
        let certificate = CertificateParams::new(Vec::<String>::new())?.self_signed(&pair)?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der(), &random)
            .ok()
            .context("the signing key is no P-256 key")?;
        let signer = Arc::new(Signer { key, certificate: STANDARD.encode(certificate.der()) });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let tls = tokio_rustls::TlsAcceptor::from(authority.issue()?.server_config()?);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, signer) = (tls.clone(), Arc::clone(&signer));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let answer = service_fn(move |request| {
                        let answer = answer(&signer, &request);
                        async move { answer }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Ok(Self { port, certificate_pem: certificate.pem(), serving })
    }

    pub(crate) fn realm(&self) -> String {
        format!("https://127.0.0.1:{}/token", self.port)
    }

    /// The certificate that signs the tokens: the registry's `rootcertbundle`.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer<B>(signer: &Signer, request: &Request<B>) -> anyhow::Result<Response<Full<Bytes>>> {
    let empty = |status| Ok(Response::builder().status(status).body(Full::default())?);
    if request.uri().path() != "/token" {
        return empty(StatusCode::NOT_FOUND);
    }
    if request.method() != hyper::Method::GET {
        // As an older token server: the client has to fall back to GET.
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let expected = format!("Basic {}", STANDARD.encode(format!("{USERNAME}:{PASSWORD}")));
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    // Without credentials a token is given all the same, for nothing: as public token servers do.
    let is_known = authorization == Some(expected.as_str());
    if authorization.is_some() && !is_known {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let scopes =
        request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<_> = scopes.filter(|_| is_known).filter_map(access).collect();
    let token = signer.sign(&access)?;
    let body = serde_json::json!({ "token": token, "expires_in": LIFETIME.as_secs() }).to_string();
    Ok(Response::builder().header("content-type", "application/json").body(Full::from(body))?)
}

/// `repository:name:pull,push`, percent-encoded as it came in the query.
fn access(scope: &str) -> Option<serde_json::Value> {
    let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let actions: Vec<&str> = actions.split(',').collect();
    Some(serde_json::json!({ "type": kind, "name": name, "actions": actions }))
}

impl Signer {
    /// A JSON web token (RFC 7519) signed with ES256, its certificate in the header.
    #[expect(
        clippy::disallowed_methods,
        reason = "the registry compares the token's times with the wall clock"
    )]
    fn sign(&self, access: &[serde_json::Value]) -> anyhow::Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let header = serde_json::json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let claims = serde_json::json!({
            "iss": ISSUER, "sub": USERNAME, "aud": SERVICE, "jti": now.as_nanos().to_string(), "access": access,
            "iat": now.as_secs(), "nbf": now.as_secs().saturating_sub(10), "exp": (now + LIFETIME).as_secs(),
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok().context("cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
