//! Tokens: made, listed, revoked.

use std::time::Duration;

use serde_json::json;
use sprint_core::access::PersonRole;
use sprint_core::act::Act;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::PersonName;
use sprint_core::refusal::{Code, Noun as _, Refusal};
use sprint_core::request::NewToken;
use sprint_core::token::{Grant, Proof, SECRET_DIGITS, Token, TokenId, TokenKind, TokenText};

use crate::service::admission::access;
use crate::service::{Actor, Coordinator, ServiceError};

/// How long a token for joining counts: it is pasted on the other host at once.
const JOIN_TTL: Duration = Duration::from_hours(1);

/// How long a person's token counts.
const ACCESS_TTL: Duration = Duration::from_hours(90 * 24);

/// The longest that any token counts.
const LONGEST_TTL: Duration = Duration::from_hours(366 * 24);

/// Outposts that may join with one token at most.
const MOST_USES: u32 = 10_000;

/// Makes a token. Its text is answered here and nowhere else again.
///
/// # Errors
/// [`Code::TokenInvalid`] for options that do not go with its kind.
pub async fn create(sprint: &Coordinator, new: NewToken, by: Actor) -> Result<(Token, TokenText), ServiceError> {
    let id = TokenId::new(sprint_identity::random(4)).expect("eight digits");
    let (grant, ttl) = grant(&new, &id)?;
    let ttl = new.ttl.unwrap_or(ttl);
    if ttl.is_zero() || ttl > LONGEST_TTL {
        let why = format!(
            "a token cannot be valid for {}; choose more than 0 and at most {}",
            humantime::format_duration(ttl),
            humantime::format_duration(LONGEST_TTL)
        );
        return Err(Refusal::new(Code::TokenInvalid, why).field("ttl").into());
    }
    let secret = sprint_identity::random(SECRET_DIGITS / 2);
    let text = TokenText::new(id.clone(), secret, sprint.certificates.fingerprint()).expect("hexadecimal digits");
    let proof = Proof::Secret(access::hash(&text));
    let token = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let created_at = tx.now();
                let expires_at = created_at.plus(ttl);
                let created_by = by.to_string();
                let token = Token { id, proof, grant, expires_at, created_at, created_by, revoked_at: None };
                tx.save(token.clone(), event(EventKind::TOKEN_CREATED, &token, by));
                Ok::<_, ServiceError>(token)
            })
        })
        .await?;
    Ok((token, text))
}

fn grant(new: &NewToken, id: &TokenId) -> Result<(Grant, Duration), ServiceError> {
    let role = match new.kind {
        TokenKind::Outpost => {
            if new.name.is_some() {
                let why = "a token of kind outpost takes no name; an outpost chooses its name when it joins";
                return Err(Refusal::new(Code::TokenInvalid, why).field("name").into());
            }
            let uses = new.uses.unwrap_or(1);
            if !(1..=MOST_USES).contains(&uses) {
                let why = format!("the number of uses is {uses}; choose one between 1 and {MOST_USES}");
                return Err(Refusal::new(Code::TokenInvalid, why).field("uses").into());
            }
            let grant = Grant::Join { uses, used: 0, name_prefix: new.name_prefix.clone() };
            return Ok((grant, JOIN_TTL));
        }
        TokenKind::Admin => PersonRole::Admin,
        TokenKind::Operator => PersonRole::Operator,
        TokenKind::Viewer => PersonRole::Viewer,
    };
    if new.uses.is_some() || !new.name_prefix.is_empty() {
        let why = format!(
            "a number of uses and a name prefix are for tokens of kind outpost; one of kind {} is valid until it expires or is revoked",
            new.kind
        );
        return Err(Refusal::new(Code::TokenInvalid, why).field("uses").into());
    }
    let name = match &new.name {
        Some(name) => name.clone(),
        None => PersonName::new(id.as_str()).expect("digits are a name"),
    };
    Ok((Grant::Access { role, name }, ACCESS_TTL))
}

pub(crate) fn event(kind: EventKind, token: &Token, by: Actor) -> NewEvent {
    let mut data = json!({ "token": token.id, "kind": token.kind(), "expires_at": token.expires_at });
    match &token.grant {
        Grant::Join { uses, used, name_prefix } => {
            data["uses"] = json!(uses);
            data["used"] = json!(used);
            data["name_prefix"] = json!(name_prefix);
        }
        Grant::Access { role: _, name } => data["name"] = json!(name),
    }
    NewEvent { kind, repo: None, item: None, actor: by, data }
}

/// The tokens that still admit callers, or all.
///
/// # Errors
/// What the store says.
pub async fn list(sprint: &Coordinator, all: bool) -> Result<Vec<Token>, ServiceError> {
    let mut tokens = sprint.store.tokens().await?;
    let now = crate::service::now();
    tokens.retain(|token| {
        let used_up = matches!(token.grant, Grant::Join { uses, used, .. } if used >= uses);
        all || (token.check(now).is_ok() && !used_up)
    });
    Ok(tokens)
}

/// Revokes a token. Outposts that joined with it stay: `outpost remove` is for those.
///
/// # Errors
/// There is no such token.
pub async fn revoke(sprint: &Coordinator, id: TokenId, by: Actor) -> Result<Token, ServiceError> {
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut token = tx.get(&id).await?.ok_or_else(|| {
                    let why = format!("there is no token {id}");
                    ServiceError::from(Refusal::new(Token::NOT_FOUND, why).next(Act::ListTokens))
                })?;
                if token.revoked_at.is_none() {
                    token.revoked_at = Some(tx.now());
                    tx.save(token.clone(), event(EventKind::TOKEN_REVOKED, &token, by));
                }
                Ok(token)
            })
        })
        .await
}
