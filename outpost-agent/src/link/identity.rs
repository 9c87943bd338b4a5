//! The identity of this outpost: its key, its certificate, and the authority that it trusts.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sprint_core::ids::OutpostName;
use sprint_core::time::Timestamp;
use sprint_core::token::TokenText;
use sprint_identity::authority::BACKDATED;
use sprint_identity::connect::{ConnectError, Connection, Credential, connect};
use sprint_identity::key::{Key, KeyError, expiry_of, key_of, validity_of};
use sprint_identity::private;
use sprint_identity::trust::{Trust, certificates};
use sprint_proto::v1;
use sprint_proto::v1::identity_client::IdentityClient;
use thiserror::Error;
use tonic::Status;
use tonic::transport::Endpoint;

use super::refusal::sentence;
use crate::workspace::remote::TlsFiles;

/// Why this outpost cannot authenticate to the coordinator.
#[derive(Debug, Error)]
pub(crate) enum IdentityError {
    #[error(
        "this outpost has not joined yet; make a token on the coordinator's host with: coordinator token create --kind outpost; and join with: outpost-agent join --coordinator {coordinator} --token …"
    )]
    NotJoined { coordinator: String },
    #[error(
        "this outpost's certificate expired at {at}: it was disconnected for too long, or its clock is wrong; join again with a new token (coordinator token create --kind outpost)"
    )]
    Expired { at: Timestamp },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The coordinator's message, and its next act.
    #[error("{}", sentence(.0))]
    Refused(Box<Status>),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{path} cannot be read or written: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("the coordinator sent a certificate for another key than this outpost's")]
    OthersCertificate,
}

impl IdentityError {
    /// Whether the same try may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_passing(),
            Self::Refused(status) => matches!(
                status.code(),
                tonic::Code::Unavailable | tonic::Code::ResourceExhausted | tonic::Code::DeadlineExceeded
            ),
            Self::NotJoined { .. }
            | Self::Expired { .. }
            | Self::Key(_)
            | Self::File { .. }
            | Self::OthersCertificate => false,
        }
    }
}

/// The present certificate and trust.
#[derive(Debug, Clone)]
struct Certificate {
    chain_pem: String,
    trust_pem: String,
    expires_at: Timestamp,
    renew_at: Timestamp,
}

/// This outpost's identity, kept in its data directory.
#[derive(Debug)]
pub(crate) struct Identity {
    dir: PathBuf,
    key: Key,
    present: RwLock<Option<Certificate>>,
}

