//! Secrets: kept sealed, listed without their texts, and opened for the workers that may have them.

use std::time::Duration;

use serde_json::json;
use sprint_core::act::Act;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::refusal::{Code, Noun as _, Refusal};
use sprint_core::request::NewSecret;
use sprint_core::secret::{Scope, Secret, SecretId, SecretName, SecretText, admit, for_worker};
use sprint_core::worker::Worker;

use crate::identity::seal::{self, SealError};
use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::Tx;

/// How old the record of the last use may be.
const USE_TOLD: Duration = Duration::from_mins(1);

/// Keeps a secret; one of the same name and scope is replaced.
///
/// # Errors
/// [`Code::SecretInvalid`]; there is no such repo; the key cannot be used.
pub async fn set(sprint: &Coordinator, new: NewSecret, by: Actor) -> Result<Secret, ServiceError> {
    let NewSecret { name, scope, form, text } = new;
    if let Some(repo) = scope.repo.as_ref().filter(|repo| sprint.store.live().repo(repo).is_none()) {
        return Err(ServiceError::no_repo(repo));
    }
    let text = admit(text, form)?;
    let id = SecretId::of(&name, &scope);
    let sealed = seal::seal(&sprint.data_dir, &id, &text).map_err(broken)?;
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let (set_at, set_by) = (tx.now(), by.to_string());
                let secret = Secret { id, name, scope, form, sealed, set_at, set_by, used_at: None };
                tx.save(secret.clone(), event(EventKind::SECRET_SET, &secret, by));
                Ok::<_, ServiceError>(secret)
            })
        })
        .await
}

fn broken(error: SealError) -> ServiceError {
    let code = match error {
        SealError::OtherKey(_) => Code::SecretSealed,
        SealError::Key { .. } | SealError::Random => Code::IoFailed,
    };
    ServiceError::new(code, error)
}

/// What the record says of a secret: never its text, sealed or not.
fn event(kind: EventKind, secret: &Secret, actor: Actor) -> NewEvent {
    let Secret { id: _, name, scope, form, .. } = secret;
    let data = json!({ "secret": name, "form": form, "role": scope.role, "outpost": scope.outpost });
    NewEvent { kind, repo: scope.repo.clone(), item: None, actor, data }
}

/// All secrets, each with whether it cannot be opened any more.
///
/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator) -> Result<Vec<(Secret, bool)>, ServiceError> {
    let secrets = sprint.store.list::<Secret>(&[], None).await?;
    let is_lost = |secret: &Secret| seal::open(&sprint.data_dir, &secret.id, &secret.sealed).is_err();
    Ok(secrets.into_iter().map(|secret| (is_lost(&secret), secret)).map(|(lost, secret)| (secret, lost)).collect())
}

/// Removes a secret. A worker that has it keeps it until it ends.
///
/// # Errors
/// There is no such secret.
pub async fn remove(sprint: &Coordinator, name: SecretName, scope: Scope, by: Actor) -> Result<Secret, ServiceError> {
    let id = SecretId::of(&name, &scope);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let secret = tx.get(&id).await?.ok_or_else(|| {
                    let within = scope.to_string();
                    let within = if within.is_empty() { String::new() } else { format!(" with {within}") };
                    let why = format!("there is no secret {name}{within}");
                    ServiceError::from(Refusal::new(Secret::NOT_FOUND, why).next(Act::ListSecrets))
                })?;
                tx.remove(&id, event(EventKind::SECRET_REMOVED, &secret, by));
                Ok(secret)
            })
        })
        .await
}

/// Removes the secrets of what goes away.
///
/// # Errors
/// What the store says.
pub(crate) async fn forget(tx: &mut Tx, is_of_it: impl Fn(&Scope) -> bool, by: &Actor) -> Result<(), ServiceError> {
    for secret in tx.secrets().await?.into_iter().filter(|secret| is_of_it(&secret.scope)) {
        tx.remove(&secret.id.clone(), event(EventKind::SECRET_REMOVED, &secret, by.clone()));
    }
    Ok(())
}

/// The secrets of a worker, opened.
///
/// # Errors
/// [`Code::SecretSealed`] when one of them cannot be opened: the worker is not to run without it.
pub async fn of_worker(sprint: &Coordinator, worker: &Worker) -> Result<Vec<SecretText>, ServiceError> {
    let all = sprint.store.live().secrets();
    if all.is_empty() {
        return Ok(vec![]);
    }
    let Worker { repo, job, outpost, .. } = worker;
    let found = for_worker(all, repo, job, outpost);
    let open = |Secret { id, name, form, sealed: text, .. }: &Secret| {
        // Whatever is wrong with the key: its outpost works on for others.
        let sealed = |error| ServiceError::new(Code::SecretSealed, error);
        let text = seal::open(&sprint.data_dir, id, text).map_err(sealed)?;
        Ok(SecretText { name: name.clone(), form: *form, text })
    };
    let texts = found.iter().map(open).collect::<Result<Vec<_>, ServiceError>>()?;
    let now = sprint.store.time().now();
    let is_told = |secret: &Secret| secret.used_at.is_some_and(|at| now.since(at) < USE_TOLD);
    let used: Vec<SecretId> = found.into_iter().filter(|secret| !is_told(secret)).map(|secret| secret.id).collect();
    if !used.is_empty() {
        let worker = worker.id;
        sprint
            .store
            .write(move |tx| {
                Box::pin(async move {
                    for id in used {
                        // It may have been removed meanwhile.
                        let Some(mut secret) = tx.get(&id).await? else { continue };
                        secret.used_at = Some(tx.now());
                        let mut record = event(EventKind::SECRET_USED, &secret, Actor::Scheduler);
                        record.data["worker"] = json!(worker);
                        tx.save(secret, record);
                    }
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
    }
    Ok(texts)
}
