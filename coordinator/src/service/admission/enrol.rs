//! How an outpost gets its certificate, and the next one.

use std::time::Duration;

use serde_json::json;
use sprint_core::access::{Caller, Identity};
use sprint_core::act::Act;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{KeyId, OutpostName};
use sprint_core::outpost::{Outpost, OutpostState};
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::Enrolment;
use sprint_core::time::Timestamp;
use sprint_core::token::{CLOCK_TOLERANCE, TokenKind, TokenRefused, TokenText};
use sprint_identity::authority::{Issued, Requested};

use crate::service::admission::access;
use crate::service::{Actor, Coordinator, ServiceError};
use crate::store::Tx;

/// A certificate for an outpost, and the authority that it is to trust.
#[derive(Debug)]
pub struct Enrolled {
    pub issued: Issued,
    pub trust_pem: String,
}

/// Spends a token on a certificate for an outpost's key; `from` is the address that asks.
///
/// The same key may ask again with the same token: its answer may have been lost on the way.
///
/// # Errors
/// [`ServiceError::Token`], [`Code::OutpostExists`], [`Code::OutpostKeyInUse`], [`Code::OutpostClock`], and
/// [`ServiceError::Key`] for a request that makes no sense.
pub async fn enrol(sprint: &Coordinator, enrolment: Enrolment, from: String) -> Result<Enrolled, ServiceError> {
    let Enrolment { token, outpost, request, now } = enrolment;
    let requested = Requested::read(&request)?;
    check_clock(now, crate::service::now())?;
    let (key, name) = (requested.id.clone(), outpost.clone());
    sprint.store.write(move |tx| Box::pin(admit(tx, token, name, key, from))).await?;
    tracing::info!(%outpost, "an outpost has joined");
    issue(sprint, &outpost, &requested)
}

fn check_clock(theirs: Timestamp, ours: Timestamp) -> Result<(), ServiceError> {
    let (off, way) = if theirs < ours { (ours.since(theirs), "behind") } else { (theirs.since(ours), "ahead of") };
    if off <= CLOCK_TOLERANCE {
        return Ok(());
    }
    let off = humantime::format_duration(Duration::from_secs(off.as_secs()));
    let why = format!("this host's clock is {off} {way} the coordinator's; set the clock (chrony) and join again");
    Err(ServiceError::new(Code::OutpostClock, why))
}

async fn admit(tx: &mut Tx, shown: TokenText, name: OutpostName, key: KeyId, from: String) -> Result<(), ServiceError> {
    let found = tx.get(&shown.id).await?;
    access::known(found.as_ref(), &shown, TokenKind::Outpost)?;
    let Some(mut token) = found else { return Err(TokenRefused::Unknown { kind: TokenKind::Outpost }.into()) };
    let now = tx.now();
    let known = tx.get(&name).await?;
    if known.as_ref().is_some_and(|known| known.key.as_ref() == Some(&key)) {
        return Ok(token.again(now)?);
    }
    if let Some(other) = tx.outposts().await?.into_iter().find(|other| other.key.as_ref() == Some(&key)) {
        let why = format!(
            "this key belongs to outpost \"{}\"; each outpost needs its own key and its own data directory",
            other.name
        );
        return Err(ServiceError::new(Code::OutpostKeyInUse, why));
    }
    if known.as_ref().is_some_and(|known| known.key.is_some()) {
        let why = format!(
            "an outpost \"{name}\" with another key exists already; join with another name, or have an admin remove that one first"
        );
        return Err(Refusal::new(Code::OutpostExists, why).next(Act::RemoveOutpost(name)).into());
    }
    token.spend(&name, now)?;
    let caller = Actor::Caller(Caller { identity: Identity::Outpost(name.clone()), from });
    let outpost = match known {
        // It joined before keys were asked for.
        Some(outpost) => Outpost { key: Some(key), ..outpost },
        None => Outpost {
            name: name.clone(),
            key: Some(key),
            labels: std::collections::BTreeMap::new(),
            max_workers: 0,
            state: OutpostState::Offline,
            version: String::new(),
            draining: false,
            paused: None,
            quick_failures: 0,
            suspicion: None,
            disconnect_grace: None,
            joined_at: now,
            last_seen: now,
        },
    };
    let data = json!({ "outpost": name, "token": token.id, "key": outpost.key });
    let record =
        NewEvent { kind: EventKind::OUTPOST_JOINED, repo: None, item: None, actor: caller.clone(), data: data.clone() };
    tx.save(outpost, record);
    tx.save(token, NewEvent { kind: EventKind::TOKEN_USED, repo: None, item: None, actor: caller, data });
    Ok(())
}

fn issue(sprint: &Coordinator, outpost: &OutpostName, requested: &Requested) -> Result<Enrolled, ServiceError> {
    let ttl = sprint.settings.outpost_cert_ttl;
    let subject = format!("outpost {outpost}");
    let issued = sprint.certificates.authority.issue_client(requested, &subject, crate::service::now(), ttl)?;
    Ok(Enrolled { issued, trust_pem: sprint.certificates.trust_pem() })
}

/// Gives a connected outpost its next certificate, for the key that it has.
///
/// # Errors
/// [`Code::OutpostOtherKey`], [`ServiceError::Key`] for a request that makes no sense.
pub async fn renew(sprint: &Coordinator, outpost: &OutpostName, request: &[u8]) -> Result<Enrolled, ServiceError> {
    let requested = Requested::read(request)?;
    if sprint.store.live().outpost(&requested.id).as_ref() != Some(outpost) {
        let why = format!("outpost \"{outpost}\" asked for a certificate for a key that is not its own");
        return Err(ServiceError::new(Code::OutpostOtherKey, why));
    }
    let enrolled = issue(sprint, outpost, &requested)?;
    let data = json!({ "outpost": outpost, "expires_at": enrolled.issued.expires_at });
    let actor = Actor::Outpost(outpost.clone());
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.record(NewEvent { kind: EventKind::CERTIFICATE_ISSUED, repo: None, item: None, actor, data });
                Ok::<_, ServiceError>(())
            })
        })
        .await?;
    Ok(enrolled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_a_wrong_clock_says_by_how_much_and_in_which_direction() {
        let ours = Timestamp::from_millis(10_000_000);
        let at = |seconds: i64| Timestamp::from_millis(10_000_000 + seconds * 1000);
        assert!(check_clock(at(-300), ours).is_ok() && check_clock(at(300), ours).is_ok());
        let behind = check_clock(at(-420), ours).expect_err("is refused").to_string();
        assert!(behind.contains("7m behind") && behind.contains("chrony"), "{behind}");
        let ahead = check_clock(at(3601), ours).expect_err("is refused").to_string();
        assert!(ahead.contains("1h 1s ahead"), "{ahead}");
    }
}