impl Identity {
    /// Reads what is there; the key is made at the first start, and never leaves this host.
    ///
    /// # Errors
    /// [`IdentityError`] when it cannot be read.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, IdentityError> {
        private::make_dir(&dir).map_err(file(&dir))?;
        let key = Key::load_or_make(&dir.join("key.pem"))?;
        let identity = Self { dir, key, present: RwLock::default() };
        let (certificate, trust) = (identity.certificate_path(), identity.trust_path());
        if certificate.exists() && trust.exists() {
            let chain_pem = std::fs::read_to_string(&certificate).map_err(file(&certificate))?;
            let trust_pem = std::fs::read_to_string(&trust).map_err(file(&trust))?;
            identity.take(present(&identity.key, chain_pem, trust_pem)?);
        }
        Ok(identity)
    }

    fn certificate_path(&self) -> PathBuf {
        self.dir.join("cert.pem")
    }

    fn trust_path(&self) -> PathBuf {
        self.dir.join("trust.pem")
    }

    /// Remembers which token was spent, so that a unit file may go on naming it.
    fn token_path(&self) -> PathBuf {
        self.dir.join("token-id")
    }

    fn take(&self, present: Certificate) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Some(present);
    }

    fn present(&self) -> Option<Certificate> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files with which git authenticates as this outpost.
    pub(crate) fn tls_files(&self) -> TlsFiles {
        TlsFiles { certificate: self.certificate_path(), key: self.dir.join("key.pem"), trust: self.trust_path() }
    }

    /// Whether there is a valid certificate.
    ///
    /// # Errors
    /// [`IdentityError::NotJoined`] or [`IdentityError::Expired`].
    pub(crate) fn check(&self, coordinator: &str) -> Result<(), IdentityError> {
        match self.present() {
            None => Err(IdentityError::NotJoined { coordinator: coordinator.to_owned() }),
            Some(present) if present.expires_at <= now() => Err(IdentityError::Expired { at: present.expires_at }),
            Some(_) => Ok(()),
        }
    }

    /// Connects as this outpost.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) async fn connect(
        &self,
        coordinator: &str,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Connection, IdentityError> {
        self.check(coordinator)?;
        let present = self.present().ok_or_else(|| IdentityError::NotJoined { coordinator: coordinator.to_owned() })?;
        let credential = Credential::Certificate { chain_pem: present.chain_pem, key_pem: self.key.to_pem() };
        Ok(connect(coordinator, &Trust::Authorities(present.trust_pem), &credential, tune).await?)
    }

    /// Whether a token was spent on the present certificate already.
    pub(crate) fn was_spent(&self, token: &TokenText) -> bool {
        let spent = std::fs::read_to_string(self.token_path()).unwrap_or_default();
        spent.trim() == token.id.as_str() && self.present().is_some()
    }

    /// Exchanges a token for a certificate. The token goes only to the coordinator that it names.
    ///
    /// # Errors
    /// [`IdentityError`]; what was there before stays.
    pub(crate) async fn enrol(
        &self,
        coordinator: &str,
        name: &OutpostName,
        token: &TokenText,
    ) -> Result<(), IdentityError> {
        let trust = Trust::Fingerprint(token.authority.clone());
        let connection = connect(coordinator, &trust, &Credential::None, |endpoint| endpoint).await?;
        let request = v1::EnrolRequest {
            token: token.reveal(),
            outpost: name.to_string(),
            csr: self.key.request().into(),
            now_ms: now().as_millis(),
        };
        let answer = IdentityClient::new(connection).enrol(request).await;
        self.keep(answer.map_err(|status| IdentityError::Refused(Box::new(status)))?.into_inner())?;
        let path = self.token_path();
        private::write(&path, token.id.as_str().as_bytes()).map_err(file(&path))
    }

    /// Takes a certificate over.
    ///
    /// # Errors
    /// [`IdentityError`]; the present one stays.
    pub(crate) fn keep(&self, certificate: v1::Certificate) -> Result<(), IdentityError> {
        let v1::Certificate { chain_pem, trust_pem, expires_at_ms: _ } = certificate;
        let present = present(&self.key, chain_pem, trust_pem)?;
        // In this order: a certificate is valid once the authority to trust is stored beside it.
        for (path, text) in [(self.trust_path(), &present.trust_pem), (self.certificate_path(), &present.chain_pem)] {
            private::write(&path, text.as_bytes()).map_err(file(&path))?;
        }
        self.take(present);
        Ok(())
    }

    /// A request for the next certificate.
    pub(crate) fn request(&self) -> Vec<u8> {
        self.key.request()
    }

    /// Answers when it is time to ask for the next certificate.
    pub(crate) async fn renewal_is_due(&self) {
        // Looked at again and again: a clock may be set meanwhile.
        const LOOK: Duration = Duration::from_mins(1);
        loop {
            let left = self.present().map_or(LOOK, |present| present.renew_at.since(now()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> IdentityError {
    let path = path.to_owned();
    move |error| IdentityError::File { path, error }
}

/// Reads a certificate: it must be for our key. It is renewed after half of its life.
fn present(key: &Key, chain_pem: String, trust_pem: String) -> Result<Certificate, IdentityError> {
    let chain = certificates(&chain_pem)?;
    certificates(&trust_pem)?;
    let leaf = chain.first().filter(|leaf| key_of(leaf) == Some(key.id())).ok_or(IdentityError::OthersCertificate)?;
    let expires_at = expiry_of(leaf).ok_or(IdentityError::OthersCertificate)?;
    let (from, _) = validity_of(leaf).ok_or(IdentityError::OthersCertificate)?;
    let life = expires_at.since(from.plus(BACKDATED));
    Ok(Certificate { chain_pem, trust_pem, expires_at, renew_at: from.plus(BACKDATED).plus(life / 2) })
}

#[cfg(test)]
mod tests {
    use sprint_identity::testing::TestAuthority;

    use super::*;

    fn certificate(authority: &TestAuthority, key: &Key, ttl: Duration) -> v1::Certificate {
        let requested = sprint_identity::authority::Requested::read(&key.request()).expect("a request");
        let issued = authority.authority.issue_client(&requested, "outpost a", now(), ttl).expect("a certificate");
        v1::Certificate {
            chain_pem: issued.chain_pem,
            trust_pem: authority.authority.pem().to_owned(),
            expires_at_ms: issued.expires_at.as_millis(),
        }
    }

    #[test]
    fn an_identity_is_kept_and_found_again() {
        let (dir, authority) = (tempfile::tempdir().expect("a directory"), TestAuthority::make());
        let identity = Identity::open(dir.path().join("identity")).expect("is made");
        assert!(matches!(identity.check("a:1"), Err(IdentityError::NotJoined { .. })));
        identity.keep(certificate(&authority, &identity.key, Duration::from_hours(1))).expect("is taken");
        let again = Identity::open(dir.path().join("identity")).expect("is read");
        again.check("a:1").expect("counts");
        let left = again.present().expect("is there").renew_at.since(now());
        assert!(left > Duration::from_mins(25) && left <= Duration::from_mins(30), "renewed at half: {left:?}");
    }

    #[test]
    fn a_certificate_for_another_key_is_not_taken() {
        let (dir, authority) = (tempfile::tempdir().expect("a directory"), TestAuthority::make());
        let identity = Identity::open(dir.path().join("identity")).expect("is made");
        let others = certificate(&authority, &Key::generate(), Duration::from_hours(1));
        assert!(matches!(identity.keep(others), Err(IdentityError::OthersCertificate)));
        assert!(!identity.certificate_path().exists());
    }

    #[test]
    fn an_expired_certificate_differs_from_a_missing_one() {
        let (dir, authority) = (tempfile::tempdir().expect("a directory"), TestAuthority::make());
        let identity = Identity::open(dir.path().join("identity")).expect("is made");
        identity.keep(certificate(&authority, &identity.key, Duration::ZERO)).expect("is taken");
        let error = identity.check("a:1").expect_err("is refused");
        assert!(error.to_string().contains("expired at"), "{error}");
    }
}
