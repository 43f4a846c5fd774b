//! Why a storage operation failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

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
    /// A schema or programming error: trying again will not help.
    Refused,
    /// The schema could not be brought up to date.
    Migration,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the database is unavailable",
            Self::Conflict => "a concurrent transaction was in the way",
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
}

/// MySQL and MariaDB: 1213 deadlock, 1205 lock wait time-out, 1062 a duplicate key (another writer inserted
/// the row after this one had read that it is missing), 1020 the row changed since it was read (MariaDB), 1467 a deadlock
/// over the next AUTO_INCREMENT value, which tables of the old service have (MariaDB).
const MYSQL_CONFLICTS: [u16; 5] = [1213, 1205, 1062, 1020, 1467];

/// 1040 too many connections, 1053 shutdown in progress, 1077/1079/1080 server exits, 1158..=1161 network,
/// 1290/1836 read-only server (a failover), 1317 query killed, 1927 connection killed, 3024 run-time cap.
const MYSQL_UNAVAILABLE: [u16; 14] =
    [1040, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 3024];

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

fn kind_of(error: &dyn sqlx::error::DatabaseError) -> StoreErrorKind {
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return match mysql.number() {
            number if MYSQL_CONFLICTS.contains(&number) => StoreErrorKind::Conflict,
            number if MYSQL_UNAVAILABLE.contains(&number) => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Refused,
        };
    }
    // Extended result codes carry the primary code in their low byte.
    match error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        Some(code) if SQLITE_CONFLICTS.contains(&code) => StoreErrorKind::Conflict,
        Some(code) if SQLITE_UNAVAILABLE.contains(&code) => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self { kind: StoreErrorKind::Migration, source: error.into() }
    }
}
