//! Connections and the settings of their sessions.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{Connection, Executor, query};

use crate::storage::StoreError;

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

/// Applies the migrations, one instance at a time. The migrator's own lock has an endless timeout, which
/// MariaDB reads as no waiting at all.
pub(super) async fn migrate(pool: &MySqlPool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    lock_start(&mut connection).await?;
    let migrated = migrator().run_direct(None, &mut *connection, false).await;
    unlock_start(&mut connection).await?;
    Ok(migrated?)
}

/// Waits up to 60 s for other instances that migrate, or load the sample.
pub(super) async fn lock_start(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    query("DO GET_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)), 60)").execute(connection).await?;
    Ok(())
}

/// Releases what [`lock_start`] has taken.
pub(super) async fn unlock_start(connection: &mut MySqlConnection) -> Result<(), StoreError> {
    query("DO RELEASE_LOCK(CONCAT('job-agent-', LEFT(DATABASE(), 50)))").execute(connection).await?;
    Ok(())
}

/// Of two versions that run side by side, the older one finds migrations that it does not know. Migrations
/// only add tables and columns: those that it uses stay.
fn migrator() -> Migrator {
    let mut migrator = sqlx_macros::migrate!("migrations/mysql");
    migrator.set_ignore_missing(true);
    migrator
}
