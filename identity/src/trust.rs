//! The authority that a connection trusts, known before the first contact.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme, crypto::ring,
};
use sprint_core::ids::Fingerprint;
use sprint_core::time::Timestamp;
use thiserror::Error as ThisError;
use webpki::KeyUsage;

use crate::key::KeyError;

/// How the coordinator's certificate is verified.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A server that presents an authority's certificate with this fingerprint, and its own certificate issued by it.
    Fingerprint(Fingerprint),
    /// A server with a certificate from one of these authorities (PEM).
    Authorities(String),
}

/// The server showed certificates, and the one that is trusted is not among them.
#[derive(Debug, ThisError)]
#[error("the server's certificate authority is another one")]
pub struct OtherAuthority;

impl Trust {
    pub(crate) fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, KeyError> {
        let provider = Arc::new(ring::default_provider());
        match self {
            Self::Fingerprint(fingerprint) => Ok(Arc::new(Pinned { fingerprint: fingerprint.clone(), provider })),
            Self::Authorities(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(|error| KeyError::malformed("the trusted authority", error))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| KeyError::malformed("the trusted authority", error))?;
                Ok(verifier)
            }
        }
    }
}

/// The certificates in a PEM text.
///
/// # Errors
/// [`KeyError::Malformed`], also when there is none.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, KeyError> {
    let what = "the certificate";
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| KeyError::malformed(what, error))?;
    if found.is_empty() { Err(KeyError::malformed(what, "there is none in it")) } else { Ok(found) }
}

/// A certificate as PEM.
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    let body = pem::Pem::new("CERTIFICATE", certificate.to_vec());
    pem::encode_config(&body, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// Checks that the first certificate of a chain is a server's, that it counts at `now`, and that the
/// chain ends with the authority that issued it: clients are to trust that one.
///
/// # Errors
/// A text with the reason.
pub fn check_chain(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), String> {
    let (Some(leaf), Some(anchor)) = (chain.first(), chain.last()) else {
        return Err("it holds no certificate".to_owned());
    };
    let anchor = webpki::anchor_from_trusted_cert(anchor).map_err(|error| error.to_string())?;
    let time = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)));
    let checked = webpki::EndEntityCert::try_from(leaf).and_then(|leaf| {
        leaf.verify_for_usage(
            ring::default_provider().signature_verification_algorithms.all,
            &[anchor],
            &chain[1..],
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(drop)
    });
    match checked {
        Ok(()) => Ok(()),
        Err(webpki::Error::UnknownIssuer) => {
            Err("it does not end with the authority that its first certificate comes from; append that one's"
                .to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Trusts the authority with one fingerprint, as the server itself shows it.
#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .chain([end_entity])
            .find(|certificate| crate::fingerprint(certificate) == self.fingerprint)
            .ok_or_else(|| CertificateError::Other(OtherError(Arc::new(OtherAuthority))))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
