use std::time::Duration;

use sqlx::Error;

/// Why a storage operation failed, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or does not answer: try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Error),
    /// Another transaction was in the way; nothing was written: try the whole run again.
    #[error("a concurrent transaction was in the way: {0}")]
    Conflict(#[source] Error),
    /// A schema or programming error: trying again will not help.
    #[error("the database refused: {0}")]
    Refused(#[source] Error),
    /// The schema could not be brought up to date.
    #[error("the migration failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// MySQL and MariaDB: 1213 deadlock, 1205 lock wait time-out, 1062 a duplicate key (another writer inserted
/// the row after we had read that it is missing), 1020 the row changed since it was read (MariaDB).
const MYSQL_CONFLICTS: [u16; 4] = [1213, 1205, 1062, 1020];

/// 1040 too many connections, 1053 shutdown in progress, 1077/1079/1080 server exits, 1158..=1161 network,
/// 1290/1836 read-only server (a failover), 1317 query killed, 1927 connection killed, 3024 run-time cap.
const MYSQL_UNAVAILABLE: [u16; 14] =
    [1040, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 3024];

/// SQLite primary result codes: 5 BUSY, 6 LOCKED.
const SQLITE_CONFLICTS: [u32; 2] = [5, 6];

/// SQLite primary result codes: 10 IOERR, 13 FULL, 14 CANTOPEN, 8 READONLY.
const SQLITE_UNAVAILABLE: [u32; 4] = [8, 10, 13, 14];

impl StoreError {
    /// The database takes connections and does not answer.
    pub(super) fn no_answer(within: Duration) -> Self {
        let cause = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {within:?}"));
        Self::Unavailable(Error::Io(cause))
    }

    /// The listings changed each time they were read.
    pub(crate) fn unstable_catalogue() -> Self {
        Self::Conflict(Error::InvalidArgument("the listings changed each time they were read".to_owned()))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed | Error::Tls(_) => {
                Self::Unavailable(error)
            }
            // The driver reports a connection that ends in the middle of an answer as a protocol error.
            Error::Protocol(_) => Self::Unavailable(error),
            Error::Database(database) => {
                if let Some(mysql) = database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                    let number = mysql.number();
                    if MYSQL_CONFLICTS.contains(&number) {
                        return Self::Conflict(error);
                    }
                    if MYSQL_UNAVAILABLE.contains(&number) {
                        return Self::Unavailable(error);
                    }
                } else if let Some(code) = database.code().and_then(|code| code.parse::<u32>().ok()) {
                    // Extended result codes carry the primary code in their low byte.
                    if SQLITE_CONFLICTS.contains(&(code & 0xff)) {
                        return Self::Conflict(error);
                    }
                    if SQLITE_UNAVAILABLE.contains(&(code & 0xff)) {
                        return Self::Unavailable(error);
                    }
                }
                Self::Refused(error)
            }
            _ => Self::Refused(error),
        }
    }
}
