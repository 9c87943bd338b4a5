//! The schema, brought up to date by the same files on both databases.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, Migrator};

use crate::store::error::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The first line of a file that PostgreSQL records and does not run.
const SQLITE_ONLY: &str = "-- sqlite only\n";

/// The migrations as PostgreSQL makes them.
pub(super) fn for_postgres() -> Migrator {
    let skipped = |migration: &Migration| Migration { sql: "".into_sql_str(), ..migration.clone() };
    let is_skipped = |migration: &Migration| migration.sql.as_str().starts_with(SQLITE_ONLY);
    let made = |migration| if is_skipped(migration) { skipped(migration) } else { migration.clone() };
    Migrator::with_migrations(MIGRATOR.iter().map(made).collect())
}

/// The table that sqlx keeps of the migrations that were made; SQLite's has the same columns.
const TABLE: &str = "create table if not exists _sqlx_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamp not null default current_timestamp,
    success boolean not null,
    checksum blob not null,
    execution_time bigint not null
)";

pub(super) fn migrated(result: Result<(), MigrateError>) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(StoreError::TooNew { version }),
        Err(error) => Err(StoreError::Migration(error.to_string())),
    }
}

/// Brings an SQLite database up to date, each migration in a transaction of its own.
pub(super) fn migrate_sqlite(connection: &mut rusqlite::Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::Migration(error.to_string());
    connection.execute_batch(TABLE).map_err(failed)?;
    let mut made = std::collections::BTreeMap::new();
    {
        let mut query = connection
            .prepare("select version, checksum, success from _sqlx_migrations order by version")
            .map_err(failed)?;
        let rows = query
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, bool>(2)?)))
            .map_err(failed)?;
        for row in rows {
            let (version, checksum, success) = row.map_err(failed)?;
            if !success {
                return Err(StoreError::Migration(format!("migration {version} was made in part; restore a backup")));
            }
            made.insert(version, checksum);
        }
    }
    if let Some(version) = made.keys().find(|version| !MIGRATOR.iter().any(|known| known.version == **version)) {
        return Err(StoreError::TooNew { version: *version });
    }
    for migration in MIGRATOR.iter() {
        match made.get(&migration.version) {
            Some(checksum) if checksum.as_slice() == migration.checksum.as_ref() => continue,
            Some(_) => {
                return Err(StoreError::Migration(format!(
                    "migration {} was made from another file than this version's",
                    migration.version
                )));
            }
            None => {}
        }
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(migration.sql.as_str()).map_err(failed)?;
        transaction
            .execute(
                "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (?1, ?2, 1, ?3, 0)",
                (migration.version, migration.description.as_ref(), migration.checksum.as_ref()),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}
