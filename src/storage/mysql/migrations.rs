//! Bringing the schema up to date.
//!
//! MySQL commits each DDL statement by itself, so a migration can be cut off between two of its statements. The
//! migrations are therefore applied statement by statement, and a cut-off one goes on at the next start: each
//! statement is atomic, so it has been applied or not, and one that has says so by its error. The bookkeeping is that of
//! sqlx's migrator, which cannot go on, and needs the right to create tables even if there is nothing to do.

use sqlx::migrate::{Migration, Migrator};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor, query, query_as, query_scalar};

use super::pool::Pool;
use super::source::number;
use crate::storage::StoreError;

/// The stand-ins for the tables of other services.
const SOURCE_TABLES: &str = include_str!("../../../migrations/source-tables/mysql.sql");

const RECORDED: &str = r"
SELECT version, success FROM _sqlx_migrations
";

const CREATE_RECORDS: &str = r"
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version        BIGINT    NOT NULL PRIMARY KEY,
    description    TEXT      NOT NULL,
    installed_on   TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success        BOOLEAN   NOT NULL,
    checksum       BLOB      NOT NULL,
    execution_time BIGINT    NOT NULL
)
";

const BEGIN: &str = r"
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES (?, ?, FALSE, ?, -1)
";

const END: &str = r"
UPDATE _sqlx_migrations SET success = TRUE WHERE version = ?
";

/// The table is missing: no migration has been applied.
const NO_SUCH_TABLE: u16 = 1146;

/// What a statement that has been applied before answers: 1050 the table exists, 1060 the column exists, 1061 the key
/// exists, 1091 the column or key to drop is gone, 1051 the table to drop is gone, 1062 the row exists, 1826 the
/// constraint exists (3822 if it is a check).
const APPLIED_BEFORE: [u16; 8] = [1050, 1060, 1061, 1091, 1051, 1062, 1826, 3822];

/// The account lacks a right: 1044 on the database, 1142 on the table, 1143 on a column, 1227 a global one, 1370 on a
/// routine.
const NOT_ALLOWED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];

/// Applies the migrations that are not applied, one instance at a time. If there are none, this is one SELECT.
///
/// Of two versions that run side by side, the older one finds migrations that it does not know, and leaves them alone.
/// Migrations only add tables and columns: those that it uses stay.
pub(super) async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let migrations = migrator();
    if pending(&mut connection, &migrations).await?.is_empty() {
        return Ok(());
    }
    lock_start(&mut connection).await?;
    let migrated = apply_pending(&mut connection, &migrations).await;
    unlock_start(&mut connection).await?;
    migrated
}

/// Creates the tables of other services that do not exist.
pub(super) async fn create_source_tables(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    for statement in statements(SOURCE_TABLES) {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

/// Waits for other instances that migrate, or load the sample. The server frees the lock of an instance that dies.
pub(super) async fn lock_start(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    const LOCK: &str = "SELECT GET_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)), 10)";
    while query_scalar::<_, Option<i64>>(LOCK).fetch_one(&mut *connection).await? != Some(1) {
        tracing::warn!("waiting for another instance that migrates");
    }
    Ok(())
}

/// Releases what [`lock_start`] has taken.
pub(super) async fn unlock_start(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    query("DO RELEASE_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)))").execute(connection).await?;
    Ok(())
}

fn migrator() -> Migrator {
    sqlx_macros::migrate!("migrations/mysql")
}

/// A migration that is not applied, or not to its end.
struct Pending<'a> {
    migration: &'a Migration,
    begun: bool,
}

async fn pending<'a>(
    connection: &mut MySqlConnection,
    migrations: &'a Migrator,
) -> Result<Vec<Pending<'a>>, StoreError> {
    let recorded: Vec<(i64, bool)> = match query_as(RECORDED).fetch_all(connection).await {
        Err(error) if number(&error) == Some(NO_SUCH_TABLE) => Vec::new(),
        recorded => recorded?,
    };
    let success = |version| recorded.iter().find(|(known, _)| *known == version).map(|(_, success)| *success);
    Ok(migrations
        .iter()
        .filter(|migration| success(migration.version) != Some(true))
        .map(|migration| Pending { migration, begun: success(migration.version).is_some() })
        .collect())
}

