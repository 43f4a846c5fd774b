//! Connections and the settings of their sessions.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Executor, MySql, query, query_as};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::renewal::Renewal;
use crate::storage::{PROBE_LIMIT, StoreError, StoreErrorKind, within};

/// Time limit of asking a connection whether it is of use, when it is taken and when it is given back: one that hangs must
/// not keep its place in the pool. The driver sets no time-outs on its sockets, and would wait until the system gives the
/// link up.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// Time limit of a read of one user. Below that of the requests that read, so that there is time for a second try.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Time limit of a statement that writes one row: longer than it may wait for a lock.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(4);

/// What a pool's server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes writes. One that takes none any more has been replaced by another one of the same name.
    Primary,
    /// It is read only.
    Replica,
}

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

impl Pool {
    /// Connects when it is first used.
    pub(super) fn new(options: MySqlConnectOptions, max_connections: u32, role: Role) -> Self {
        let renewal = Renewal::default();
        Self { connections: connections(options, max_connections, role, renewal.clone()), renewal }
    }

    /// # Errors
    /// [`StoreErrorKind::Unavailable`], whatever the cause: the server is away, full of connections, or refuses the
    /// password.
    pub(super) async fn acquire(&self) -> Result<Session, StoreError> {
        let connection = self.connections.acquire().await.map_err(StoreError::unavailable)?;
        Ok(Session { connection, close: false })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut transaction = Transaction { session: self.acquire().await?, ended: false };
        transaction.execute("BEGIN").await.map_err(StoreError::unavailable)?;
        Ok(transaction)
    }

    /// Closes every connection that is older than this moment before it would be used again: after a failover, they
    /// still lead to the old server. New connections look the server's name up again.
    pub(super) fn renew(&self) {
        self.renewal.renew();
    }

    /// A step with a time limit: a server that is gone without a word leaves its connections silent. They are renewed,
    /// as by [`Pool::renew`].
    ///
    /// # Errors
    /// Those of the step; [`StoreErrorKind::Unavailable`] after the limit. A write may still be committed then.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(limit, step).await.unwrap_or_else(|_| {
            self.renewal.renew_for_silence();
            Err(StoreError::no_answer(limit))
        })
    }

    /// Tries once more, with connections made now, if the first one is silent for `patience`, leads to a server that is
    /// gone, or to one that takes no writes any more; and once more after a conflict. For reads, and for writes that may
    /// be done twice. The second try has the time that its caller has.
    pub(super) async fn twice<'a, T>(
        &self,
        patience: Duration,
        step: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(patience, step()).await {
            Err(_) => self.renewal.renew_for_silence(),
            Ok(Err(error)) if error.kind() == StoreErrorKind::Unavailable => self.renew(),
            Ok(Err(error)) if error.kind() == StoreErrorKind::Conflict => {}
            Ok(done) => return done,
        }
        step().await
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }

    /// The pool as the driver knows it.
    pub(super) fn connections(&self) -> &MySqlPool {
        &self.connections
    }
}

/// Names the server that executes the statement, as [`UserState::server`](crate::storage::UserState::server).
macro_rules! this_server {
    () => {
        "CONCAT_WS('/', @@hostname, @@port, @@server_id)"
    };
}
pub(super) use this_server;

/// The rows of a user are read as one text, which by default ends after 1 KiB.
const SETTINGS: &str = r"
SET SESSION wait_timeout = 20, innodb_lock_wait_timeout = 3, group_concat_max_len = 16777216
";

fn connections(
    options: MySqlConnectOptions,
    max_connections: u32,
    role: Role,
    renewal: Renewal,
) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        // Below wait_timeout, so that the pool never hands out a connection that the server has ended.
        .idle_timeout(Duration::from_secs(12))
        // A name that leads to another server by now is noticed, even if the old one goes on answering.
        .max_lifetime(Duration::from_secs(60))
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute(SETTINGS).await?;
                Ok(())
            })
        })
        .before_acquire(move |connection, metadata| {
            let renewal = renewal.clone();
            Box::pin(async move {
                if renewal.is_before(metadata.age) {
                    return Ok(false);
                }
                if !renewal.asks(metadata.idle_for) {
                    return Ok(true);
                }
                let usable = timeout(CHECK_LIMIT, is_usable(connection, role)).await.unwrap_or(Ok(false));
                if !matches!(usable, Ok(true)) {
                    renewal.renew_for_silence();
                }
                usable
            })
        })
        .connect_lazy_with(options)
}

/// An old primary that lives on as a replica answers as before. The variable is a number, or a word (MariaDB 12).
const IS_READ_ONLY: &str = r"
SELECT CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF')
";

/// Whether the server answers, and still has its role.
async fn is_usable(connection: &mut MySqlConnection, role: Role) -> Result<bool, sqlx::Error> {
    if role == Role::Replica {
        return connection.ping().await.map(|()| true);
    }
    let (read_only,): (i64,) = query_as(IS_READ_ONLY).fetch_one(connection).await?;
    Ok(read_only == 0)
}

/// A connection of the pool, until this is dropped. The driver asks a connection whether it still lives before it goes back
/// to the pool; here that question has a time limit. One that is silent, perhaps in the middle of a statement whose caller
/// has gone, is closed.
pub(super) struct Session {
    connection: PoolConnection<MySql>,
    close: bool,
}

impl Session {
    /// Has the connection closed when this is dropped.
    pub(super) fn close_on_drop(&mut self) {
        self.close = true;
    }
}

impl Deref for Session {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.close {
            self.connection.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            // As the connection does when it is dropped, but for the limit.
            let give_back = self.connection.return_to_pool();
            runtime.spawn(timeout(CHECK_LIMIT, give_back));
        }
    }
}

/// A transaction, from its `BEGIN` on. Unless it has been committed or rolled back, its connection is closed when this is
/// dropped, and the server rolls back: in the pool, a `BEGIN` whose caller has gone (sqlx's own transactions can leave
/// one) would make later statements report success and be lost.
pub(super) struct Transaction {
    session: Session,
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
        &self.session
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.session
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.session.close_on_drop();
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
