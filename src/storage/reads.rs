//! Reads for clients and operators, which change nothing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{StoreError, StoredAnalysis, rows};
use crate::domain::{ListingId, UserId};

/// Storage for HTTP reads and status pages. What is read of a user is never older than a trigger or a run of that user
/// that has been answered before, also on a replica.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// The user's stored list, best first: at most `limit` (from 1 on) of the rows that score at least
    /// `min_score` points and whose listing still exists.
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError>;

    /// [`ReadStore::stored_list`] with all scores, and the analyses that it is made from, or will be.
    async fn list_with_analysis(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<(StoredList, StoredAnalysis), StoreError>;

    /// The state of the user's list; `None` if the user is unknown.
    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError>;

    /// The next users after `after` in the order of their ids, at most `most`.
    async fn users_after(&self, after: i64, most: u32) -> Result<Vec<UserId>, StoreError>;

    /// At most so many parked users, latest first.
    async fn parked_users(&self, limit: u32) -> Result<Vec<ParkedUser>, StoreError>;

    /// The amount of background work.
    async fn queue_counts(&self) -> Result<QueueCounts, StoreError>;
}

/// The result of [`ReadStore::stored_list`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredList {
    /// The rows, best first.
    pub rows: Vec<StoredRecommendation>,
    /// All stored rows, regardless of limit and score.
    pub stored_count: i64,
    /// When the list was calculated; `None` if there is no such row, or if another writer left no time.
    pub calculated_at: Option<DateTime<Utc>>,
}

/// A stored row with its listing. Columns that are NULL are empty texts.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecommendation {
    /// The listing.
    pub listing_id: ListingId,
    /// The job title as posted.
    pub title: String,
    /// The employer.
    pub company: String,
    /// The place of work.
    pub location: String,
    /// The address of the posting.
    pub url: String,
    /// The beginning of the posting's text.
    pub description: String,
    /// The site of the listing.
    pub site_name: String,
    /// Comma- or line-separated.
    pub tech_stack: String,
    /// Free text or JSON.
    pub required_skills: String,
    /// The required experience in the site's own words.
    pub experience: String,
    /// When a crawler last saw the posting, as the database writes it.
    pub crawled_at: String,
    /// Points, 0 to 100.
    pub match_score: f64,
    /// Korean, shown to the user.
    pub match_reason: String,
    /// The row's `recommendation_data`: a JSON object, unless another writer has put something else there.
    pub data: String,
}

impl StoredRecommendation {
    /// When a crawler last saw the posting; `None` if the column holds no time.
    pub fn crawled_at(&self) -> Option<DateTime<Utc>> {
        rows::time(&self.crawled_at)
    }
}

/// The state of one user's list.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct UserStatus {
    /// A trigger is recorded that has not been served.
    pub pending: bool,
    /// A worker holds a lease.
    pub running: bool,
    /// When the oldest unserved trigger came in.
    pub requested_at: Option<DateTime<Utc>>,
    /// From when on a worker may claim the user.
    pub due_at: Option<DateTime<Utc>>,
    /// When the user was parked: it failed too often, and waits for the next trigger.
    pub parked_at: Option<DateTime<Utc>>,
    /// Leases taken since the last success.
    pub attempts: u32,
    /// The code of the last failure, until a run succeeds.
    pub last_error_code: Option<String>,
    /// The cause of the last failure, for operators.
    pub last_error: Option<String>,
    /// When the rows were last replaced.
    pub calculated_at: Option<DateTime<Utc>>,
    /// When the rows were last replaced or confirmed.
    pub verified_at: Option<DateTime<Utc>>,
    /// The number of rows that the last replacement stored.
    pub saved_count: i64,
    /// The stored rows are those of the last run, and their listings exist. `false`: another writer has changed the
    /// rows, listings have been deleted since, or the clean-up has removed the list.
    pub intact: bool,
}

/// A user whose runs failed too often.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct ParkedUser {
    /// The user.
    pub user_id: i64,
    /// When the user was parked.
    pub parked_at: DateTime<Utc>,
    /// Leases taken since the last success.
    pub attempts: u32,
    /// The code of the last failure.
    pub last_error_code: Option<String>,
}

/// The amount of background work, over all instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct QueueCounts {
    /// Users with a real-time trigger, due now or later, and without a lease.
    pub due_in_real_time: i64,
    /// Users of a batch, due now or later, and without a lease.
    pub due_in_batch: i64,
    /// Seconds since the oldest trigger of these users in real time, and of those with a lease; 0 without any.
    pub real_time_age_secs: i64,
    /// Likewise, of users of a batch.
    pub batch_age_secs: i64,
    /// Users with a lease.
    pub running: i64,
    /// Users that failed too often.
    pub parked: i64,
}

/// The use of a replica since the start of the process: reads, by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReplica {
    /// Whether it answers, as far as is known. Otherwise the primary is read.
    pub available: bool,
    /// It answered.
    pub served: u64,
    /// It was behind for the user, and the primary answered.
    pub behind: u64,
    /// It was in trouble, and the primary answered.
    pub unavailable: u64,
}
