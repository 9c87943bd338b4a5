//! Finding out who calls.

use sprint_core::access::{Caller, Holders, Identity, Permission, PersonRole};
use sprint_core::act::Act;
use sprint_core::event::Actor;
use sprint_core::ids::{KeyId, PersonName};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::token::{Proof, SecretHash, Token, TokenKind, TokenRefused, TokenText};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::service::{Coordinator, ServiceError};
use crate::store::Live;

/// Why a call without proof is refused.
pub const NO_CALLER: &str = "the call is not authenticated; it carries neither a certificate nor a token";

/// The credentials of a caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The key of its certificate, which TLS has verified.
    pub key: Option<&'a KeyId>,
    /// The text that it sent as its token.
    pub token: Option<&'a str>,
}

/// Identifies a caller by certificate or token; a caller without credentials is a stranger.
///
/// # Errors
/// A proof that is not accepted: its caller is not treated as a stranger.
pub fn identify(sprint: &Coordinator, shown: Credentials<'_>) -> Result<Identity, ServiceError> {
    let live = sprint.store.live();
    match shown {
        Credentials { key: Some(key), token: _ } => by_key(live, key),
        Credentials { key: None, token: Some(text) } => {
            let token = text.parse::<TokenText>().map_err(|error| ServiceError::new(Code::TokenMalformed, error))?;
            let found = live.token(&token.id);
            known(found.as_deref(), &token, TokenKind::Viewer)?;
            found.map_or(Ok(Identity::Stranger), |found| person(&found))
        }
        Credentials { key: None, token: None } => Ok(Identity::Stranger),
    }
}

/// Whether a caller has a permission.
///
/// # Errors
/// [`Code::CallerUnauthenticated`] for a stranger, [`Code::CallerForbidden`] for a caller who lacks the role.
pub fn allow(caller: &Caller, permission: Permission) -> Result<(), ServiceError> {
    let roles = match permission.holders() {
        Holders::Everyone => return Ok(()),
        Holders::Roles(roles) => roles,
    };
    match caller.identity.role() {
        None => Err(Refusal::new(Code::CallerUnauthenticated, NO_CALLER).next(Act::LogIn).into()),
        Some(role) if roles.contains(&role) => Ok(()),
        Some(role) => {
            let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ");
            let why = format!(
                "{caller} may not do this: it takes the role {roles}, and the caller's is {role}; ask an admin for a token of that role"
            );
            Err(ServiceError::new(Code::CallerForbidden, why))
        }
    }
}

fn by_key(live: &Live, key: &KeyId) -> Result<Identity, ServiceError> {
    if let Some(name) = live.outpost(key) {
        return Ok(Identity::Outpost(name));
    }
    if let Some(token) = live.token_of_key(key) {
        return person(&token);
    }
    let why = "the certificate belongs to no outpost or person on record: the outpost was removed; join again with a new token";
    Err(Refusal::new(Code::CertificateUnknown, why).next(Act::CreateToken(TokenKind::Outpost)).into())
}

fn person(token: &Token) -> Result<Identity, ServiceError> {
    let (role, name) = token.person(crate::service::now())?;
    Ok(Identity::Person { role, name: name.clone() })
}

/// Checks a token's secret against the hash on record. A wrong secret and an unknown token get the same
/// answer, and the comparison takes constant time.
pub(crate) fn known(found: Option<&Token>, shown: &TokenText, kind: TokenKind) -> Result<(), TokenRefused> {
    let hash = hash(shown);
    match found {
        Some(token) => match &token.proof {
            Proof::Secret(known) if known.as_str().as_bytes().ct_eq(hash.as_str().as_bytes()).into() => Ok(()),
            Proof::Secret(_) | Proof::Key(_) => Err(TokenRefused::Unknown { kind }),
        },
        None => Err(TokenRefused::Unknown { kind }),
    }
}

/// The hash of a token's secret, which is stored.
pub(crate) fn hash(token: &TokenText) -> SecretHash {
    SecretHash::new(sprint_identity::sha256(token.secret().as_bytes())).expect("a SHA-256 has 64 digits")
}

/// Notifies after every transaction that may have admitted or excluded a caller.
pub fn changes(sprint: &Coordinator) -> watch::Receiver<()> {
    sprint.store.live().access_changes()
}

/// A person with access to the data directory, who needs no call: their acts are part of the audit, too.
pub fn local_admin() -> Actor {
    let name = PersonName::new("local").expect("a name");
    let identity = Identity::Person { role: PersonRole::Admin, name };
    Actor::Caller(Caller { identity, from: "the data directory".to_owned() })
}
