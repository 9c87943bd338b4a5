//! The entities, each declared once: what follows from the list is made by it.

use sprint_core::change::Change;
use sprint_core::ids::{ChangeId, ItemId, OutpostName, RepoName, TokenId, TrialId, WorkerId};
use sprint_core::item::Item;
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::schedule::urgency;
use sprint_core::token::Token;
use sprint_core::trial::Trial;
use sprint_core::upcast;
use sprint_core::worker::Worker;

use super::db::Value;
use super::entity::{Entity, Key, Numbered, Rows, Stored};
use super::error::StoreError;

/// Makes of the list of tables and entities: the rows of all in memory, the order in which they are written, and
/// what is done with every table.
macro_rules! entities {
    ($($table:ident: $entity:ty),+ $(,)?) => {
        /// The rows of every entity.
        #[derive(Default)]
        pub struct Slots {
            $($table: Rows<$entity>),+
        }

        impl Slots {
            /// Takes all rows of `newer` over these.
            pub(crate) fn absorb(&mut self, newer: Self) {
                $(self.$table.extend(newer.$table);)+
            }

            /// Shares the rows.
            pub(crate) fn share(&self) -> Self {
                Self { $($table: self.$table.clone()),+ }
            }

            pub(crate) fn len(&self) -> usize {
                0 $(+ self.$table.len())+
            }
        }

        $(impl Stored for $entity {
            const TABLE: &'static str = stringify!($table);

            fn rows(slots: &Slots) -> &Rows<Self> {
                &slots.$table
            }

            fn rows_mut(slots: &mut Slots) -> &mut Rows<Self> {
                &mut slots.$table
            }
        })+

        /// What the store knows of every table.
        pub(crate) const TABLES: &[Table] = &[$(Table::of::<$entity>()),+];

        /// Every entity on record.
        #[derive(Debug, Default)]
        pub struct Everything {
            $(pub $table: Vec<$entity>),+
        }

        impl Everything {
            /// Each table with its entities as JSON, one on a line.
            ///
            /// # Errors
            /// [`StoreError::Corrupt`].
            pub fn lines(&self) -> Result<Vec<(&'static str, Vec<u8>)>, StoreError> {
                Ok(vec![$((stringify!($table), lines_of(&self.$table)?)),+])
            }

            /// Takes a table's lines in; says whether there is such a table.
            ///
            /// # Errors
            /// [`StoreError::Corrupt`] for a line that is no entity of the table.
            pub fn take_lines(&mut self, table: &str, lines: impl std::io::Read) -> Result<bool, StoreError> {
                match table {
                    $(stringify!($table) => self.$table = entities_of(lines)?,)+
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl Everything {
            /// The last number of each numbered table.
            pub(super) fn last_numbers(&self) -> std::collections::BTreeMap<&'static str, u64> {
                let mut last = std::collections::BTreeMap::new();
                $(last.insert(stringify!($table), self.$table.iter().filter_map(number_of).max().unwrap_or(0));)+
                last
            }
        }

        impl super::Tx {
            /// Everything that is on record, each table in the order of its keys.
            ///
            /// # Errors
            /// [`StoreError`] when the database does not answer or holds something unreadable.
            pub async fn everything(&mut self) -> Result<Everything, StoreError> {
                Ok(Everything { $($table: self.all().await?),+ })
            }

            /// Takes entities over as they are, without events of their own.
            pub(super) fn take_everything(&mut self, everything: Everything) {
                $(self.take_all(everything.$table);)+
            }

            /// The statements that write what the batch changed.
            pub(super) fn statements_of_entities(&self, into: &mut Vec<super::db::Statement>) -> Result<(), StoreError> {
                $(self.statements_of::<$entity>(into)?;)+
                Ok(())
            }

            /// The rows that are kept in memory, as the database has them.
            pub(super) async fn live_rows(&mut self) -> Result<Slots, StoreError> {
                let mut slots = Slots::default();
                $(self.load_live::<$entity>(&mut slots).await?;)+
                Ok(slots)
            }

            /// The rows whose state's column says something else than their entity: a search misses them.
            ///
            /// # Errors
            /// [`StoreError`] when the database does not answer.
            pub async fn stale_columns(&mut self) -> Result<Vec<String>, StoreError> {
                let mut found = Vec::new();
                $(self.stale_columns_of::<$entity>(&mut found).await?;)+
                Ok(found)
            }
        }
    };
}

entities! {
    repos: Repo,
    items: Item,
    workers: Worker,
    changes: Change,
    trials: Trial,
    outposts: Outpost,
    tokens: Token,
}

/// A table without the type of its entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) numbered: bool,
}

impl Table {
    const fn of<E: Stored>() -> Self {
        Self { name: E::TABLE, key: E::KEY, numbered: E::NUMBERED }
    }
}

/// The number of an entity, if it is numbered.
fn number_of<E: Stored>(entity: &E) -> Option<u64> {
    match entity.key().value() {
        Value::Int(Some(number)) => u64::try_from(number).ok(),
        Value::Int(None) | Value::Text(_) => None,
    }
}

fn lines_of<E: Stored>(entities: &[E]) -> Result<Vec<u8>, StoreError> {
    let mut content = Vec::new();
    for entity in entities {
        serde_json::to_writer(&mut content, entity).map_err(|error| StoreError::Corrupt { table: E::TABLE, error })?;
        content.push(b'\n');
    }
    Ok(content)
}

fn entities_of<E: Stored>(lines: impl std::io::Read) -> Result<Vec<E>, StoreError> {
    let bodies = serde_json::Deserializer::from_reader(lines).into_iter::<serde_json::Value>();
    bodies
        .map(|body| {
            let mut body = body?;
            E::upcast(&mut body);
            serde_json::from_value(body)
        })
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Corrupt { table: E::TABLE, error })
}

/// The keys: each leads to its entity.
macro_rules! keys {
    ($($key:ty => $entity:ty, |$name:ident| $value:expr;)+) => {
        $(impl Key for $key {
            type Entity = $entity;

            fn value(&self) -> Value {
                let $name = self;
                $value.into()
            }
        })+
    };
}

keys! {
    RepoName => Repo, |name| name.as_str();
    ItemId => Item, |id| id.get();
    WorkerId => Worker, |id| id.get();
    ChangeId => Change, |id| id.get();
    TrialId => Trial, |id| id.get();
    OutpostName => Outpost, |name| name.as_str();
    TokenId => Token, |id| id.as_str();
}

macro_rules! numbered {
    ($($key:ident),+) => {
        $(impl Numbered for $key {
            fn of(number: u64) -> Self {
                Self::new(number)
            }
        })+
    };
}

numbered!(ItemId, WorkerId, ChangeId, TrialId);

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
    const COLUMNS: &'static [&'static str] = &["repo", "kind", "stage", "parent", "urgency"];
    const STATE: Option<&'static str> = Some("stage");
    const LIVE: Option<&'static str> = Some("stage not in ('done', 'cancelled')");
    const NUMBERED: bool = true;

    fn key(&self) -> ItemId {
        self.id
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.repo.as_str().into(),
            self.kind.as_str().into(),
            self.stage.name().as_str().into(),
            self.parent.map_or(Value::Int(None), |parent| parent.get().into()),
            urgency(self.priority, self.created_at).into(),
        ]
    }
}

impl Entity for Worker {
    type Key = WorkerId;
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["item", "repo", "role", "outpost", "state", "live"];
    const STATE: Option<&'static str> = Some("state");
    const LIVE: Option<&'static str> = Some("live = 1");
    const NUMBERED: bool = true;

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
    const NUMBERED: bool = true;

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
    const NUMBERED: bool = true;

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
