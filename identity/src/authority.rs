//! The coordinator's own certificate authority.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sprint_core::ids::{Fingerprint, KeyId};
use sprint_core::time::Timestamp;
use time::OffsetDateTime;

use crate::key::{Key, KeyError, key_id};
use crate::{fingerprint, private, random};

/// Certificates are valid from so long before they are made, so that a clock that is a little
/// behind, or a day, leads to a clear answer instead of a broken handshake.
pub const BACKDATED: Duration = Duration::from_hours(24);

/// An authority outlives everything that it vouches for.
const AUTHORITY_TTL: Duration = Duration::from_hours(20 * 365 * 24);

/// A request is a few hundred bytes.
const LONGEST_REQUEST: usize = 8 << 10;

/// A certificate that was issued, with the authority's behind it.
#[derive(Debug, Clone)]
pub struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub chain_pem: String,
    pub expires_at: Timestamp,
}

/// A public key from a signing request, whose sender has proved to hold the private key.
#[derive(Debug)]
pub struct Requested {
    key: rcgen::SubjectPublicKeyInfo,
    pub id: KeyId,
}

impl Requested {
    /// Reads a request (PKCS #10, DER) and checks its signature. Only the key is taken from it.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn read(der: &[u8]) -> Result<Self, KeyError> {
        let what = "the certificate signing request";
        if der.len() > LONGEST_REQUEST {
            return Err(KeyError::malformed(what, "it is too long"));
        }
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|error| KeyError::malformed(what, error))?;
        let spki = request.public_key.subject_public_key_info();
        let key = rcgen::SubjectPublicKeyInfo::from_der(&spki).map_err(|error| KeyError::malformed(what, error))?;
        Ok(Self { key, id: key_id(&spki) })
    }
}

/// A certificate authority: its key and its certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authority").field(&self.fingerprint()).finish()
    }
}

impl Authority {
    /// The authority in a directory; makes one there if there is none.
    ///
    /// # Errors
    /// [`KeyError`]; a half-made or damaged one is left as it is.
    pub fn load_or_make(dir: &Path, now: Timestamp) -> Result<Self, KeyError> {
        private::make_dir(dir).map_err(KeyError::file(dir))?;
        let (key_path, certificate_path) = (dir.join("ca.key"), dir.join("ca.pem"));
        let key = Key::load_or_make(&key_path)?;
        let pem = match std::fs::read_to_string(&certificate_path) {
            Ok(pem) => pem,
            // The key is written first: with it alone, the certificate was never used.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pem = certify(&key, now)?;
                private::write(&certificate_path, pem.as_bytes()).map_err(KeyError::file(&certificate_path))?;
                pem
            }
            Err(error) => return Err(KeyError::file(&certificate_path)(error)),
        };
        Self::new(pem, key).map_err(|error| KeyError::malformed(certificate_path.display().to_string(), error))
    }

    /// One that is kept nowhere.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn make(now: Timestamp) -> Result<Self, KeyError> {
        let key = Key::generate();
        Self::new(certify(&key, now)?, key)
    }

    fn new(pem: String, key: Key) -> Result<Self, KeyError> {
        let what = "the authority's certificate";
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| KeyError::malformed(what, error))?;
        if crate::key::key_of(&certificate) != Some(key.id()) {
            return Err(KeyError::malformed(what, "it is not for the key beside it"));
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key.pair).map_err(|error| KeyError::malformed(what, error))?;
        Ok(Self { issuer, certificate, pem })
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.certificate)
    }

    /// A certificate for a server that is reached by these names and addresses.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when a name can be none.
    pub fn issue_server(&self, key: &Key, names: &[String], now: Timestamp, ttl: Duration) -> Result<Issued, KeyError> {
        let mut params = params("sprint coordinator", now, ttl);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        self.issue(&params, &key.pair, now.plus(ttl))
    }

    /// A certificate for a caller whose key is known by its id; `subject` is for people who read it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn issue_client(
        &self,
        requested: &Requested,
        subject: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Issued, KeyError> {
        let mut params = params(subject, now, ttl);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &requested.key, now.plus(ttl))
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
        expires_at: Timestamp,
    ) -> Result<Issued, KeyError> {
        let leaf =
            params.signed_by(key, &self.issuer).map_err(|error| KeyError::malformed("the certificate", error))?;
        Ok(Issued {
            chain_pem: leaf.pem() + &self.pem,
            chain: vec![leaf.der().clone(), self.certificate.clone()],
            expires_at,
        })
    }
}

fn certify(key: &Key, now: Timestamp) -> Result<String, KeyError> {
    // The name must be this authority's alone: TLS tells authorities apart by it.
    let mut params = params(&format!("sprint coordinator {}", random(8)), now, AUTHORITY_TTL);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let made = params.self_signed(&key.pair).map_err(|error| KeyError::malformed("the authority", error))?;
    Ok(made.pem())
}

fn params(common_name: &str, now: Timestamp, ttl: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "sprint");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now) - BACKDATED;
    params.not_after = date(now.plus(ttl));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_millis() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn san(name: &str) -> Result<SanType, KeyError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let malformed = |why: String| KeyError::malformed(format!("the name \"{name}\""), why);
    rustls::pki_types::DnsName::try_from(name).map_err(|error| malformed(error.to_string()))?;
    Ok(SanType::DnsName(name.try_into().map_err(|error: rcgen::Error| malformed(error.to_string()))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::key_of;

    fn now() -> Timestamp {
        Timestamp::from(std::time::SystemTime::now())
    }

    #[test]
    fn an_authority_is_made_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let made = Authority::load_or_make(dir.path(), now()).expect("is made");
        let read = Authority::load_or_make(dir.path(), now()).expect("is read");
        assert_eq!(read.fingerprint(), made.fingerprint());
        let other = Authority::make(now()).expect("is made");
        assert_ne!(other.fingerprint(), made.fingerprint());
    }

    #[test]
    fn a_key_is_known_by_the_same_id_in_request_and_certificate() {
        let authority = Authority::make(now()).expect("is made");
        let key = Key::generate();
        let requested = Requested::read(&key.request()).expect("is read");
        assert_eq!(requested.id, key.id());
        let issued = authority.issue_client(&requested, "outpost a", now(), Duration::from_mins(1)).expect("is issued");
        assert_eq!(key_of(&issued.chain[0]), Some(key.id()));
    }

    #[test]
    fn a_request_that_was_changed_is_refused() {
        let mut request = Key::generate().request();
        let last = request.len() - 1;
        request[last] ^= 1;
        assert!(Requested::read(&request).is_err());
        assert!(Requested::read(&request[..20]).is_err());
        assert!(Requested::read(&vec![0; LONGEST_REQUEST + 1]).is_err());
    }

    #[test]
    fn names_that_can_be_none_are_refused() {
        for bad in ["", "a b", "-", "http://a", "a\0b"] {
            assert!(san(bad).is_err(), "{bad:?} must be refused");
        }
        for good in ["localhost", "coordinator.example.org", "10.0.0.1", "::1"] {
            assert!(san(good).is_ok(), "{good:?} must be taken");
        }
    }
}

#[cfg(test)]
#[path = "authority_fuzz.rs"]
mod fuzz;
