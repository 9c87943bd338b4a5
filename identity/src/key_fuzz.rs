use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use sprint_core::fuzz::{bytes, texts};

use super::*;
use crate::authority::{Authority, Requested};
use crate::trust;

/// An authority, and a certificate of each kind from it.
static CHAIN: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
    let now = Timestamp::from(SystemTime::now());
    let authority = Authority::make(now).expect("is made");
    let key = Key::generate();
    let requested = Requested::read(&key.request()).expect("a request");
    let hour = Duration::from_hours(1);
    let client = authority.issue_client(&requested, "outpost a", now, hour).expect("is issued").chain;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = authority.issue_server(&key, &names, now, hour).expect("is issued").chain;
    vec![client[0].clone(), server[0].clone(), client[1].clone()]
});

static PEM: LazyLock<String> =
    LazyLock::new(|| trust::pem(&CHAIN[1]) + &trust::pem(&CHAIN[2]) + &Key::generate().to_pem());

proptest! {
    /// Whatever is shown as a certificate is read or not read, and what is read is one key with one time.
    #[test]
    fn fuzz_any_bytes_may_be_shown_as_a_certificate(der in bytes(CHAIN.iter().map(|der| der.to_vec()).collect())) {
        let certificate = CertificateDer::from(der);
        prop_assert_eq!(key_of(&certificate), key_of(&certificate.clone()));
        if let Some((from, until)) = validity_of(&certificate) {
            prop_assert_eq!(expiry_of(&certificate), Some(until));
            prop_assert!(!from.to_string().is_empty() && !until.to_string().is_empty());
        }
    }

    /// A chain that was changed counts only if it is, byte for byte, the one that was issued.
    #[test]
    fn fuzz_no_changed_chain_counts(der in bytes(vec![CHAIN[1].to_vec()])) {
        let unchanged = der == CHAIN[1].as_ref();
        let chain = [CertificateDer::from(der), CHAIN[2].clone()];
        let checked = trust::check_chain(&chain, Timestamp::from(SystemTime::now()));
        prop_assert_eq!(checked.is_ok(), unchanged);
    }

    /// Keys and certificates in text are read or refused.
    #[test]
    fn fuzz_any_text_may_be_given_as_pem(text in texts(&[&*PEM])) {
        if let Ok(found) = trust::certificates(&text) {
            prop_assert!(!found.is_empty());
        }
        if let Ok(key) = Key::from_pem(&text) {
            prop_assert_eq!(Key::from_pem(&key.to_pem()).expect("is read").id(), key.id());
        }
    }
}
