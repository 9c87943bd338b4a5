//! The coordinator's certificates: its authority, and the certificate that it shows.

mod names;
pub mod seal;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sprint_core::ids::Fingerprint;
use sprint_core::time::Timestamp;
use sprint_identity::authority::Authority;
use sprint_identity::key::{Key, KeyError};
use sprint_identity::pki_types::pem::PemObject as _;
use sprint_identity::pki_types::{CertificateDer, PrivateKeyDer};
use sprint_identity::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use sprint_identity::rustls::sign::CertifiedKey;
use sprint_identity::rustls::{RootCertStore, ServerConfig, crypto::ring, version::TLS13};
use sprint_identity::{fingerprint, private, trust};
use thiserror::Error;

/// How long the coordinator's own certificate counts; it is renewed after two thirds of that.
const SERVER_TTL: Duration = Duration::from_hours(90 * 24);

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum CertificateError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path} cannot be read: {error}; check --tls-cert and --tls-key")]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path} cannot be used: {why}; check --tls-cert and --tls-key")]
    Unusable { path: PathBuf, why: String },
}

/// Where the certificate that is shown comes from.
#[derive(Debug)]
enum Source {
    /// Our own authority; these names beside those that this host has.
    Own { key: Box<Key>, advertised: Vec<String>, dir: PathBuf },
    /// Files of the user's: a chain up to the authority that clients are to trust, and its key.
    Given { chain: PathBuf, key: PathBuf },
}

/// The certificate that is presented now.
#[derive(Debug)]
struct Present {
    shown: Arc<CertifiedKey>,
    names: Vec<String>,
    /// When it is to be renewed; unknown for one that the user gave.
    renew_at: Option<Timestamp>,
}

/// Our authority, and the certificate that is presented to clients.
#[derive(Debug)]
pub struct Certificates {
    pub authority: Authority,
    source: Source,
    present: RwLock<Present>,
}

/// A certificate of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Takes the authority of a data directory, making it at the first start, and a certificate to show.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn open(
        data: &Path,
        advertised: &[String],
        given: Option<CertificateFiles>,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let dir = data.join("identity");
        let authority = Authority::load_or_make(&dir, now)?;
        let source = if let Some(CertificateFiles { chain, key }) = given {
            Source::Given { chain, key }
        } else {
            let key = Box::new(Key::load_or_make(&dir.join("server.key"))?);
            Source::Own { key, advertised: advertised.to_vec(), dir }
        };
        let present = load(&authority, &source, now)?;
        Ok(Self { authority, source, present: RwLock::new(present) })
    }

    /// Brings the certificate up to date: when its time or this host's addresses ask for it, or the
    /// user's file has changed. Says whether another one is shown now.
    ///
    /// # Errors
    /// [`CertificateError`]; the present one goes on being shown.
    pub fn refresh(&self, now: Timestamp) -> Result<bool, CertificateError> {
        let stale = {
            let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
            match &self.source {
                Source::Own { advertised, .. } => {
                    present.renew_at.is_none_or(|at| at <= now) || present.names != names::all(advertised)
                }
                Source::Given { .. } => true,
            }
        };
        if !stale {
            return Ok(false);
        }
        let fresh = load(&self.authority, &self.source, now)?;
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        let changed = present.shown.cert != fresh.shown.cert;
        *present = fresh;
        Ok(changed)
    }

    /// The names and addresses that the certificate is for; empty for one that the user gave.
    pub fn names(&self) -> Vec<String> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).names.clone()
    }

    /// The authority that clients trust: the last certificate of the chain that is shown.
    fn anchor(&self) -> CertificateDer<'static> {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        present.shown.cert.last().cloned().unwrap_or_else(|| self.authority.certificate().clone())
    }

    /// The fingerprint that tokens carry, so that their holders can verify the coordinator.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.anchor())
    }

    /// The authority that clients trust from now on, PEM.
    pub fn trust_pem(&self) -> String {
        let anchor = self.anchor();
        let own = self.authority.pem();
        if anchor == *self.authority.certificate() { own.to_owned() } else { trust::pem(&anchor) + own }
    }

    /// TLS as it is spoken on the one port: 1.3, with a client's certificate if it has one.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, CertificateError> {
        let unusable = |why: String| CertificateError::Key(KeyError::Malformed { what: "TLS".to_owned(), why });
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).map_err(|error| unusable(error.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| unusable(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A removed outpost must not come back by a session that was resumed.
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner).shown))
    }
}

fn load(authority: &Authority, source: &Source, now: Timestamp) -> Result<Present, CertificateError> {
    match source {
        Source::Own { key, advertised, dir } => {
            let names = names::all(advertised);
            let issued = authority.issue_server(key, &names, now, SERVER_TTL)?;
            let path = dir.join("server.pem");
            private::write(&path, issued.chain_pem.as_bytes())
                .map_err(|error| CertificateError::Unreadable { path: path.clone(), error })?;
            let shown = certified(issued.chain, &key.to_pem(), &path)?;
            Ok(Present { shown, names, renew_at: Some(now.plus(SERVER_TTL * 2 / 3)) })
        }
        Source::Given { chain, key } => {
            let read = |path: &PathBuf| {
                std::fs::read_to_string(path)
                    .map_err(|error| CertificateError::Unreadable { path: path.clone(), error })
            };
            let certificates = trust::certificates(&read(chain)?)
                .map_err(|error| CertificateError::Unusable { path: chain.clone(), why: error.to_string() })?;
            trust::check_chain(&certificates, now)
                .map_err(|why| CertificateError::Unusable { path: chain.clone(), why })?;
            let shown = certified(certificates, &read(key)?, key)?;
            Ok(Present { shown, names: vec![], renew_at: None })
        }
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key_pem: &str,
    path: &Path,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let unusable = |why: String| CertificateError::Unusable { path: path.to_owned(), why };
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
    let key =
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(key))
}
