//! Client certificates of one host: loaded from PEM, offered when the server asks.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::{ClientPem, TlsConfigError, certificates};

/// The certificates in the order of the configuration. The first whose key can sign for the server is offered: the
/// server's list of issuers is only a hint (RFC 8446, section 4.2.4), and hosts with several pairs are rare.
#[derive(Debug)]
pub(crate) struct ClientCerts(Vec<Arc<CertifiedKey>>);

impl ClientCerts {
    pub(crate) fn load(
        clients: &[ClientPem],
        provider: &CryptoProvider,
    ) -> Result<ClientCerts, TlsConfigError> {
        let load = |client: &ClientPem| {
            let chain = certificates(&client.chain)?;
            let key = PrivateKeyDer::from_pem_slice(&client.key)
                .map_err(|error| TlsConfigError::Pem { wanted: "private key", source: Some(error) })?;
            CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(TlsConfigError::Unusable)
        };
        clients.iter().map(load).collect::<Result<_, _>>().map(ClientCerts)
    }
}

impl ResolvesClientCert for ClientCerts {
    fn resolve(&self, _issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.iter().find(|certified| certified.key.choose_scheme(schemes).is_some()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
