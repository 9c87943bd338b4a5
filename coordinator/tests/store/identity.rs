//! What must hold of those who are known, on every database.

use serde_json::json;
use sprint_core::access::{Caller, Identity, PersonRole};
use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::ids::{KeyId, OutpostName};
use sprint_core::outpost::Outpost;
use sprint_core::time::Timestamp;
use sprint_core::token::{Grant, Proof, SecretHash, Token, TokenId};

use coordinator::store::{EventFilter, StoreError};

use super::Database;
use super::checks::{event, write};

fn key(digit: &str) -> KeyId {
    KeyId::new(digit.repeat(64)).unwrap()
}

fn name(text: &str) -> OutpostName {
    OutpostName::new(text).unwrap()
}

fn outpost(text: &str, digit: &str) -> Outpost {
    Outpost { name: name(text), key: Some(key(digit)), ..fixtures::outpost() }
}

fn token(proof: Proof) -> Token {
    Token {
        id: TokenId::new("0a1b2c3d").unwrap(),
        proof,
        grant: Grant::Access { role: PersonRole::Viewer, name: "ann".parse().unwrap() },
        expires_at: Timestamp::from_millis(1),
        created_at: Timestamp::default(),
        created_by: "test".to_owned(),
        revoked_at: None,
    }
}

pub(crate) async fn the_directory_follows_the_record(database: &Database) {
    let store = database.open().await;
    let joined = || event(EventKind::OUTPOST_JOINED, None);
    write(&store, move |tx| tx.save(outpost("a", "1"), joined())).await;
    assert_eq!(store.live().outpost(&key("1")), Some(name("a")));
    write(&store, move |tx| tx.save(outpost("a", "2"), joined())).await;
    assert_eq!(store.live().outpost(&key("1")), None, "an earlier key opens nothing any more");
    assert_eq!(store.live().outpost(&key("2")), Some(name("a")));
    write(&store, move |tx| tx.save(token(Proof::Key(key("3"))), joined())).await;
    assert!(store.live().token_of_key(&key("3")).is_some());
    store.close().await;

    let store = database.open().await;
    assert_eq!(store.live().outpost(&key("2")), Some(name("a")), "it is filled at the start");
    assert!(store.live().token_of_key(&key("3")).is_some());
    let hash = SecretHash::new("4".repeat(64)).unwrap();
    write(&store, move |tx| tx.save(token(Proof::Secret(hash)), joined())).await;
    assert!(store.live().token_of_key(&key("3")).is_none(), "its proof is another one now");
    assert!(store.live().token(&token(Proof::Key(key("3"))).id).is_some());
    write(&store, move |tx| tx.remove(&name("a"), joined())).await;
    assert_eq!(store.live().outpost(&key("2")), None);
    store.close().await;
}

pub(crate) async fn what_is_not_committed_is_not_in_the_directory(database: &Database) {
    let store = database.open().await;
    let failed: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                tx.save(outpost("a", "1"), event(EventKind::OUTPOST_JOINED, None));
                Err(StoreError::Closed)
            })
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(store.live().outpost(&key("1")), None);
    store.close().await;
}

pub(crate) async fn the_audit_holds_what_came_from_somewhere(database: &Database) {
    let store = database.open().await;
    let caller = Caller { identity: Identity::Stranger, from: "10.0.0.1:7".to_owned() };
    let refused = NewEvent {
        kind: EventKind::ACCESS_REFUSED,
        repo: None,
        item: None,
        actor: Actor::Caller(caller),
        data: json!({}),
    };
    write(&store, move |tx| {
        tx.record(event(EventKind::ITEM_ADDED, None));
        tx.record(refused);
    })
    .await;
    let audit = store.events(EventFilter { audit: true, limit: 10, ..EventFilter::default() }).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].actor.as_str(), audit[0].origin.as_deref()), ("stranger", Some("10.0.0.1:7")));
    let all = store.events(EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].origin, None);
    store.close().await;
}
