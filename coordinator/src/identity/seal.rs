//! The key that seals secrets: it is kept beside the coordinator's other keys, and apart from the record.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use sprint_core::secret::SecretId;
use sprint_identity::private;
use thiserror::Error;

/// The key's file, in the directory of the coordinator's identity. A backup leaves it out.
pub const KEY_FILE: &str = "secrets.key";

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Error)]
pub enum SealError {
    #[error("the key of the secrets, {path}, cannot be used: {why}")]
    Key { path: PathBuf, why: String },
    #[error("secret {0} was sealed with another key")]
    OtherKey(SecretId),
    #[error("no random numbers are there to seal a secret with")]
    Random,
}

/// Held while the key is looked for, and made.
static MAKING: Mutex<()> = Mutex::new(());

/// Where the key is in a data directory.
pub fn key_file(data: &Path) -> PathBuf {
    data.join("identity").join(KEY_FILE)
}

/// Whether these bytes can be the key.
pub fn is_key(bytes: &[u8]) -> bool {
    bytes.len() == AES_256_GCM.key_len()
}

fn key(path: &Path, bytes: &[u8]) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Key {
        path: path.to_owned(),
        why: format!("it has {} bytes, and not {}", bytes.len(), AES_256_GCM.key_len()),
    })?;
    Ok(LessSafeKey::new(key))
}

fn unusable(path: &Path, error: &std::io::Error) -> SealError {
    SealError::Key { path: path.to_owned(), why: error.to_string() }
}

/// Seals a text, which only the secret of this id is to have. The first makes the key.
///
/// # Errors
/// [`SealError`].
pub fn seal(data: &Path, id: &SecretId, text: &str) -> Result<String, SealError> {
    let path = key_file(data);
    let random = SystemRandom::new();
    let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = vec![0; AES_256_GCM.key_len()];
            random.fill(&mut bytes).map_err(|_| SealError::Random)?;
            private::write(&path, &bytes).map_err(|error| unusable(&path, &error))?;
            bytes
        }
        Err(error) => return Err(unusable(&path, &error)),
    };
    drop(making);
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).map_err(|_| SealError::Random)?;
    let mut sealed = text.as_bytes().to_vec();
    key(&path, &bytes)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id.as_str()), &mut sealed)
        .map_err(|_| SealError::Random)?;
    Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what was sealed.
///
/// # Errors
/// [`SealError::OtherKey`], also where there is no key any more.
pub fn open(data: &Path, id: &SecretId, sealed: &str) -> Result<String, SealError> {
    let path = key_file(data);
    let other = || SealError::OtherKey(id.clone());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(other()),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let sealed = STANDARD.decode(sealed).map_err(|_| other())?;
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(other)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| other())?;
    let mut text = sealed.to_vec();
    let opened = key(&path, &bytes)?.open_in_place(nonce, Aad::from(id.as_str()), &mut text).map_err(|_| other())?;
    String::from_utf8(opened.to_vec()).map_err(|_| other())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn id(text: &str) -> SecretId {
        SecretId::new(text).expect("an id")
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_id_and_key_only() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("identity")).expect("is made");
        let sealed = seal(dir.path(), &id("A"), "hunter2hunter2").expect("is sealed");
        assert_ne!(
            sealed,
            seal(dir.path(), &id("A"), "hunter2hunter2").expect("is sealed"),
            "each has a nonce of its own"
        );
        assert_eq!(open(dir.path(), &id("A"), &sealed).expect("opens"), "hunter2hunter2");
        let mode = std::fs::metadata(key_file(dir.path())).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(open(dir.path(), &id("B"), &sealed).is_err(), "it is not another's");
        for bad in ["", "AAAA", &format!("A{}", &sealed[1..])] {
            assert!(open(dir.path(), &id("A"), bad).is_err(), "{bad}");
        }
        std::fs::remove_file(key_file(dir.path())).expect("is removed");
        assert!(matches!(open(dir.path(), &id("A"), &sealed), Err(SealError::OtherKey(_))));
        std::fs::write(key_file(dir.path()), b"short").expect("is written");
        assert!(matches!(seal(dir.path(), &id("A"), "x"), Err(SealError::Key { .. })));
    }
}
