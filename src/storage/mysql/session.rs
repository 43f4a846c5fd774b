//! Connections and what every one of them is set to.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{Connection, Executor, query};

use super::super::StoreError;

/// A pool whose connections are READ COMMITTED (neighbouring users' replacements deadlock under MySQL's
/// default), give up on a row lock after 3 s, and are ended by the server after 20 s of silence: a process
/// that is stopped inside its transaction would otherwise hold the user's row for 8 hours.
///
/// A `begin` whose future is dropped at the wrong moment hands its connection back with an open
/// transaction; statements after it would report success and be lost. Hence the `ROLLBACK` at every
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
                    // The driver knows of a transaction that was never ended; its own book-keeping would
                    // turn the next BEGIN into a savepoint.
                    return Ok(false);
                }
                connection.execute("ROLLBACK").await?;
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// Applies the migrations, one instance at a time. The lock that the migrator takes itself waits for ever,
/// which MariaDB takes for "not at all".
pub(super) async fn migrate(pool: &MySqlPool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    lock_schema(&mut connection).await?;
    let migrated = migrator().run_direct(None, &mut *connection, false).await;
    unlock_schema(&mut connection).await?;
    Ok(migrated?)
}

/// Waits up to 60 s for other instances that migrate or load the sample.
pub(super) async fn lock_schema(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    query("DO GET_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)), 60)").execute(connection).await?;
    Ok(())
}

/// Ends [`lock_schema`].
pub(super) async fn unlock_schema(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    query("DO RELEASE_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)))").execute(connection).await?;
    Ok(())
}

/// Of two versions that run side by side, the older one meets migrations that it does not know. They only
/// add: what it uses stays.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/mysql");
    migrator.set_ignore_missing(true);
    migrator
}
