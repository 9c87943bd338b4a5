//! Identities on the wire: keys, certificates, and connections that prove them.
//!
//! The coordinator is its own certificate authority. A client knows that authority
//! before the first byte of a secret is sent: by its fingerprint, which every token carries,
//! or by its certificate, which is kept from then on.

pub mod authority;
pub mod connect;
pub mod context;
pub mod key;
pub mod private;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trust;

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use sprint_core::ids::Fingerprint;

pub use rustls;
pub use rustls::pki_types;

/// Chooses the cryptography of this process; every `main` calls it first.
pub fn init() {
    // A second call finds it chosen, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest(&SHA256, bytes).as_ref())
}

/// The fingerprint of a certificate: the SHA-256 of its DER, as `openssl x509 -fingerprint -sha256` shows it.
pub fn fingerprint(certificate: &pki_types::CertificateDer<'_>) -> Fingerprint {
    Fingerprint::new(sha256(certificate)).expect("a SHA-256 has 64 digits")
}

/// Random bytes, in hexadecimal digits.
pub fn random(bytes: usize) -> String {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut buffer = vec![0; bytes];
    SystemRandom::new().fill(&mut buffer).expect("the system has randomness");
    hexadecimal(&buffer)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
