//! The pool of connections.
//!
//! The driver has a pool, too. It asks a connection whether it still lives each time it is given back: one more message
//! and its answer for each statement. Here a connection that has answered everything goes back as it is.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult, WeakPool};
use futures::future::{BoxFuture, join_all};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Connection, query_as};
use tokio::time::{sleep, timeout};

use super::renewal::Renewal;
use super::session::{Session, Transaction, set_up};
use crate::storage::{Connections, StoreError, StoreErrorKind};

/// How long a caller waits for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);

/// The pause after a server has refused a connection, which each further refusal doubles: it may just be starting.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Below the `wait_timeout` of sessions, so that no connection is used that the server has ended.
const MAX_IDLE: Duration = Duration::from_secs(12);

/// A name that leads to another server by now is noticed, even if the old one goes on answering.
const MAX_AGE: Duration = Duration::from_secs(60);

/// So often, connections that have had their time are closed.
const CLOSED_EVERY: Duration = Duration::from_secs(2);

/// Time limit of asking a connection whether it is of use, and of closing it: one that hangs must not keep its place in
/// the pool. The driver sets no time-outs on its sockets, and would wait until the system gives the link up.
pub(super) const CHECK_LIMIT: Duration = Duration::from_secs(1);

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
#[derive(Clone)]
pub(super) struct Pool {
    connections: managed::Pool<Connector>,
    renewal: Renewal,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.connections.status()).finish()
    }
}

impl Pool {
    /// Connects when it is first used.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub(super) fn new(options: MySqlConnectOptions, max_connections: u32, role: Role) -> Self {
        let renewal = Renewal::default();
        let connector = Connector { options, role, renewal: renewal.clone() };
        let connections = managed::Pool::builder(connector)
            .max_size(max_connections as usize)
            // The one that was used last: the server's thread for it still has its data at hand. Those that are not needed
            // are closed after some time.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("only time-outs of the pool need more settings");
        tokio::spawn(close_used_up(connections.weak()));
        Self { connections, renewal }
    }

    /// # Errors
    /// [`StoreErrorKind::Unavailable`], whatever the cause: the server is away, full of connections, or refuses the
    /// password.
    pub(super) async fn acquire(&self) -> Result<Session, StoreError> {
        match timeout(ACQUIRE_LIMIT, self.connections.get()).await {
            Ok(Ok(connection)) => Ok(Session::new(connection)),
            Ok(Err(PoolError::Backend(error))) => Err(StoreError::unavailable(error)),
            Ok(Err(error)) => Err(StoreError::unavailable(error)),
            Err(_) => Err(StoreError::unavailable(format!("no connection within {ACQUIRE_LIMIT:?}"))),
        }
    }

    /// Does a step of statements that commit by themselves, and gives the connection back as it is once they are answered.
    ///
    /// # Errors
    /// As [`Pool::acquire`], and those of the step.
    pub(super) async fn with_connection<T>(
        &self,
        step: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut session = self.acquire().await?;
        let done = step(&mut session).await?;
        session.give_back();
        Ok(done)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(self.acquire().await?).await
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

    /// Closes all connections; those in use, when they are given back.
    pub(super) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        join_all(idle.into_iter().map(close)).await;
    }

    pub(super) fn counts(&self) -> Connections {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let status = self.connections.status();
        Connections {
            idle: count(status.available),
            in_use: count(status.size - status.available),
            max: count(status.max_size),
        }
    }
}

/// Closes connections that have had their time, as long as there is the pool.
async fn close_used_up(pool: WeakPool<Connector>) {
    loop {
        sleep(CLOSED_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        let used_up = pool.retain(|_, metrics| !is_used_up(&metrics)).removed;
        join_all(used_up.into_iter().map(close)).await;
    }
}

fn is_used_up(metrics: &Metrics) -> bool {
    metrics.last_used() > MAX_IDLE || metrics.age() > MAX_AGE
}

/// Takes leave of the server.
pub(super) async fn close(connection: MySqlConnection) {
    // The socket is closed, whether the server answers or not.
    let _ = timeout(CHECK_LIMIT, connection.close()).await;
}

/// A connection of the pool, which goes back when it is dropped.
pub(super) type Pooled = Object<Connector>;

/// Makes connections, and tells which are still of use.
#[derive(Debug)]
pub(super) struct Connector {
    options: MySqlConnectOptions,
    role: Role,
    renewal: Renewal,
}

impl managed::Manager for Connector {
    type Type = MySqlConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut pause = FIRST_PAUSE;
        let mut connection = loop {
            match self.options.connect().await {
                Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                connection => break connection?,
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(2 * pause);
        };
        set_up(&mut connection).await?;
        Ok(connection)
    }

    async fn recycle(
        &self,
        connection: &mut MySqlConnection,
        metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        if is_used_up(metrics) || self.renewal.is_before(metrics.age()) {
            return Err(RecycleError::message("has had its time"));
        }
        if !self.renewal.asks(metrics.last_used()) {
            return Ok(());
        }
        match timeout(CHECK_LIMIT, is_usable(connection, self.role)).await {
            Ok(Ok(true)) => Ok(()),
            _ => {
                self.renewal.renew_for_silence();
                Err(RecycleError::message("of no use"))
            }
        }
    }
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
