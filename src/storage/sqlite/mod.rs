//! The embedded default: one SQLite file, one process. Each role of [`Store`] is implemented in the file of
//! its SQL; statements are constants that can be pasted into a client.

mod batches;
mod cleanup;
mod fingerprint;
mod listings;
mod marking;
mod parked;
mod queue;
mod reads;
mod replace;
mod rollback;
mod run;
mod sample;
mod schedule;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::domain::{ScoringRevision, UserId};
use crate::storage::{Connections, ListingRecord, Retried, SampleUser, Store, StoreError};

/// The store on an embedded SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// A store on the file at `path`, created when it is first used.
    pub fn new(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged trigger survives a power cut, too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(3));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Loads sample users and listings if none of their tables has a row. Returns whether it did.
    pub async fn load_sample(
        &self,
        users: &[SampleUser],
        listings: &[ListingRecord],
    ) -> Result<bool, StoreError> {
        sample::load(&self.pool, users, listings).await
    }

    /// The pool, for tests that look at its connections.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(sqlx_macros::migrate!("migrations/sqlite").run(&self.pool).await?)
    }

    async fn create_source_tables(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn lower_scoring(
        &self,
        scoring_revision: ScoringRevision,
        after: Option<UserId>,
    ) -> Result<Option<UserId>, StoreError> {
        rollback::lower_scoring(&self.pool, scoring_revision, after).await
    }

    async fn retry_parked(
        &self,
        code: Option<&str>,
        after: Option<UserId>,
    ) -> Result<Option<Retried>, StoreError> {
        parked::retry(&self.pool, code, after).await
    }

    fn connections(&self) -> Connections {
        let open = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(open).min(open);
        Connections { idle, in_use: open - idle, max: self.pool.options().get_max_connections() }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// A time as this database stores it: fixed width, so that texts compare as times do.
fn time_text(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A modifier of SQLite's clock that adds a duration.
fn later_by(duration: Duration) -> String {
    format!("+{:.3} seconds", duration.as_secs_f64())
}
