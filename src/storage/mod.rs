//! The database, as whole operations: each method of [`Store`] is one statement or one transaction, and
//! no transaction ever leaves this module. All SQL lives in [`mysql`] and [`sqlite`].

mod contents;
mod diff;
mod error;
pub mod mysql;
mod rows;
mod sample;
pub mod sqlite;
mod work;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::coordination::UserGuard;
use crate::domain::{JobListing, ListingId, Recommendation, UserId};

pub use contents::{CatalogueChanges, CatalogueContents};
pub use error::StoreError;
pub use mysql::MysqlStore;
pub use sample::{SampleAnalysis, SampleCareer, SampleProfile, SampleUser};
pub use sqlite::SqliteStore;
pub use work::{
    BatchScope, BatchStatus, CleanedUp, DueUser, GiveBack, Lane, Lease, Marking, Occurrence, OpenedBatch,
    QueueCounts, ScheduledJob, UserStatus, WorkError,
};

/// What every backend can do. One conformance suite (`tests/store.rs`) runs against all of them.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the schema up to date. Safe to call from several instances at once.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The user's state row and a fingerprint of the stored rows, read in one statement.
    async fn user_state(&self, user: UserId) -> Result<UserState, StoreError>;

    /// The user's analyses as stored, in whatever form other services wrote them.
    async fn analysis(&self, user: UserId) -> Result<StoredAnalysis, StoreError>;

    /// Replaces the user's rows by the difference to `rows`, in one transaction that first compares the
    /// state's token and bumps its version. Takes the user's guard as proof that the caller holds the lock
    /// (or knows that there is none to be had). `digest` stands for `rows` in later comparisons.
    async fn replace(
        &self,
        guard: &UserGuard,
        basis: &Basis,
        rows: &[Recommendation],
        digest: &str,
    ) -> Result<Written, StoreError>;

    /// Records that the stored rows were found to be what the newest inputs give, unless they have been
    /// replaced since. Runs that want to replace rows and read their inputs before this lose: they would
    /// overwrite, with older results, rows that have just been reported as current.
    async fn confirm(&self, guard: &UserGuard, basis: &Basis) -> Result<Written, StoreError>;

    /// Records a durable trigger in real time: the user is due now, and no longer parked. Returns its
    /// sequence number.
    async fn request_run(&self, user: UserId) -> Result<i64, StoreError>;

    /// Users of a lane who are due and whom no worker holds, longest due first. Users whose rows come from
    /// a newer scoring than `scoring_revision` are left to instances that have it.
    async fn due_users(
        &self,
        lane: Lane,
        scoring_revision: i64,
        limit: u32,
    ) -> Result<Vec<DueUser>, StoreError>;

    /// Takes the user for a worker and counts the attempt. `false`: somebody else did, or the user's state
    /// has changed since `due` was read.
    async fn claim(&self, due: &DueUser, lease: &Lease, scoring_revision: i64) -> Result<bool, StoreError>;

    /// Ends a claim, unless a run has ended it or its lease has passed to somebody else. `due` is what was
    /// claimed.
    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError>;

    /// What is known of a user's list; `None` for a user of whom nothing is recorded.
    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError>;

    /// How much work there is.
    async fn queue_counts(&self) -> Result<QueueCounts, StoreError>;

    /// Opens a batch; joins the one that is running, if any.
    async fn open_batch(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError>;

    /// Marks the next users of a batch due. Any number of instances may do so at once, and go on where one
    /// that died has stopped.
    async fn mark_batch(&self, batch: i64) -> Result<Marking, StoreError>;

    /// Ends the batch if all of its users have been marked and none of them waits any more.
    async fn finish_batch(&self, batch: i64) -> Result<bool, StoreError>;

    /// The batch that is running.
    async fn running_batch(&self) -> Result<Option<i64>, StoreError>;

    /// The latest batch, running or finished.
    async fn latest_batch(&self) -> Result<Option<BatchStatus>, StoreError>;

    /// Begins an occurrence of a schedule, once over all instances; for the batch, opens it in the same
    /// transaction, and ends one that is only waiting for its users: they stay due. The first occurrence that is ever seen only sets the start: a new installation has
    /// missed nothing.
    async fn begin_occurrence(
        &self,
        job: ScheduledJob,
        occurrence: DateTime<Utc>,
    ) -> Result<Occurrence, StoreError>;

    /// Cleans up the next users with an id above `after`: removes lists that nobody has found current since
    /// `unverified_since` (`None`: keeps all), and rows whose listing is gone; their users are due, to have
    /// the list filled up. `None`: there are no more users.
    async fn clean_up(
        &self,
        after: i64,
        unverified_since: Option<DateTime<Utc>>,
    ) -> Result<Option<CleanedUp>, StoreError>;

    /// Lets this scoring replace what newer ones have calculated, for the next users with an id above
    /// `after`: for an operator who has gone back to an older version. Returns the last user looked at;
    /// `None`: there are no more.
    async fn lower_scoring(&self, scoring_revision: i64, after: i64) -> Result<Option<i64>, StoreError>;

    /// The database's clock.
    async fn now(&self) -> Result<DateTime<Utc>, StoreError>;

    /// The user's stored list, best first: at most `limit` of the rows that score at least `min_score`
    /// points and whose listing still exists.
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError>;

    /// Reads all listings into `sink` and into `contents`, which must be new. The contents have no version
    /// before [`Store::read_catalogue_changes`] has been called with them.
    async fn read_catalogue(
        &self,
        contents: &mut CatalogueContents,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<(), StoreError>;

    /// Reads what has changed since `contents` were read, into them, and the version of the result.
    /// Versions are ordered: a higher one stands for contents that were read later from the same database,
    /// and equal contents have one version on all instances. `None`: the changes cannot be told, the
    /// listings must be read anew.
    async fn read_catalogue_changes(
        &self,
        contents: &mut CatalogueContents,
    ) -> Result<Option<CatalogueChanges>, StoreError>;

    /// Inserts listings, or updates those whose site and job id exist, in one transaction.
    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError>;

    /// Closes all connections.
    async fn close(&self);
}

/// A step that a database which takes connections and never answers cannot hold for ever. What it was to
/// write may be written all the same.
pub async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(StoreError::no_answer(limit)))
}

