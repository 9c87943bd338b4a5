//! Certificates that a user brings.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sprint_core::time::Timestamp;
use sprint_identity::authority::Authority;
use sprint_identity::key::Key;
use sprint_identity::trust::pem;

/// A certificate of another authority, in files.
#[derive(Debug)]
pub struct OwnCertificate {
    pub chain: PathBuf,
    /// The same without its authority's.
    pub leaf_only: PathBuf,
    pub key: PathBuf,
    pub authority_pem: String,
}

/// Makes a certificate for loopback.
///
/// # Panics
/// The directory cannot be written.
pub fn own_certificate(dir: &Path) -> OwnCertificate {
    let now = Timestamp::from(SystemTime::now());
    let (authority, key) = (Authority::make(now).expect("an authority"), Key::generate());
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = authority.issue_server(&key, &names, now, Duration::from_hours(1)).expect("a certificate");
    let own = OwnCertificate {
        chain: dir.join("chain.pem"),
        leaf_only: dir.join("leaf.pem"),
        key: dir.join("key.pem"),
        authority_pem: authority.pem().to_owned(),
    };
    std::fs::write(&own.chain, &issued.chain_pem).expect("is written");
    std::fs::write(&own.leaf_only, pem(&issued.chain[0])).expect("is written");
    std::fs::write(&own.key, key.to_pem()).expect("is written");
    own
}
