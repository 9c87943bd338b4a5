//! How each entity is kept: its key, the columns that it is searched by, and what of it is live.

use sprint_core::change::Change;
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TokenId, TrialId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::upcast;
use sprint_core::worker::Worker;

use super::db::Value;
use super::entity::{Entity, Key, Numbered};

/// Keys that are names, each with its entity.
macro_rules! named {
    ($($key:ident => $entity:ident),+ $(,)?) => {
        $(impl Key for $key {
            type Entity = $entity;

            fn value(&self) -> Value {
                self.as_str().into()
            }
        })+
    };
}

/// Keys that the store numbers, each with its entity.
macro_rules! numbered {
    ($($key:ident => $entity:ident),+ $(,)?) => {
        $(impl Key for $key {
            type Entity = $entity;
            const NUMBERED: bool = true;

            fn value(&self) -> Value {
                self.get().into()
            }
        }

        impl Numbered for $key {
            fn of(number: u64) -> Self {
                Self::new(number)
            }
        })+
    };
}

named! {
    RepoName => Repo,
    OutpostName => Outpost,
    TokenId => Token,
}

numbered! {
    ItemId => Item,
    WorkerId => Worker,
    ChangeId => Change,
    TrialId => Trial,
}

impl Entity for Repo {
    type Key = RepoName;
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> RepoName {
        self.name.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}

impl Entity for Item {
    type Key = ItemId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "kind", "stage", "parent"];
    const STATE: Option<&'static str> = Some("stage");
    const LIVE: Option<&'static str> = Some("stage not in ('done', 'cancelled')");

    fn key(&self) -> ItemId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.kind.as_str().into(),
            self.stage.name().as_str().into(),
            self.parent.map_or(Value::Int(None), |parent| parent.get().into()),
        ]
    }
}

impl Entity for Worker {
    type Key = WorkerId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["item", "repo", "role", "outpost", "state", "live"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("live = 1");

    fn key(&self) -> WorkerId {
        self.id
    }

    fn upcast(body: &mut serde_json::Value) {
        upcast::job(body);
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.job.item().map_or(Value::Int(None), |item| item.get().into()),
            self.repo.as_str().into(),
            self.job.role().as_str().into(),
            self.outpost.as_str().into(),
            self.state.name().as_str().into(),
            self.state.is_live().into(),
        ]
    }
}

impl Entity for Change {
    type Key = ChangeId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "item", "state", "pending"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("pending = 1");

    fn key(&self) -> ChangeId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.item.get().into(),
            self.state.name().as_str().into(),
            self.state.is_pending().into(),
        ]
    }
}

impl Entity for Trial {
    type Key = TrialId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["repo", "tree", "state", "retired"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("retired = 0");

    fn key(&self) -> TrialId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.candidate.tree.as_str().into(),
            self.state.name().as_str().into(),
            self.retired.into(),
        ]
    }
}

impl Entity for Outpost {
    type Key = OutpostName;
    const KEY: &'static str = "name";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> OutpostName {
        self.name.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}

impl Entity for Token {
    type Key = TokenId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &[];
    const LIVE: Option<&'static str> = Some("1 = 1");

    fn key(&self) -> TokenId {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![]
    }
}