/// What [`Store::user_state`] reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserState {
    /// `None`: no calculation and no trigger has ever been recorded for the user.
    pub recorded: Option<RecordedState>,
    /// Rows stored for the user, whoever wrote them.
    pub row_count: i64,
    /// The newest `updated_at` of those rows.
    pub rows_updated_at: Option<DateTime<Utc>>,
    /// The database's clock at the moment of reading.
    pub now: DateTime<Utc>,
}

/// The user's row of `recommendation_state`, as far as a run looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedState {
    pub token: StateToken,
    /// Of the rows as we wrote them; `None` before the first replacement.
    pub result_digest: Option<String>,
    pub catalogue_version: i64,
    pub scoring_revision: i64,
    pub saved_count: i64,
    pub rows_updated_at: Option<DateTime<Utc>>,
    pub requested_seq: i64,
    pub completed_seq: i64,
    pub calculated_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
}

/// What runs compare and bump; all zero for a user without a state row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateToken {
    /// Committed replacements.
    pub version: i64,
    /// Committed confirmations. They do not disturb each other: any number of runs may find rows current.
    pub confirmations: i64,
}

impl UserState {
    /// What a compare-and-set must find.
    pub fn token(&self) -> StateToken {
        self.recorded.as_ref().map_or_else(StateToken::default, |recorded| recorded.token)
    }

    /// The newest durable trigger that a run starting now will have served.
    pub fn requested_seq(&self) -> i64 {
        self.recorded.as_ref().map_or(0, |recorded| recorded.requested_seq)
    }
}

/// A user's analyses, raw: texts are JSON or plain, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAnalysis {
    /// Rows of `job_recommendations`, best first, at most [`MAX_CAREERS`].
    pub job_recommendations: Vec<StoredCareer>,
    /// The newest of the user's `career_analyses`.
    pub career_analysis: Option<CareerAnalysis>,
    pub profile: Option<ProfileAnalysis>,
}

/// Most careers that a calculation takes into account.
pub const MAX_CAREERS: usize = 10;

/// A row of `job_recommendations`: a recommended career.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredCareer {
    pub job_name: Option<String>,
    pub match_score: Option<String>,
    pub category: Option<String>,
}

/// A row of `career_analyses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct CareerAnalysis {
    pub recommended_careers: Option<String>,
    pub interest_areas: Option<String>,
}

/// A row of `profile_analysis`, as far as ranking uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct ProfileAnalysis {
    pub interests: Option<String>,
    pub strengths: Option<String>,
    pub goals: Option<String>,
    pub summary: Option<String>,
}

/// What a run has read before it calculated.
#[derive(Clone, Debug)]
pub struct Basis {
    pub user: UserId,
    /// The state's token, read before the inputs.
    pub expected: StateToken,
    /// The newest trigger then recorded: what the run serves.
    pub serves_seq: i64,
    pub catalogue_version: i64,
    pub scoring_revision: i64,
    /// The database's time, read with the state.
    pub now: DateTime<Utc>,
}

/// How a compare-and-set ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// Committed.
    Committed(RowChanges),
    /// Another run was faster: nothing was written.
    Lost,
}

/// Rows of `user_job_recommendations` that a replacement wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    pub inserted: usize,
    pub updated: usize,
    pub deleted: usize,
}

/// What [`Store::stored_list`] reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredList {
    pub rows: Vec<StoredRecommendation>,
    /// Rows that satisfy the filter, regardless of the limit.
    pub total_count: i64,
    /// When the list was calculated; `None` if the user has no rows at all.
    pub calculated_at: Option<DateTime<Utc>>,
}

/// A stored row with its listing.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecommendation {
    pub listing_id: ListingId,
    pub title: String,
    pub company: String,
    pub location: String,
    pub url: String,
    pub description: String,
    pub site_name: String,
    pub tech_stack: String,
    pub required_skills: String,
    pub experience: String,
    /// Points, 0 to 100.
    pub match_score: f64,
    pub match_reason: String,
    pub data: Map<String, Value>,
}

/// A listing with all columns of `job_listings` that an import may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListingRecord {
    pub site_name: String,
    pub job_id: String,
    pub title: String,
    pub site_url: Option<String>,
    pub company: Option<String>,
    pub location: Option<String>,
    pub description: Option<String>,
    pub url: Option<String>,
    pub reward: Option<String>,
    pub experience: Option<String>,
    pub search_keyword: Option<String>,
    pub crawled_at: Option<DateTime<Utc>>,
    pub tech_stack: Option<String>,
    pub required_skills: Option<String>,
}