/// Another instance may have applied them before this one got the lock.
async fn apply_pending(connection: &mut MySqlConnection, migrations: &Migrator) -> Result<(), StoreError> {
    for Pending { migration, begun } in pending(connection, migrations).await? {
        if begun {
            tracing::warn!(migration = migration.version, "a migration was cut off: going on");
        } else {
            begin(connection, migration).await.map_err(|error| failed(migration, CREATE_RECORDS, error))?;
        }
        for statement in statements(migration.sql.as_str()) {
            apply(connection, migration, statement, begun).await?;
        }
        let ended = query(END).bind(migration.version).execute(&mut *connection).await;
        ended.map_err(|error| failed(migration, END, error))?;
        tracing::info!(migration = migration.version, name = %migration.description, "migration applied");
    }
    Ok(())
}

async fn begin(connection: &mut MySqlConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    connection.execute(CREATE_RECORDS).await?;
    query(BEGIN)
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(&*migration.checksum)
        .execute(connection)
        .await?;
    Ok(())
}

/// Only in a migration that was begun before may a statement have been applied: in another one, a table of the same name
/// belongs to another program.
async fn apply(
    connection: &mut MySqlConnection,
    migration: &Migration,
    statement: String,
    begun: bool,
) -> Result<(), StoreError> {
    match connection.execute(AssertSqlSafe(statement.clone())).await {
        Err(error) if begun && number(&error).is_some_and(|number| APPLIED_BEFORE.contains(&number)) => {
            Ok(())
        }
        Err(error) => Err(failed(migration, &statement, error)),
        Ok(_) => Ok(()),
    }
}

fn failed(migration: &Migration, statement: &str, error: sqlx::Error) -> StoreError {
    let first_line = statement.trim().lines().next().unwrap_or_default().trim_end_matches([' ', '(']);
    let at = format!("migration {} ({}), {first_line}", migration.version, migration.description);
    match number(&error) {
        Some(number) if NOT_ALLOWED.contains(&number) => StoreError::migration(format!(
            "{at}: {error}. Run `job-agent migrate` once with an account that has the rights CREATE, ALTER, SELECT, \
             INSERT and UPDATE on this database; then this account does"
        )),
        Some(_) => StoreError::migration(format!("{at}: {error}")),
        None => error.into(),
    }
}

/// The statements of a script. Each ends with a semicolon at the end of a line; a line that begins with `--` is a
/// comment.
fn statements(script: &str) -> Vec<String> {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with("--"));
    let without_comments = lines.flat_map(|line| [line, "\n"]).collect::<String>();
    let statements = without_comments.split(";\n").map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_split_into_statements_that_are_atomic_and_can_be_repeated() {
        let migrator = migrator();
        let scripts = migrator.iter().map(|migration| migration.sql.as_str()).chain([SOURCE_TABLES]);
        for statement in scripts.flat_map(statements) {
            let begins = ["CREATE TABLE ", "ALTER TABLE ", "INSERT INTO ", "UPDATE "];
            assert!(begins.iter().any(|begin| statement.starts_with(begin)), "{statement}");
            assert!(!statement.contains(';'), "{statement}");
        }
    }

    #[test]
    fn comments_may_have_semicolons() {
        let script =
            "-- one; two;\nCREATE TABLE a (\n    -- three;\n    b INT\n);\n\nINSERT INTO a\nVALUES (1);\n";
        assert_eq!(statements(script), ["CREATE TABLE a (\n    b INT\n)", "INSERT INTO a\nVALUES (1)"]);
    }
}
