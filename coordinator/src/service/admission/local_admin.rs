//! The local user's own access: made at the first start, so that the client on the same host just works.

use std::path::Path;
use std::time::Duration;

use sprint_core::access::PersonRole;
use sprint_core::event::{Actor, EventKind};
use sprint_core::ids::{ContextName, KeyId, PersonName};
use sprint_core::token::{Grant, Proof, Token, TokenId};
use sprint_identity::authority::Requested;
use sprint_identity::context::{Context, ContextError, Contexts};
use sprint_identity::key::{Key, KeyError, expiry_of};
use sprint_identity::trust::certificates;

use crate::service::admission::tokens;
use crate::service::{Coordinator, ServiceError, now};

/// How long the local admin's certificate counts, and when it is renewed.
const TTL: Duration = Duration::from_hours(90 * 24);
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// How long the local admin is one: until it is revoked.
const FOR_EVER: Duration = Duration::from_hours(20 * 365 * 24);

/// The file in the data directory that lets its reader in as an admin.
pub const FILE: &str = "admin.toml";

/// Brings the local admin's context up to date: in the data directory, and among the contexts of the user
/// that this process runs as.
///
/// # Errors
/// What the store or the file system says.
pub async fn ensure(sprint: &Coordinator, data: &Path, address: &str) -> Result<(), ServiceError> {
    let key = Key::load_or_make(&data.join("identity/admin.key"))?;
    match sprint.store.live().token_of_key(&key.id()) {
        Some(token) if token.check(now()).is_err() => {
            tracing::warn!(token = %token.id, "the local admin was revoked; the client needs a token on this host, too");
            return Ok(());
        }
        Some(_) => {}
        None => create(sprint, key.id()).await?,
    }
    let path = data.join(FILE);
    let before = Context::read(&path).ok();
    let context = Context {
        coordinator: address.to_owned(),
        trust: sprint.certificates.trust_pem(),
        token: None,
        certificate: Some(certificate(sprint, &key, before.as_ref())?),
        key: Some(key.to_pem()),
        data_dir: Some(data.to_owned()),
    };
    if before.as_ref() != Some(&context) {
        context.write(&path).map_err(io)?;
    }
    if let Err(error) = publish(&context, data) {
        tracing::warn!(%error, "the client does not find this coordinator by itself; its context is in the data directory");
    }
    Ok(())
}

fn io(error: ContextError) -> ServiceError {
    ServiceError::Io(std::io::Error::other(error))
}

/// Puts the local admin on record.
async fn create(sprint: &Coordinator, key: KeyId) -> Result<(), ServiceError> {
    let id = TokenId::new(sprint_identity::random(4)).expect("eight digits");
    let name = PersonName::new("local").expect("a name");
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let token = Token {
                    id,
                    proof: Proof::Key(key),
                    grant: Grant::Access { role: PersonRole::Admin, name },
                    expires_at: tx.now().plus(FOR_EVER),
                    created_at: tx.now(),
                    created_by: Actor::Coordinator.to_string(),
                    revoked_at: None,
                };
                tx.save(token.clone(), tokens::event(EventKind::TOKEN_CREATED, &token, Actor::Coordinator));
                Ok(())
            })
        })
        .await
}

/// The present certificate while it is valid for long enough, else a new one.
fn certificate(sprint: &Coordinator, key: &Key, before: Option<&Context>) -> Result<String, KeyError> {
    let authority = &sprint.certificates.authority;
    let good = before.and_then(|before| before.certificate.as_ref()).filter(|pem| {
        let Ok(chain) = certificates(pem) else { return false };
        let is_ours = chain.last() == Some(authority.certificate());
        is_ours && chain.first().and_then(expiry_of).is_some_and(|expiry| expiry.since(now()) > RENEW_BEFORE)
    });
    match good {
        Some(pem) => Ok(pem.clone()),
        None => Ok(authority.issue_client(&Requested::read(&key.request())?, "admin local", now(), TTL)?.chain_pem),
    }
}

/// Puts the context among the user's own, and makes it the current one if there is none.
fn publish(context: &Context, data: &Path) -> Result<(), ContextError> {
    let contexts = match Contexts::of_environment() {
        Ok(contexts) => contexts,
        // A daemon without a home has no user who types.
        Err(ContextError::NoPlace) => return Ok(()),
        Err(error) => return Err(error),
    };
    let known = contexts.list()?;
    let of_this = known.iter().find(|(_, known)| known.data_dir.as_deref() == Some(data));
    if of_this.is_some_and(|(_, known)| known == context) {
        return Ok(());
    }
    let name = of_this.map_or_else(|| free_name(&known, context), |(name, _)| name.clone());
    contexts.save(&name, context)?;
    if contexts.current()?.is_none() {
        contexts.make_current(&name)?;
    }
    tracing::info!(context = %name, "the client finds this coordinator by its context");
    Ok(())
}

/// `local`, unless another coordinator of this host that still is there has that name.
fn free_name(known: &[(ContextName, Context)], context: &Context) -> ContextName {
    let usual = ContextName::new("local").expect("a name");
    let taken = known
        .iter()
        .any(|(name, known)| *name == usual && known.data_dir.as_ref().is_none_or(|data| data.join(FILE).exists()));
    if !taken {
        return usual;
    }
    let port = context.coordinator.rsplit_once(':').map_or("", |(_, port)| port);
    ContextName::new(format!("local-{port}")).unwrap_or(usual)
}
