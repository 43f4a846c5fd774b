//! The database, as whole operations: each is one statement or one transaction, and no transaction ever
//! leaves this room. All SQL is in [`mysql`] and [`sqlite`], which implement the same traits: one per kind of
//! client, and [`Store`] for all of them. `tests/it/store.rs` and `tests/it/state_machine.rs` hold every
//! database to the same behaviour.
//!
//! # Errors
//! Every operation fails with a [`StoreError`], whose kind says what the caller can do about it. An operation
//! that fails has written nothing, unless the answer to its commit was lost: then it may have written
//! everything.

mod batches;
mod checksum;
mod content;
mod diff;
mod error;
mod known_listings;
mod listings;
pub mod mysql;
mod queue;
mod reads;
mod rows;
mod run;
mod sample;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{ScoringRevision, UserId};

pub use batches::{
    BatchScope, BatchStatus, BatchStore, CleanedUp, ListingJob, Marking, Occurrence, OpenedBatch,
    ScheduledJob, UnseenListings,
};
pub use error::{StoreError, StoreErrorKind};
pub use known_listings::{CatalogueChanges, KnownListings};
pub use listings::{ListingRecord, ListingStore};
pub use mysql::{InvalidMysqlAddress, MysqlAddress, MysqlStore};
pub use queue::{DueUser, GiveBack, Lease, QueueStore, WorkError};
pub use reads::{
    ParkedUser, QueueCounts, ReadReplica, ReadStore, StoredList, StoredRecommendation, UserStatus,
};
pub use run::{
    Basis, CareerAnalysis, Confirmation, LockedBasis, MAX_CAREERS, ProfileAnalysis, RecordedState,
    Replacement, RowChanges, RowsFingerprint, RunStore, Snapshot, StateToken, StoredAnalysis, StoredCareer,
    StoredRow, UserState, Write, Written,
};
pub use sample::{SampleAnalysis, SampleCareer, SampleProfile, SampleUser};
pub use sqlite::SqliteStore;

/// A database: the storage of all clients, and the operations for start, stop and operators.
#[async_trait]
pub trait Store: RunStore + QueueStore + BatchStore + ListingStore + ReadStore + 'static {
    /// Brings the schema up to date. Safe to call from several instances at the same time.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Creates the tables of other services that do not exist, for demonstrations and tests; an embedded database
    /// has them all. Safe as [`Store::migrate`].
    async fn create_source_tables(&self) -> Result<(), StoreError>;

    /// Succeeds if the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Lets this scoring replace the lists that newer ones have calculated, for the next users after this
    /// one, or the first ones: for an operator who has gone back to an older version. Returns the last user
    /// of this step; `None`: there are no more.
    async fn lower_scoring(
        &self,
        scoring_revision: ScoringRevision,
        after: Option<UserId>,
    ) -> Result<Option<UserId>, StoreError>;

    /// Makes the next parked users after this one, or the first ones, due with all attempts left: all of them, or
    /// those whose last failure has this code. `None`: there are no more.
    async fn retry_parked(
        &self,
        code: Option<&str>,
        after: Option<UserId>,
    ) -> Result<Option<Retried>, StoreError>;

    /// The connections of this process at the moment.
    fn connections(&self) -> Connections;

    /// The replica that reads are sent to, if there is one.
    fn read_replica(&self) -> Option<ReadReplica> {
        None
    }

    /// Closes all connections.
    async fn close(&self);
}

/// The answer to [`Store::retry_parked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retried {
    /// The last user of this step: the next step starts after it.
    pub through: UserId,
    /// Users that were parked and are due now.
    pub users: u64,
}

/// The use of a pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open, and waiting for work.
    pub idle: u32,
    /// Open, and at work.
    pub in_use: u32,
    /// Most that may be open.
    pub max: u32,
}

/// Time limit of one step on the queue or on a batch, and of the first write of a run.
pub const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Time limit of [`RunStore::probe`]: one small write. A database that takes longer is in trouble.
pub const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Runs a step with a time limit: a database that accepts connections but never answers must not block the
/// caller. A write may still be committed after the limit.
///
/// # Errors
/// [`StoreErrorKind::Unavailable`] after the limit, else the error of the step.
pub async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(StoreError::no_answer(limit)))
}
