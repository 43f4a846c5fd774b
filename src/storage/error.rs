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

/// MySQL and MariaDB. Nothing was written, and the same may succeed at once: 1213 deadlock, and on Galera also a lost
/// certification; 1205 lock wait time-out; 1062 a duplicate key (another writer inserted the row after this one had read
/// that it is missing); 1020 the row changed since it was read (MariaDB); 1467 a deadlock over the next AUTO_INCREMENT
/// value, which tables of the old service have (MariaDB); 3101 a lost certification, or a group that changes its primary
/// (group replication); 3572 a lock that is not waited for.
const MYSQL_CONFLICTS: [u16; 7] = [1213, 1205, 1062, 1020, 1467, 3101, 3572];

/// Known to pass, or to be gone with a new connection. Other troubles of a server need no number here, because
/// `calculator::faults` finds them by evidence; those of a failover do, so that connections are renewed at once.
/// - Connections and the end of a server: 1040 too many connections, 1047 a Galera node that is not ready, 1053 shutdown in
///   progress, 1077/1079/1080 server exits, 1158..=1161 network, 1317 query killed, 1927 connection killed (MariaDB), 3032
///   offline, 3168 not available, 3169 session killed, 4031 ended for its silence (MySQL).
/// - An old primary: 1290/1836/1792 read-only.
/// - Limits of time: 1969 (MariaDB), 3024 (MySQL).
/// - Group replication: 3100 a member that has left the group, 3781..=3783 a new primary that has not applied its backlog,
///   3796..=3799 a member whose state does not give the consistency that is asked for, 4094 a change of the primary.
const MYSQL_UNAVAILABLE: [u16; 29] = [
    1040, 1047, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1290, 1317, 1792, 1836, 1927, 1969, 3024,
    3032, 3100, 3168, 3169, 3781, 3782, 3783, 3796, 3797, 3798, 3799, 4094,
];

/// A commit failed in the storage engine or in the replication beneath it. With error 149 of the engine it is a deadlock or
/// a lost certification; else the node is in trouble (Galera: it has lost its group).
const MYSQL_ERROR_DURING_COMMIT: u16 = 1180;

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
        return mysql_kind(mysql.number(), error.message());
    }
    // Extended result codes carry the primary code in their low byte.
    match number_of(error).map(|code| code & 0xff) {
        Some(code) if SQLITE_CONFLICTS.contains(&code) => StoreErrorKind::Conflict,
        Some(code) if SQLITE_UNAVAILABLE.contains(&code) => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    }
}

fn mysql_kind(number: u16, message: &str) -> StoreErrorKind {
    match number {
        MYSQL_NO_REFERENCED_ROW if refers_to_listings(message) => StoreErrorKind::ListingGone,
        MYSQL_ERROR_DURING_COMMIT if message.starts_with("Got error 149 ") => StoreErrorKind::Conflict,
        MYSQL_ERROR_DURING_COMMIT => StoreErrorKind::Unavailable,
        number if MYSQL_CONFLICTS.contains(&number) => StoreErrorKind::Conflict,
        number if MYSQL_UNAVAILABLE.contains(&number) => StoreErrorKind::Unavailable,
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

    /// The texts are those of the servers.
    #[test]
    fn what_a_failover_answers_is_a_conflict_or_the_servers_trouble_and_never_the_users() {
        use StoreErrorKind::{Conflict, Refused, Unavailable};
        let table = [
            (1213, "Deadlock found when trying to get lock; try restarting transaction", Conflict),
            (1205, "Lock wait timeout exceeded; try restarting transaction", Conflict),
            (3101, "Plugin instructed the server to rollback the current transaction.", Conflict),
            (3572, "Statement aborted because lock(s) could not be acquired immediately", Conflict),
            (1180, "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT", Conflict),
            (1180, "Got error 149 \"Lock deadlock; Retry transaction\" during COMMIT", Conflict),
            (1180, "Got error 6 \"No such device or address\" during COMMIT", Unavailable),
            (1180, "Error while appending streaming replication fragment(provider status: …)", Unavailable),
            (1047, "WSREP has not yet prepared node for application use", Unavailable),
            (1290, "The MySQL server is running with the --super-read-only option", Unavailable),
            (1792, "Cannot execute statement in a READ ONLY transaction.", Unavailable),
            (1836, "Running in read-only mode", Unavailable),
            (3100, "Error on observer while running replication hook 'before_commit'.", Unavailable),
            (3781, "Timeout exceeded for held statement while new Group Replication primary", Unavailable),
            (3796, "The option group_replication_consistency cannot be used", Unavailable),
            (3797, "Error while waiting for group transactions commit", Unavailable),
            (4094, "All queries have been blocked while function", Unavailable),
            (1114, "The table 'user_job_recommendations' is full", Refused),
            (1644, "refused by a trigger", Refused),
        ];
        for (number, message, kind) in table {
            assert_eq!(mysql_kind(number, message), kind, "{number} {message}");
        }
    }

    #[test]
    fn failures_with_the_same_text_have_the_same_cause() {
        assert_eq!(StoreError::refused("x").cause(), StoreError::unavailable("x").cause());
        assert_ne!(StoreError::refused("x").cause(), StoreError::refused("y").cause());
    }
}
