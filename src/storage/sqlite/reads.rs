//! The stored list, and the state of a user and of the queue.

use async_trait::async_trait;
use sqlx::query_as;

use super::{SqliteStore, fingerprint, marking};
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::stored_list;
use crate::storage::{
    ParkedUser, QueueCounts, ReadStore, RunStore, StoreError, StoredAnalysis, StoredList, UserStatus,
};

/// An inner join: a listing that has been deleted is gone from the list at once. One statement, so that the count
/// and the time are those of the rows.
const LIST: &str = r"
SELECT (SELECT COUNT(*) FROM user_job_recommendations AS a WHERE a.user_id = ?1) AS stored_count,
       COALESCE(s.calculated_at,
                (SELECT MAX(a.calculated_at) FROM user_job_recommendations AS a WHERE a.user_id = ?1)
       ) AS calculated_at,
       r.job_listing_id, r.match_score / 100.0 AS match_score, r.match_reason,
       CAST(r.recommendation_data AS TEXT) AS recommendation_data, l.title, l.company, l.location, l.url,
       substr(l.description, 1, 300) AS description, l.site_name, l.tech_stack,
       CAST(l.required_skills AS TEXT) AS required_skills, l.experience,
       CAST(l.crawled_at AS TEXT) AS crawled_at
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id
WHERE r.user_id = ?1
ORDER BY r.match_score DESC, r.job_listing_id DESC
LIMIT ?2
";

const USER_STATUS: &str = r"
SELECT due_at IS NOT NULL AS pending,
       due_at IS NOT NULL AND COALESCE(lease_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), FALSE) AS running,
       requested_at, due_at, parked_at, attempts, last_error_code, last_error, calculated_at, verified_at,
       saved_count,
       -- Of the rows themselves, see `fingerprint::is_intact`.
       result_digest IS NOT NULL AND NOT EXISTS (
           SELECT 1
           FROM user_job_recommendations AS r
           LEFT JOIN job_listings AS l ON l.id = r.job_listing_id
           WHERE r.user_id = ?1 AND l.id IS NULL
       ) AS intact
FROM recommendation_state
WHERE user_id = ?1
";

const PARKED_USERS: &str = r"
SELECT user_id, parked_at, attempts, last_error_code
FROM recommendation_state
WHERE parked_at IS NOT NULL
ORDER BY parked_at DESC, user_id
LIMIT ?
";

const QUEUE_COUNTS: &str = r"
SELECT COALESCE(SUM(lane = ?1 AND NOT leased), 0) AS due_in_real_time,
       COALESCE(SUM(lane = ?2 AND NOT leased), 0) AS due_in_batch,
       COALESCE(MAX(CASE WHEN lane = ?1 THEN age END), 0) AS real_time_age_secs,
       COALESCE(MAX(CASE WHEN lane = ?2 THEN age END), 0) AS batch_age_secs,
       COALESCE(SUM(leased), 0) AS running,
       (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked
FROM (
    SELECT lane, COALESCE(lease_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), FALSE) AS leased,
           MAX(unixepoch('now') - unixepoch(requested_at), 0) AS age
    FROM recommendation_state
    WHERE due_at IS NOT NULL
) AS pending
";

#[async_trait]
impl ReadStore for SqliteStore {
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        let rows = query_as(LIST).bind(user.get()).bind(limit).fetch_all(&self.pool).await?;
        Ok(stored_list(rows, min_score))
    }

    async fn list_with_analysis(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<(StoredList, StoredAnalysis), StoreError> {
        let analysis = self.snapshot(user).await?.analysis;
        Ok((self.stored_list(user, limit, 0).await?, analysis))
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let status: Option<UserStatus> =
            query_as(USER_STATUS).bind(user.get()).fetch_optional(&mut *snapshot).await?;
        let Some(status) = status else { return Ok(None) };
        let intact = status.intact && fingerprint::is_intact(&mut snapshot, user).await?;
        snapshot.rollback().await?;
        Ok(Some(UserStatus { intact, ..status }))
    }

    async fn users_after(&self, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
        marking::users_after(&self.pool, after, most).await
    }

    async fn parked_users(&self, limit: u32) -> Result<Vec<ParkedUser>, StoreError> {
        Ok(query_as(PARKED_USERS).bind(limit).fetch_all(&mut *self.pool.acquire().await?).await?)
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        Ok(query_as(QUEUE_COUNTS)
            .bind(lane_number(Lane::RealTime))
            .bind(lane_number(Lane::Batch))
            .fetch_one(&self.pool)
            .await?)
    }
}
