//! A connection in use, the settings of its session, and transactions.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool::managed::Object;
use sqlx::mysql::MySqlConnection;
use sqlx::{Connection, Executor, Row, query};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pool::{CHECK_LIMIT, Pool, Pooled, close};
use crate::storage::{PROBE_LIMIT, StoreError, within};

/// Time limit of a read of one user. Below that of the requests that read, so that there is time for a second try.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Time limit of a statement that writes one row: longer than it may wait for a lock.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(4);

/// The rows of a user are read as one text, which by default ends after 1 KiB.
const SETTINGS: &str = r"
SET SESSION wait_timeout = 20, innodb_lock_wait_timeout = 3, group_concat_max_len = 16777216
";

/// `ON` for a node of a Galera cluster; no row for a server that knows of no Galera.
const IS_GALERA_NODE: &str = r"
SHOW VARIABLES LIKE 'wsrep_on'
";

/// Sets up the session of a new connection.
pub(super) async fn set_up(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    connection.execute(SETTINGS).await?;
    let row = connection.fetch_optional(IS_GALERA_NODE).await?;
    let is_on: Option<String> = row.map(|row| row.try_get(1)).transpose()?;
    if is_on.is_some_and(|is_on| is_on == "ON") {
        // A node may show less than another one has answered, until it is told to wait for that: a run would find the list
        // of an older profile current.
        connection.execute("SET SESSION wsrep_sync_wait = 1").await?;
    }
    Ok(())
}

/// Names the server that executes the statement, as [`UserState::server`](crate::storage::UserState::server).
macro_rules! this_server {
    () => {
        "CONCAT_WS('/', @@hostname, @@port, @@server_id)"
    };
}
pub(super) use this_server;

/// What becomes of a connection that is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterUse {
    /// It may be silent, perhaps in the middle of a statement whose caller has gone: it goes back to the pool once it has
    /// answered, or is closed.
    Ask,
    /// It goes back to the pool.
    Keep,
    Close,
}

/// A connection of the pool, until this is dropped.
pub(super) struct Session {
    /// Until this is dropped.
    connection: Option<Pooled>,
    after_use: AfterUse,
}

impl Session {
    pub(super) fn new(connection: Pooled) -> Self {
        Self { connection: Some(connection), after_use: AfterUse::Ask }
    }

    /// Has the connection closed when this is dropped.
    pub(super) fn close_on_drop(&mut self) {
        self.after_use = AfterUse::Close;
    }

    /// Gives the connection back as it is, for it has answered every statement. One that is only dropped is asked first.
    pub(super) fn give_back(mut self) {
        self.after_use = AfterUse::Keep;
    }
}

const HELD: &str = "a session has its connection until it is dropped";

impl Deref for Session {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.connection.as_ref().expect(HELD)
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.connection.as_mut().expect(HELD)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match (self.after_use, Handle::try_current()) {
            (AfterUse::Keep, _) => {}
            (AfterUse::Ask, Ok(runtime)) => drop(runtime.spawn(ask(connection))),
            (AfterUse::Close, Ok(runtime)) => drop(runtime.spawn(close(Object::take(connection)))),
            // The socket is closed without a word.
            (AfterUse::Ask | AfterUse::Close, Err(_)) => drop(Object::take(connection)),
        }
    }
}

async fn ask(mut connection: Pooled) {
    if !matches!(timeout(CHECK_LIMIT, connection.ping()).await, Ok(Ok(()))) {
        close(Object::take(connection)).await;
    }
}

/// A transaction, from its `BEGIN` on. Unless it has been committed or rolled back, its connection is closed when this is
/// dropped, and the server rolls back: in the pool, a `BEGIN` whose caller has gone (sqlx's own transactions can leave
/// one) would make later statements report success and be lost.
pub(super) struct Transaction {
    session: Session,
}

impl Transaction {
    /// # Errors
    /// [`StoreErrorKind::Unavailable`](crate::storage::StoreErrorKind::Unavailable).
    pub(super) async fn begin(mut session: Session) -> Result<Self, StoreError> {
        session.close_on_drop();
        session.execute("BEGIN").await.map_err(StoreError::unavailable)?;
        Ok(Self { session })
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.execute("COMMIT").await?;
        self.session.give_back();
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), StoreError> {
        self.execute("ROLLBACK").await?;
        self.session.give_back();
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.session
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.session
    }
}

const PROBE: &str = r"
INSERT INTO scheduled_jobs (name, last_occurrence) VALUES ('probe', UTC_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE last_occurrence = UTC_TIMESTAMP(6)
";

/// Writes and commits a row that no job has. If the server refuses, the pool is renewed: a connection to another
/// server may do better.
pub(super) async fn probe(pool: &Pool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let written = within(PROBE_LIMIT, async { Ok(query(PROBE).execute(&mut *connection).await?) }).await;
    if written.is_err() {
        connection.close_on_drop();
        pool.renew();
    }
    written.map(drop)
}
