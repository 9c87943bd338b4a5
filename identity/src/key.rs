//! A private key: made where it is used, and never sent.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sprint_core::ids::KeyId;
use sprint_core::time::Timestamp;
use thiserror::Error;

use crate::{private, sha256};

/// A key, certificate or request that cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    #[error("{path} cannot be read or written: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{what} makes no sense: {why}")]
    Malformed { what: String, why: String },
}

impl KeyError {
    pub(crate) fn malformed(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Malformed { what: what.into(), why: format!("{why}") }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, error }
    }
}

/// An ECDSA P-256 key.
pub struct Key {
    pub(crate) pair: KeyPair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.id()).finish()
    }
}

impl Key {
    pub fn generate() -> Self {
        Self { pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness") }
    }

    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        KeyPair::from_pem(pem).map(|pair| Self { pair }).map_err(|error| KeyError::malformed("the private key", error))
    }

    pub fn to_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The key in `path`; makes one there, with mode 0600, if there is none.
    ///
    /// # Errors
    /// [`KeyError`]; a file that makes no sense is left as it is.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        match std::fs::read_to_string(path) {
            Ok(pem) => Self::from_pem(&pem).map_err(|error| KeyError::malformed(path.display().to_string(), error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate();
                private::write(path, key.to_pem().as_bytes()).map_err(KeyError::file(path))?;
                Ok(key)
            }
            Err(error) => Err(KeyError::file(path)(error)),
        }
    }

    /// The identity of the key's holder.
    pub fn id(&self) -> KeyId {
        key_id(&self.pair.subject_public_key_info())
    }

    /// A request for a certificate (PKCS #10, DER). What it is for, the coordinator decides.
    pub fn request(&self) -> Vec<u8> {
        let params = CertificateParams::default();
        params.serialize_request(&self.pair).expect("an empty request can be signed").der().to_vec()
    }

    pub(crate) fn der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pair.serialize_der()).into()
    }
}

pub(crate) fn key_id(subject_public_key_info: &[u8]) -> KeyId {
    KeyId::new(sha256(subject_public_key_info)).expect("a SHA-256 has 64 digits")
}

/// The key that a certificate is for; none when the certificate cannot be read.
pub fn key_of(certificate: &CertificateDer<'_>) -> Option<KeyId> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(key_id(&certificate.subject_public_key_info()))
}

/// When a certificate ceases to count; none when it cannot be read.
pub fn expiry_of(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    validity_of(certificate).map(|(_, until)| until)
}

/// From when until when a certificate counts; none when it cannot be read.
pub fn validity_of(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
    Some((time(certificate.validity().not_before), time(certificate.validity().not_after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        let made = Key::load_or_make(&path).expect("is made");
        assert_eq!(Key::load_or_make(&path).expect("is read").id(), made.id());
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        std::fs::write(&path, "half a key").expect("is written");
        let error = Key::load_or_make(&path).expect_err("is refused").to_string();
        assert!(error.contains("key.pem"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("is there"), "half a key");
    }
}

#[cfg(test)]
#[path = "key_fuzz.rs"]
mod fuzz;
