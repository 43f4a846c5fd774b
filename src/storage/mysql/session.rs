//! Connections and the settings of their sessions.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{Connection, Executor};

/// A pool whose connections are READ COMMITTED (replacements of neighbouring users deadlock under MySQL's
/// default), give up on a row lock after 3 s, and are ended by the server after 20 s of silence: a process
/// that is stopped inside its transaction would otherwise hold the user's row for 8 hours.
///
/// If the future of a `begin` is dropped at the wrong moment, its connection returns to the pool with an open
/// transaction; later statements on it would report success and be lost. Hence the `ROLLBACK` at every
/// check-out, which is also the liveness test.
pub(super) fn pool(options: MySqlConnectOptions, max_connections: u32) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        // Below wait_timeout, so that the pool never hands out a connection that the server has ended.
        .idle_timeout(Duration::from_secs(12))
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                connection.execute("SET SESSION wait_timeout = 20, innodb_lock_wait_timeout = 3").await?;
                Ok(())
            })
        })
        .before_acquire(|connection, _| {
            Box::pin(async move {
                if connection.is_in_transaction() {
                    // The driver knows of a transaction that was never ended. It would make the next BEGIN a
                    // savepoint.
                    return Ok(false);
                }
                connection.execute("ROLLBACK").await?;
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}
