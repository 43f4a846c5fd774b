//! MySQL (the reference) and MariaDB from 10.6 on.

mod analysis;
mod batch;
mod catalogue;
mod cleanup;
mod import;
mod list;
mod queue;
mod replace;
mod sample;
mod session;
mod state;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool};

use super::{
    Basis, BatchScope, BatchStatus, CatalogueChanges, CatalogueContents, CleanedUp, DueUser, GiveBack, Lane,
    Lease, ListingRecord, Marking, Occurrence, OpenedBatch, QueueCounts, SampleUser, ScheduledJob, Store,
    StoreError, StoredAnalysis, StoredList, UserState, UserStatus, Written,
};
use crate::coordination::UserGuard;
use crate::domain::{JobListing, Recommendation, UserId};

/// The store on MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MysqlStore {
    pool: MySqlPool,
}

impl MysqlStore {
    /// A store that connects when it is first used; `max_connections` is the size of its pool.
    pub fn new(options: MySqlConnectOptions, max_connections: u32) -> Self {
        Self { pool: session::pool(options, max_connections) }
    }

    /// Loads sample users and listings if none of their tables has a row; returns whether it did.
    pub async fn load_sample(
        &self,
        users: &[SampleUser],
        listings: &[ListingRecord],
    ) -> Result<bool, StoreError> {
        sample::load(&self.pool, users, listings).await
    }

    /// The pool, for tests that look at its connections.
    pub fn pool(&self) -> &MySqlPool {
        &self.pool
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        session::migrate(&self.pool).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn user_state(&self, user: UserId) -> Result<UserState, StoreError> {
        state::read(&self.pool, user).await
    }

    async fn analysis(&self, user: UserId) -> Result<StoredAnalysis, StoreError> {
        analysis::read(&self.pool, user).await
    }

    async fn replace(
        &self,
        _: &UserGuard,
        basis: &Basis,
        rows: &[Recommendation],
        digest: &str,
    ) -> Result<Written, StoreError> {
        replace::replace(&self.pool, basis, rows, digest).await
    }

    async fn confirm(&self, _: &UserGuard, basis: &Basis) -> Result<Written, StoreError> {
        state::confirm(&self.pool, basis).await
    }

    async fn request_run(&self, user: UserId) -> Result<i64, StoreError> {
        queue::request_run(&self.pool, user).await
    }

    async fn due_users(
        &self,
        lane: Lane,
        scoring_revision: i64,
        limit: u32,
    ) -> Result<Vec<DueUser>, StoreError> {
        queue::due_users(&self.pool, lane, scoring_revision, limit).await
    }

    async fn claim(&self, due: &DueUser, lease: &Lease, scoring_revision: i64) -> Result<bool, StoreError> {
        queue::claim(&self.pool, due, lease, scoring_revision).await
    }

    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError> {
        queue::give_back(&self.pool, due, token, how).await
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        queue::user_status(&self.pool, user).await
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        queue::counts(&self.pool).await
    }

    async fn open_batch(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
        batch::open(&self.pool, scope).await
    }

    async fn mark_batch(&self, batch: i64) -> Result<Marking, StoreError> {
        batch::mark(&self.pool, batch).await
    }

    async fn finish_batch(&self, batch: i64) -> Result<bool, StoreError> {
        batch::finish(&self.pool, batch).await
    }

    async fn running_batch(&self) -> Result<Option<i64>, StoreError> {
        batch::running(&self.pool).await
    }

    async fn latest_batch(&self) -> Result<Option<BatchStatus>, StoreError> {
        batch::latest(&self.pool).await
    }

    async fn begin_occurrence(
        &self,
        job: ScheduledJob,
        occurrence: DateTime<Utc>,
    ) -> Result<Occurrence, StoreError> {
        batch::begin_occurrence(&self.pool, job, occurrence).await
    }

    async fn clean_up(
        &self,
        after: i64,
        unverified_since: Option<DateTime<Utc>>,
    ) -> Result<Option<CleanedUp>, StoreError> {
        cleanup::next_users(&self.pool, after, unverified_since).await
    }

    async fn lower_scoring(&self, scoring_revision: i64, after: i64) -> Result<Option<i64>, StoreError> {
        state::lower_scoring(&self.pool, scoring_revision, after).await
    }

    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        queue::now(&self.pool).await
    }

    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        list::read(&self.pool, user, limit, min_score).await
    }

    async fn read_catalogue(
        &self,
        contents: &mut CatalogueContents,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<(), StoreError> {
        catalogue::read_all(&self.pool, contents, sink).await
    }

    async fn read_catalogue_changes(
        &self,
        contents: &mut CatalogueContents,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        catalogue::read_changes(&self.pool, contents).await
    }

    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError> {
        import::listings(&self.pool, listings).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
