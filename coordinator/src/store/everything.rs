//! The whole record: every entity of every table.

use super::db::Value;
use super::entity::{Key as _, Stored, each_entity};
use super::error::StoreError;

/// Makes of the list: the tables, and the whole record.
macro_rules! everything {
    ($($table:ident: $entity:ty, $by:ident $key:ty;)+) => {
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

            /// The last number of each numbered table.
            pub(super) fn last_numbers(&self) -> std::collections::BTreeMap<&'static str, u64> {
                let mut last = std::collections::BTreeMap::new();
                $(last.insert(stringify!($table), self.$table.iter().filter_map(number_of).max().unwrap_or(0));)+
                last
            }
        }
    };
}

each_entity!(everything);

/// A table without the type of its entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) numbered: bool,
}

impl Table {
    const fn of<E: Stored>() -> Self {
        Self { name: E::TABLE, key: E::KEY, numbered: E::Key::NUMBERED }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sprint_core::refusal::{Code, Noun as _};

    use super::*;

    macro_rules! not_found {
        ($($table:ident: $entity:ty, $by:ident $key:ty;)+) => {
            [$(<$entity>::NOT_FOUND),+]
        };
    }

    #[test]
    fn each_code_of_the_table_and_of_the_entities_stands_once_in_the_reference_with_its_words() {
        let page = include_str!("../../../docs/reference/errors.md");
        let all = Code::ALL.iter().copied().chain(each_entity!(not_found)).collect::<Vec<_>>();
        let codes = all.iter().map(|code| code.as_str()).collect::<BTreeSet<_>>();
        assert_eq!(codes.len(), all.len(), "a code stands twice in the table");
        let row =
            |code: &Code| format!("| `{}` | {} | {} | {} |", code.as_str(), code.kind(), code.meaning(), code.remedy());
        let missing = all.iter().map(row).filter(|row| !page.contains(row.as_str())).collect::<Vec<_>>();
        assert!(missing.is_empty(), "docs/reference/errors.md lacks these rows:\n{}", missing.join("\n"));
        let section = page.split("\n## ").find(|section| section.starts_with("Refusals")).expect("a section");
        let listed = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let unknown = listed.filter(|code| !codes.contains(code)).collect::<Vec<_>>();
        assert!(unknown.is_empty(), "docs/reference/errors.md lists codes that do not exist: {unknown:?}");
    }
}
