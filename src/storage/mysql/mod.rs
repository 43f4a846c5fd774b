//! MySQL (the reference) and MariaDB from 10.6 on. Each role of [`Store`] is implemented in the file of its
//! SQL; statements are constants that can be pasted into a client.
//!
//! The fault campaign recognises the steps of the protocol by the texts of their statements (`Step::mark` in
//! `tests/chaos`).

mod address;
mod batches;
mod changes;
mod cleanup;
mod fingerprint;
mod listings;
mod marking;
mod queue;
mod reads;
mod replace;
mod rollback;
mod run;
mod sample;
mod schedule;
mod session;

use async_trait::async_trait;
use sqlx::mysql::MySqlPool;

pub use self::address::{InvalidMysqlAddress, MysqlAddress};
use crate::domain::{ScoringRevision, UserId};
use crate::storage::{Connections, ListingRecord, SampleUser, Store, StoreError};

/// The store on MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MysqlStore {
    pool: MySqlPool,
}

impl MysqlStore {
    /// A store that connects when it is first used; `max_connections` is the size of its pool.
    pub fn new(address: &MysqlAddress, max_connections: u32) -> Self {
        Self { pool: session::pool(address.options(), max_connections) }
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

    async fn lower_scoring(
        &self,
        scoring_revision: ScoringRevision,
        after: Option<UserId>,
    ) -> Result<Option<UserId>, StoreError> {
        rollback::lower_scoring(&self.pool, scoring_revision, after).await
    }

    fn connections(&self) -> Connections {
        Connections::of(&self.pool)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
