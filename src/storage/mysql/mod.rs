//! MySQL (the reference) and MariaDB from 10.6 on. Each role of [`Store`] is implemented in the file of its
//! SQL; statements are constants that can be pasted into a client.
//!
//! The fault campaign recognises the steps of the protocol by the texts of their statements (`Step::mark` in
//! `tests/chaos`).

mod address;
mod batches;
mod changes;
mod checksums;
mod cleanup;
mod fingerprint;
mod import;
mod import_statements;
mod listings;
mod marking;
mod migrations;
mod parked;
mod queue;
mod reads;
mod replace;
mod rollback;
mod run;
mod sample;
mod schedule;
mod session;
mod snapshot;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::mysql::MySqlPool;

pub use self::address::{InvalidMysqlAddress, MysqlAddress};
use self::source::SourceTables;
use crate::domain::{ListingId, ScoringRevision, UserId};
use crate::storage::{
    Connections, KnownListings, ListingRecord, Retried, SampleUser, Store, StoreError, StoreErrorKind,
};

/// The store on MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MysqlStore {
    pool: session::Pool,
    source: Arc<SourceTables>,
}

impl MysqlStore {
    /// A store that connects when it is first used; `max_connections` is the size of its pool.
    pub fn new(address: &MysqlAddress, max_connections: u32) -> Self {
        Self { pool: session::Pool::new(address.options(), max_connections), source: Arc::default() }
    }

    /// Loads sample users and listings if none of their tables has a row, and creates the tables that do not exist.
    /// Returns whether it did.
    pub async fn load_sample(
        &self,
        users: &[SampleUser],
        listings: &[ListingRecord],
    ) -> Result<bool, StoreError> {
        sample::load(self, users, listings).await
    }

    /// The listings whose checksum is not that of the known ones: of all, where a refresh looks at some. `None` if they
    /// are too many to be told. For tests and measurements.
    pub async fn compare_checksums(
        &self,
        known: &KnownListings,
    ) -> Result<Option<Vec<ListingId>>, StoreError> {
        let columns = self.source.look(&mut *self.pool.acquire().await?).await?;
        let checked = checksums::check_all(&self.pool, &columns, &known.hashes).await?;
        Ok(checked.map(|checked| checked.suspects))
    }

    /// Tries once more, with connections made now, if the first one led to a server that is gone, or that takes no writes
    /// any more: the pool does not ask connections that were used a moment ago. For reads, and for writes that may be
    /// done twice.
    async fn twice<'a, T>(
        &'a self,
        step: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match step().await {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                self.pool.renew();
                step().await
            }
            done => done,
        }
    }

    /// The pool, for tests that look at its connections.
    pub fn pool(&self) -> &MySqlPool {
        self.pool.connections()
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        migrations::migrate(&self.pool).await
    }

    async fn create_source_tables(&self) -> Result<(), StoreError> {
        migrations::create_source_tables(&mut *self.pool.acquire().await?).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&mut *self.pool.acquire().await?).await?;
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
        Connections::of(self.pool.connections())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
