//! Why a storage operation failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

/// Why a storage operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {source}")]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`StoreError`], by what the caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The database cannot be reached or does not answer: try again later.
    Unavailable,
    /// Another transaction was in the way, and nothing was written: try the whole run again.
    Conflict,
    /// A row refers to a job listing that is not there any more, and nothing was written: the snapshot of the
    /// listings is old.
    ListingGone,
    /// Any other refusal. The error alone does not tell whether it follows one user, the schema or a server in
    /// trouble.
    Refused,
    /// The schema could not be brought up to date.
    Migration,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the database is unavailable",
            Self::Conflict => "a concurrent transaction was in the way",
            Self::ListingGone => "a listing is gone",
            Self::Refused => "the database refused",
            Self::Migration => "the migration failed",
        })
    }
}

impl StoreError {
    /// An error of the kind [`StoreErrorKind::Unavailable`].
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Unavailable, source: source.into() }
    }

    /// An error of the kind [`StoreErrorKind::Conflict`].
    pub fn conflict(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Conflict, source: source.into() }
    }

    /// An error of the kind [`StoreErrorKind::Refused`].
    pub fn refused(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Refused, source: source.into() }
    }

    /// An error of the kind [`StoreErrorKind::ListingGone`].
    pub fn listing_gone(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::ListingGone, source: source.into() }
    }

    /// An error of the kind [`StoreErrorKind::Migration`].
    pub fn migration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Migration, source: source.into() }
    }

    /// The database accepted a statement, or a connection, and has not answered within this time.
    pub(super) fn no_answer(within: Duration) -> Self {
        Self::unavailable(format!("no answer within {within:?}"))
    }

    /// The kind, which decides how the caller reacts.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Equal for failures with the same cause: the database's own code, else the text.
    pub fn cause(&self) -> String {
        match self.database_error() {
            Some(error) => number_of(error).map_or_else(|| error.to_string(), |number| number.to_string()),
            None => self.source.to_string(),
        }
    }

    /// Whether waiting may help at the start of the service: the database is away or in trouble. Missing rights
    /// and errors in statements (class 42 of SQLSTATE), violated constraints (class 23) and schemas that do not
    /// fit stay until an operator acts.
    pub fn may_pass(&self) -> bool {
        if matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Conflict) {
            return true;
        }
        let state = self.database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        let state = state.and_then(MySqlDatabaseError::code);
        state.is_some_and(|state| !state.starts_with("42") && !state.starts_with("23"))
    }

    /// The error of the database in the chain of sources.
    fn database_error(&self) -> Option<&dyn DatabaseError> {
        let mut source: Option<&(dyn Error + 'static)> = Some(&*self.source);
        while let Some(error) = source {
            if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
                return Some(error.as_ref());
            }
            source = error.source();
        }
        None
    }
}

/// MySQL and MariaDB: 1213 deadlock, 1205 lock wait time-out, 1062 a duplicate key (another writer inserted
/// the row after this one had read that it is missing), 1020 the row changed since it was read (MariaDB), 1467 a deadlock
/// over the next AUTO_INCREMENT value, which tables of the old service have (MariaDB).
const MYSQL_CONFLICTS: [u16; 5] = [1213, 1205, 1062, 1020, 1467];

/// 1040 too many connections, 1053 shutdown in progress, 1077/1079/1080 server exits, 1158..=1161 network,
/// 1290/1836 read-only (an old primary), 1317 query killed, 1927 connection killed, 3024 run-time cap. Known to pass
/// at once: other troubles of a server need no number here, because `calculator::faults` finds them by evidence.
const MYSQL_UNAVAILABLE: [u16; 14] =
    [1040, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 3024];

/// MySQL and MariaDB: 1452 a foreign key finds no row.
const MYSQL_NO_REFERENCED_ROW: u16 = 1452;

/// SQLite primary result codes: 5 BUSY, 6 LOCKED.
const SQLITE_CONFLICTS: [u32; 2] = [5, 6];

/// SQLite primary result codes: 10 IOERR, 13 FULL, 14 CANTOPEN, 8 READONLY.
const SQLITE_UNAVAILABLE: [u32; 4] = [8, 10, 13, 14];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let kind = match &error {
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_) => {
                StoreErrorKind::Unavailable
            }
            // The driver reports a connection that ends in the middle of an answer as a protocol error.
            E::Protocol(_) => StoreErrorKind::Unavailable,
            E::Database(error) => kind_of(error.as_ref()),
            _ => StoreErrorKind::Refused,
        };
        Self { kind, source: error.into() }
    }
}

fn kind_of(error: &dyn DatabaseError) -> StoreErrorKind {
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return match mysql.number() {
            MYSQL_NO_REFERENCED_ROW if refers_to_listings(error.message()) => StoreErrorKind::ListingGone,
            number if MYSQL_CONFLICTS.contains(&number) => StoreErrorKind::Conflict,
            number if MYSQL_UNAVAILABLE.contains(&number) => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Refused,
        };
    }
    // Extended result codes carry the primary code in their low byte.
    match number_of(error).map(|code| code & 0xff) {
        Some(code) if SQLITE_CONFLICTS.contains(&code) => StoreErrorKind::Conflict,
        Some(code) if SQLITE_UNAVAILABLE.contains(&code) => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    }
}

/// MySQL's number of the error, or SQLite's.
fn number_of(error: &dyn DatabaseError) -> Option<u32> {
    match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(mysql) => Some(mysql.number().into()),
        None => error.code().and_then(|code| code.parse().ok()),
    }
}

/// Whether the foreign key in the message is one to `job_listings`: "… REFERENCES `job_listings` (`id`) …", with
/// the schema before the table if that is another one.
fn refers_to_listings(message: &str) -> bool {
    let referenced = message.split("REFERENCES ").nth(1).and_then(|key| key.split(" (").next());
    referenced.is_some_and(|table| table.to_lowercase().ends_with("`job_listings`"))
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self { kind: StoreErrorKind::Migration, source: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_foreign_key_to_the_listings_is_about_a_listing() {
        let message = |table: &str| {
            format!(
                "Cannot add or update a child row: a foreign key constraint fails \
                 (`db`.`user_job_recommendations`, CONSTRAINT `job_listings` FOREIGN KEY (`job_listing_id`) \
                 REFERENCES {table} (`id`) ON DELETE CASCADE)"
            )
        };
        assert!(refers_to_listings(&message("`job_listings`")));
        assert!(refers_to_listings(&message("`crawler`.`Job_Listings`")));
        assert!(!refers_to_listings(&message("`users`")));
        assert!(!refers_to_listings(&message("`old_job_listings`")));
        assert!(!refers_to_listings("a foreign key constraint fails"));
    }

    #[test]
    fn failures_with_the_same_text_have_the_same_cause() {
        assert_eq!(StoreError::refused("x").cause(), StoreError::unavailable("x").cause());
        assert_ne!(StoreError::refused("x").cause(), StoreError::refused("y").cause());
    }
}
