//! Connections and the settings of their sessions.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Executor, MySql, query};

use crate::storage::{PROBE_LIMIT, StoreError, within};

/// A connection that was used so recently is handed out without asking whether it still lives. Under load that saves a
/// round trip per statement; a server that is gone is noticed by the statement.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// Short, because the connections made at once after a failure may still lead to the old server.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// The pool. Its connections are READ COMMITTED (replacements of neighbouring users deadlock under MySQL's
/// default), give up on a row lock after 3 s, and are ended by the server after 20 s of silence: a process
/// that is stopped inside its transaction would otherwise hold the user's row for 8 hours.
///
/// It is no executor of statements: whatever goes wrong while a connection is taken is the server's fault, and
/// every caller can tell that from the refusal of a statement.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connections: MySqlPool,
    renewal: Renewal,
}

/// When connections were last found useless. Those that are older are closed instead of being handed out.
type Renewal = Arc<Mutex<Option<Instant>>>;

impl Pool {
    /// Connects when it is first used.
    pub(super) fn new(options: MySqlConnectOptions, max_connections: u32) -> Self {
        let renewal = Renewal::default();
        Self { connections: connections(options, max_connections, renewal.clone()), renewal }
    }

    /// # Errors
    /// [`StoreErrorKind::Unavailable`](crate::storage::StoreErrorKind::Unavailable), whatever the cause: the server
    /// is away, full of connections, or refuses the password.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<MySql>, StoreError> {
        self.connections.acquire().await.map_err(StoreError::unavailable)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut transaction = Transaction { connection: self.acquire().await?, ended: false };
        transaction.execute("BEGIN").await.map_err(StoreError::unavailable)?;
        Ok(transaction)
    }

    /// Closes every connection that is older than this moment before it would be used again: after a failover, they
    /// still lead to the old server. New connections look the server's name up again.
    pub(super) fn renew(&self) {
        let mut renewed = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_none_or(|renewed| renewed.elapsed() >= RENEWED_AT_MOST_EVERY) {
            *renewed = Some(Instant::now());
        }
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }

    /// The pool as the driver knows it.
    pub(super) fn connections(&self) -> &MySqlPool {
        &self.connections
    }
}

/// The rows of a user are read as one text, which by default ends after 1 KiB.
const SETTINGS: &str = r"
SET SESSION wait_timeout = 20, innodb_lock_wait_timeout = 3, group_concat_max_len = 16777216
";

fn connections(options: MySqlConnectOptions, max_connections: u32, renewal: Renewal) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        // Below wait_timeout, so that the pool never hands out a connection that the server has ended.
        .idle_timeout(Duration::from_secs(12))
        // A name that leads to another server by now is noticed, even if the old one goes on answering.
        .max_lifetime(Duration::from_secs(300))
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute(SETTINGS).await?;
                Ok(())
            })
        })
        .before_acquire(move |connection, metadata| {
            let renewed = *renewal.lock().unwrap_or_else(PoisonError::into_inner);
            Box::pin(async move {
                if renewed.is_some_and(|renewed| renewed.elapsed() < metadata.age) {
                    return Ok(false);
                }
                if metadata.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// A transaction, from its `BEGIN` on. Unless it has been committed or rolled back, its connection is closed when this is
/// dropped, and the server rolls back: in the pool, a `BEGIN` whose caller has gone (sqlx's own transactions can leave
/// one) would make later statements report success and be lost.
pub(super) struct Transaction {
    connection: PoolConnection<MySql>,
    ended: bool,
}

impl Transaction {
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.execute("COMMIT").await?;
        self.ended = true;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), StoreError> {
        self.execute("ROLLBACK").await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
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
