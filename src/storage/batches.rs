//! The storage of batches, which make many users due, and of the jobs that run on a schedule.

use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::{BatchId, UserId};

/// Storage for batches and schedules. At most one batch is running at a time.
#[async_trait]
pub trait BatchStore: Send + Sync {
    /// Opens a batch, or joins the running one.
    async fn open_batch(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError>;

    /// Marks the next users of a batch due. Any number of instances may do so at the same time, and continue
    /// where a crashed instance has stopped.
    async fn mark_batch(&self, batch: BatchId) -> Result<Marking, StoreError>;

    /// Finishes the batch if all of its users are marked and none of them is due any more. `false`: it is
    /// still running, or another instance has finished it.
    async fn finish_batch(&self, batch: BatchId) -> Result<bool, StoreError>;

    /// The running batch.
    async fn running_batch(&self) -> Result<Option<BatchId>, StoreError>;

    /// The latest batch, running or finished.
    async fn latest_batch(&self) -> Result<Option<BatchStatus>, StoreError>;

    /// Begins an occurrence of a schedule, once over all instances. For the batch, opens it in the same
    /// transaction; a running batch whose users are all marked is finished first, and its users stay due. The
    /// first occurrence ever seen only sets the start: a new installation has missed nothing.
    async fn begin_occurrence(
        &self,
        job: ScheduledJob,
        occurrence: DateTime<Utc>,
    ) -> Result<Occurrence, StoreError>;

    /// The listings that have changed since the job last began.
    async fn unseen_listings(&self, job: ListingJob) -> Result<UnseenListings, StoreError>;

    /// Begins a job because of these listings, once over all instances. A second pass opens its batch in the same
    /// transaction.
    async fn begin_for_listings(
        &self,
        job: ListingJob,
        unseen: UnseenListings,
    ) -> Result<Occurrence, StoreError>;

    /// Cleans up the next users after this one, or the first ones. Removes lists that no run has found
    /// current since `unverified_since` (`None`: keeps all lists), and rows whose listing is gone; users of
    /// such rows are due, to have their list filled up, and so are users whose rows another writer has
    /// changed. `None`: there are no more users.
    async fn clean_up(
        &self,
        after: Option<UserId>,
        unverified_since: Option<DateTime<Utc>>,
    ) -> Result<Option<CleanedUp>, StoreError>;

    /// The database's clock.
    async fn now(&self) -> Result<DateTime<Utc>, StoreError>;
}

/// The users of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchScope {
    /// Active users with an analysis of the last 30 days, and users whose rows another writer has changed.
    Active,
    /// All rows of `users`.
    All,
    /// These users.
    Listed(Vec<UserId>),
}

/// The age of an analysis up to which its user belongs to [`BatchScope::Active`].
pub(super) const ACTIVE_DAYS: u32 = 30;

impl BatchScope {
    pub(super) fn stored(&self) -> StoredScope {
        match self {
            Self::Active => StoredScope::Active,
            Self::All => StoredScope::All,
            Self::Listed(_) => StoredScope::Listed,
        }
    }

    /// The listed users as JSON, ascending: the order in which they are marked.
    pub(super) fn users_json(&self) -> Option<String> {
        let Self::Listed(users) = self else { return None };
        let mut users = users.clone();
        users.sort_unstable();
        users.dedup();
        Some(serde_json::json!(users).to_string())
    }
}

/// A [`BatchScope`] as `recommendation_batches.scope` holds it; listed users have a column of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredScope {
    Active,
    All,
    Listed,
}

impl StoredScope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::All => "all",
            Self::Listed => "listed",
        }
    }
}

impl FromStr for StoredScope {
    type Err = StoreError;

    /// # Errors
    /// A newer version of the service may have opened a batch for other users: only it can mark them.
    fn from_str(name: &str) -> Result<Self, StoreError> {
        let scopes = [Self::Active, Self::All, Self::Listed];
        let known = scopes.into_iter().find(|scope| scope.name() == name);
        known.ok_or_else(|| {
            StoreError::refused(format!("this version does not know batches of {name:?} users"))
        })
    }
}

