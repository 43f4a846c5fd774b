//! MySQL (the reference) and MariaDB from 10.6 on.

mod analysis;
mod catalogue;
mod import;
mod list;
mod replace;
mod session;
mod state;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool};

use super::{
    Basis, CatalogueChanges, CatalogueContents, ListingRecord, Store, StoreError, StoredAnalysis, StoredList,
    UserState, Written,
};
use crate::domain::{JobListing, Recommendation, UserId};
use crate::lock::UserGuard;

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
        state::request_run(&self.pool, user).await
    }

    async fn due_users(&self, scoring_revision: i64, limit: u32) -> Result<Vec<UserId>, StoreError> {
        state::due_users(&self.pool, scoring_revision, limit).await
    }

    async fn postpone(&self, user: UserId, by: Duration) -> Result<(), StoreError> {
        state::postpone(&self.pool, user, by).await
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
