use std::sync::LazyLock;

use proptest::prelude::*;
use sprint_core::fuzz::{bytes, texts};

use super::*;

static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::generate(), Key::generate()]);

proptest! {
    /// A changed request is refused, unless its content is the same: no certificate is issued for
    /// a key that has not signed for it.
    #[test]
    fn fuzz_a_request_speaks_for_its_own_key_only(der in bytes(KEYS.iter().map(Key::request).collect())) {
        if let Ok(requested) = Requested::read(&der) {
            prop_assert!(KEYS.iter().any(|key| key.id() == requested.id));
        }
    }

    /// A name that goes into a certificate is one host or one address.
    #[test]
    fn fuzz_names_in_certificates_are_hosts(name in texts(&["coordinator.example.org", "10.0.0.1", "::1"])) {
        if san(&name).is_ok() {
            let plain = |char: char| char.is_ascii_alphanumeric() || ".-_:".contains(char);
            prop_assert!(!name.is_empty() && name.chars().all(plain), "{name:?}");
        }
    }
}
