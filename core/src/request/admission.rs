use std::time::Duration;

use crate::ids::{OutpostName, PersonName};
use crate::secret::{Scope, SecretForm, SecretName};
use crate::time::Timestamp;
use crate::token::{TokenKind, TokenText};

/// A token to be made; what is absent is the kind's own.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub kind: TokenKind,
    pub ttl: Option<Duration>,
    pub uses: Option<u32>,
    pub name_prefix: String,
    pub name: Option<PersonName>,
}

/// A secret to be kept.
pub struct NewSecret {
    pub name: SecretName,
    pub scope: Scope,
    pub form: SecretForm,
    pub text: String,
}

/// What an outpost that wants to join sends.
#[derive(Debug)]
pub struct Enrolment {
    pub token: TokenText,
    pub outpost: OutpostName,
    /// PKCS #10, DER.
    pub request: Vec<u8>,
    /// The outpost's clock.
    pub now: Timestamp,
}
