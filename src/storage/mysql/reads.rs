//! The stored list, and the state of a user and of the queue.

use async_trait::async_trait;
use sqlx::query_as;

use super::MysqlStore;
use super::fingerprint::row_checksum;
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::stored_list;
use crate::storage::{QueueCounts, ReadStore, StoreError, StoredList, UserStatus};

/// An inner join: a listing that has been deleted is gone from the list at once. One statement, so that the count
/// and the time are those of the rows.
const LIST: &str = r"
SELECT COUNT(*) OVER () AS stored_count,
       COALESCE(s.calculated_at, MAX(r.calculated_at) OVER ()) AS calculated_at,
       r.job_listing_id, CAST(r.match_score AS DOUBLE) AS match_score, r.match_reason,
       CAST(r.recommendation_data AS CHAR) AS recommendation_data, l.title, l.company, l.location, l.url,
       LEFT(l.description, 300) AS description, l.site_name, l.tech_stack,
       CAST(l.required_skills AS CHAR) AS required_skills, l.experience,
       CAST(l.crawled_at AS CHAR) AS crawled_at
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id
WHERE r.user_id = ?
ORDER BY r.match_score DESC, l.crawled_at DESC, r.job_listing_id
LIMIT ?
";

const USER_STATUS: &str = concat!(
    r"
SELECT s.due_at IS NOT NULL AS pending,
       s.due_at IS NOT NULL AND COALESCE(s.lease_until > UTC_TIMESTAMP(6), FALSE) AS running,
       s.requested_at, s.due_at, s.parked_at, CAST(s.attempts AS UNSIGNED) AS attempts, s.last_error_code,
       s.last_error, s.calculated_at, s.verified_at, s.saved_count,
       s.result_digest IS NOT NULL AND s.saved_count = held.listed AND held.listed = held.row_count
       AND COALESCE(s.rows_checksum = held.row_checksum, FALSE) AS intact
FROM recommendation_state AS s
CROSS JOIN (
    SELECT COUNT(*) AS row_count, COUNT(l.id) AS listed, COALESCE(SUM(",
    row_checksum!(),
    r"), 0) AS row_checksum
    FROM user_job_recommendations AS r
    LEFT JOIN job_listings AS l ON l.id = r.job_listing_id
    WHERE r.user_id = ?
) AS held
WHERE s.user_id = ?
"
);

const QUEUE_COUNTS: &str = r"
SELECT CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_real_time,
       CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_batch,
       CAST(COALESCE(MAX(CASE WHEN lane = ? THEN age END), 0) AS SIGNED) AS real_time_age_secs,
       CAST(COALESCE(MAX(CASE WHEN lane = ? THEN age END), 0) AS SIGNED) AS batch_age_secs,
       CAST(COALESCE(SUM(leased), 0) AS SIGNED) AS running,
       (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked
FROM (
    SELECT lane, COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS leased,
           GREATEST(TIMESTAMPDIFF(SECOND, requested_at, UTC_TIMESTAMP(6)), 0) AS age
    FROM recommendation_state
    -- The lanes are named for the index on (lane, due_at).
    WHERE lane IN (?, ?) AND due_at IS NOT NULL
) AS pending
";

#[async_trait]
impl ReadStore for MysqlStore {
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        let rows = query_as(LIST).bind(user.get()).bind(limit).fetch_all(&self.pool).await?;
        Ok(stored_list(rows, min_score))
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        Ok(query_as(USER_STATUS).bind(user.get()).bind(user.get()).fetch_optional(&self.pool).await?)
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        let (real_time, batch) = (lane_number(Lane::RealTime), lane_number(Lane::Batch));
        Ok(query_as(QUEUE_COUNTS)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch)
            .fetch_one(&self.pool)
            .await?)
    }
}