/// The answer to [`BatchStore::open_batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedBatch {
    /// The batch.
    pub id: BatchId,
    /// The batch was running already.
    pub joined: bool,
}

/// The progress of marking a batch's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// This instance or another has marked a chunk; more may follow.
    Going,
    /// All users of the batch are marked.
    Ended,
}

/// A batch and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchStatus {
    /// The batch.
    pub id: BatchId,
    /// `active`, `all` or `listed`; perhaps another word if a newer version has opened the batch.
    pub scope: String,
    /// When the batch was opened.
    pub opened_at: DateTime<Utc>,
    /// Users marked so far.
    pub marked: i64,
    /// When the last user was marked.
    pub marking_ended_at: Option<DateTime<Utc>>,
    /// When the batch was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// Users that are due and without a lease; 0 in a finished batch.
    pub due: i64,
    /// Users that a worker has leased; 0 in a finished batch.
    pub running: i64,
    /// Users whose list was written.
    pub computed: i64,
    /// Users whose list was current.
    pub unchanged: i64,
    /// Users that failed too often.
    pub parked: i64,
}

/// A job that runs at certain times, once over all instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledJob {
    /// The batch of active users.
    Batch,
    /// The clean-up of lists.
    CleanUp,
}

impl ScheduledJob {
    /// The key of the job's row in `scheduled_jobs`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::CleanUp => "clean-up",
        }
    }
}

/// A job that begins when many listings have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingJob {
    /// Another batch of active users. The nightly one may have run before the crawler had finished.
    SecondPass,
    /// A clean-up of rows whose listing is gone. A crawler may delete all listings and insert them again.
    Refill,
}

impl ListingJob {
    /// The key of the job's row in `scheduled_jobs`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SecondPass => ScheduledJob::Batch.name(),
            Self::Refill => "refill",
        }
    }
}

/// Listings that have changed since a [`ListingJob`] last began: new, changed and deleted ones for a second pass,
/// deleted ones for a refill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct UnseenListings {
    /// The number of those listings; a listing that changed twice may count twice.
    pub count: i64,
    /// The number of all listings.
    pub listings: i64,
    /// The count over all time: equal for the same listings on all instances.
    pub through: i64,
}

impl UnseenListings {
    /// One listing in a hundred, or more.
    pub fn are_many(&self) -> bool {
        self.count > 0 && self.count.saturating_mul(100) >= self.listings
    }
}

/// The answer to [`BatchStore::begin_occurrence`] and [`BatchStore::begin_for_listings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// Begun by this call, and by no other.
    Begun,
    /// This occurrence or a later one was begun before, or the schedule started after it.
    Past,
    /// Not begun, because a batch for other users is still being marked: try again later.
    Waits,
}

/// The answer to [`BatchStore::clean_up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanedUp {
    /// The last user of this step: the next step starts after it.
    pub through: UserId,
    /// Lists removed because no run had found them current for long.
    pub lists: u64,
    /// Rows removed because their listing is gone.
    pub rows: u64,
    /// Users made due because another writer has changed their rows.
    pub altered: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StoreErrorKind;

    #[test]
    fn every_scope_is_read_as_it_was_stored_and_an_unknown_one_is_refused() {
        for scope in [BatchScope::Active, BatchScope::All, BatchScope::Listed(Vec::new())] {
            assert_eq!(scope.stored().name().parse::<StoredScope>().unwrap(), scope.stored());
        }
        let error = "everyone".parse::<StoredScope>().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        assert!(error.to_string().contains("\"everyone\""), "{error}");
    }

    #[test]
    fn listed_users_are_stored_once_each_and_ascending() {
        let users = [30, 2, 30].map(|id| UserId::try_from(id).unwrap());
        assert_eq!(BatchScope::Listed(users.to_vec()).users_json().as_deref(), Some("[2,30]"));
        assert_eq!(BatchScope::All.users_json(), None);
    }
}
