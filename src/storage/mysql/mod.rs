//! MySQL (the reference) and MariaDB from 10.6 on. Each role of [`Store`] is implemented in the file of its
//! SQL; statements are constants that can be pasted into a client.
//!
//! The fault campaign recognises the steps of the protocol by the texts of their statements (`Step::mark` in
//! `tests/chaos`).

mod address;
mod asked;
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
mod pool;
mod queue;
mod reads;
mod renewal;
mod replace;
mod replace_together;
mod replica;
mod rollback;
mod run;
mod sample;
mod schedule;
mod session;
mod snapshot;
mod source;

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::MySqlConnection;

pub use self::address::{InvalidMysqlAddress, MysqlAddress};
use self::pool::{Pool, Role};
use self::reads::Lists;
use self::replica::Replica;
use self::source::SourceTables;
use crate::domain::{ListingId, ScoringRevision, UserId};
use crate::grouping::Grouping;
use crate::storage::{
    Connections, KnownListings, ListingRecord, ReadReplica, Retried, SampleUser, Store, StoreError,
};

/// The store on MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct MysqlStore {
    pool: Pool,
    source: Arc<SourceTables>,
    lists: Grouping<Lists>,
    replica: Option<Replica>,
}

/// Statements that read lists at the same time, each of them one or several.
const GROUPS_OF_LISTS: usize = 2;

impl MysqlStore {
    /// A store that connects when it is first used; `max_connections` is the size of its pool.
    pub fn new(address: &MysqlAddress, max_connections: u32) -> Self {
        let pool = Pool::new(address.options(), max_connections, Role::Primary);
        let source = Arc::default();
        let lists = Grouping::new(Lists::new(&pool, &source), GROUPS_OF_LISTS);
        Self { pool, source, lists, replica: None }
    }

    /// Reads lists and states of users on a replica at this address, with as many connections, unless it is behind for
    /// the user: it is waited for so long, and then the primary is read.
    pub fn reading_from(mut self, address: &MysqlAddress, wait: Duration) -> Self {
        self.replica = Some(Replica::new(address, self.pool.counts().max, wait));
        self
    }

    /// Finds out, and logs, whether the replica is of use.
    pub async fn check_replica(&self) {
        if let Some(replica) = &self.replica {
            replica.check().await;
        }
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
        let columns = self.columns().await?;
        let checked = checksums::check_all(&self.pool, &columns, &known.hashes).await?;
        Ok(checked.map(|checked| checked.suspects))
    }

    /// A connection of the pool, for tests that look at the settings of its session.
    ///
    /// # Errors
    /// None can be had.
    pub async fn connection(&self) -> Result<impl DerefMut<Target = MySqlConnection>, StoreError> {
        self.pool.acquire().await
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
        let ping = sqlx::query("SELECT 1");
        self.pool.with_connection(async |connection| Ok(ping.execute(connection).await?)).await?;
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
        self.pool.counts()
    }

    fn read_replica(&self) -> Option<ReadReplica> {
        self.replica.as_ref().map(Replica::counts)
    }

    async fn close(&self) {
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.pool.close().await;
    }
}
