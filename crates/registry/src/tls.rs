//! TLS settings of one host, and the rustls configuration made from them.
//!
//! The ring provider is named explicitly, so that no process-wide default is needed or changed. Never dials.

mod client_certs;
mod roots;
mod unverified;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};

use client_certs::ClientCerts;
pub use roots::RootFiles;
pub(crate) use roots::SystemRoots;
use unverified::Unverified;

/// What a host's configuration says about TLS. The PEM texts are held as read; equal texts share connections.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM bundles added to the system's roots.
    pub(crate) ca: Vec<Vec<u8>>,
    /// Certificate chain and private key, both PEM; they may be the same file.
    pub(crate) clients: Vec<ClientPem>,
    /// Accept any certificate for any name.
    pub(crate) skip_verify: bool,
}

/// One client certificate as read from disk.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientPem {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The file is no PEM with what is looked for.
    #[error("not a PEM file with a {wanted}")]
    Pem {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// The parser's reason, where it read anything at all.
        #[source]
        source: Option<rustls::pki_types::pem::Error>,
    },
    /// The certificate or key is well-formed PEM but not usable.
    #[error("certificate or key is not usable")]
    Unusable(#[source] rustls::Error),
}

impl TlsSettings {
    /// Identifies these settings without holding a private key in a map's key.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([u8::from(self.skip_verify)]);
        let clients = self.clients.iter().flat_map(|client| [&client.chain, &client.key]);
        for (section, text) in self.ca.iter().map(|text| (1u8, text)).chain(clients.map(|text| (2u8, text))) {
            hash.update([section]);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    /// The rustls configuration: system roots and these CAs, or no verification at all.
    ///
    /// # Errors
    /// [`TlsConfigError`] when a PEM text holds nothing usable.
    fn client_config(&self, system: &RootCertStore) -> Result<ClientConfig, TlsConfigError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the ring provider supports TLS 1.2 and 1.3");
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new(&provider)))
        } else {
            let mut roots = system.clone();
            for text in &self.ca {
                add_roots(&mut roots, text)?;
            }
            builder.with_root_certificates(roots)
        };
        let mut config = match self.client_certs(&provider)? {
            Some(certs) => builder.with_client_cert_resolver(Arc::new(certs)),
            None => builder.with_no_client_auth(),
        };
        // HTTP/1.1 alone: each layer then has its own TCP connection and window. One HTTP/2 connection shares 5 MiB
        // of window over all streams, which caps a pull at about 50 MB/s at 100 ms round trip (hyper 1.12 defaults).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Whether every PEM text holds something usable; made while reading files, so that the error can name the file.
    pub(crate) fn check(&self) -> Result<(), TlsConfigError> {
        self.client_config(&RootCertStore::empty()).map(drop)
    }

    fn client_certs(&self, provider: &CryptoProvider) -> Result<Option<ClientCerts>, TlsConfigError> {
        if self.clients.is_empty() {
            return Ok(None);
        }
        ClientCerts::load(&self.clients, provider).map(Some)
    }
}

/// A host's rustls configuration, made at the first https connection and again when the system's roots have changed: a
/// plain-http host, and a simulated one, never pays for reading them.
pub(crate) struct LazyTls {
    settings: TlsSettings,
    roots: SystemRoots,
    made: Mutex<Option<(Arc<RootCertStore>, Arc<ClientConfig>)>>,
}

impl LazyTls {
    pub(crate) fn new(settings: TlsSettings, roots: SystemRoots) -> LazyTls {
        LazyTls { settings, roots, made: Mutex::default() }
    }

    /// # Errors
    /// [`TlsConfigError`]; not expected, as every file was checked when it was read.
    pub(crate) fn get(&self) -> Result<Arc<ClientConfig>, TlsConfigError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let roots = match made.as_ref() {
            // A loopback registry is tried under TLS without verification: it must not pay for the roots either.
            Some((_, config)) if self.settings.skip_verify => return Ok(Arc::clone(config)),
            None if self.settings.skip_verify => Arc::new(RootCertStore::empty()),
            _ => self.roots.current(),
        };
        if let Some((known, config)) = made.as_ref()
            && Arc::ptr_eq(known, &roots)
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.settings.client_config(&roots)?);
        *made = Some((roots, Arc::clone(&config)));
        Ok(config)
    }
}

/// Adds every certificate of a PEM bundle. A bundle without one is an error: the operator meant it to matter.
fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsConfigError> {
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(TlsConfigError::Unusable)?;
    }
    Ok(())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsConfigError::Pem { wanted: "certificate", source: Some(error) })?;
    if found.is_empty() {
        Err(TlsConfigError::Pem { wanted: "certificate", source: None })
    } else {
        Ok(found)
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca_count", &self.ca.len())
            .field("client_count", &self.clients.len())
            .field("skip_verify", &self.skip_verify)
            .finish()
    }
}
