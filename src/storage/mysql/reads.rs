//! The stored list, and the state of a user and of the queue.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::query_as;

use super::{MysqlStore, marking};
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::ListRow;
use crate::storage::{QueueCounts, ReadStore, StoreError, StoredList, UserStatus};

/// An inner join: a listing that has been deleted is gone from the list at once.
const LIST: &str = r"
SELECT r.job_listing_id, CAST(r.match_score AS DOUBLE) AS match_score, r.match_reason,
       CAST(r.recommendation_data AS CHAR) AS recommendation_data, l.title, l.company, l.location, l.url,
       LEFT(l.description, 300) AS description, l.site_name, l.tech_stack,
       CAST(l.required_skills AS CHAR) AS required_skills, l.experience
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
WHERE r.user_id = ? AND r.match_score >= ?
ORDER BY r.match_score DESC, l.crawled_at DESC, r.job_listing_id
LIMIT ?
";

const LIST_TOTAL: &str = r"
SELECT COUNT(CASE WHEN r.match_score >= ? THEN 1 END),
       COALESCE(MAX(s.calculated_at), MAX(r.calculated_at))
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id
WHERE r.user_id = ?
";

const USER_STATUS: &str = r"
SELECT due_at IS NOT NULL AS pending,
       due_at IS NOT NULL AND COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS running,
       requested_at, due_at, parked_at, CAST(attempts AS UNSIGNED) AS attempts, last_error_code, last_error,
       calculated_at, verified_at, saved_count
FROM recommendation_state
WHERE user_id = ?
";

const QUEUE_COUNTS: &str = r"
SELECT CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_real_time,
       CAST(COALESCE(SUM(lane = ? AND NOT leased), 0) AS SIGNED) AS due_in_batch,
       CAST(COALESCE(SUM(leased), 0) AS SIGNED) AS running,
       (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked
FROM (
    SELECT lane, COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS leased
    FROM recommendation_state
    -- The lanes are named for the index on (lane, due_at).
    WHERE lane IN (?, ?) AND due_at IS NOT NULL
) AS pending
";

#[async_trait]
impl ReadStore for MysqlStore {
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let rows: Vec<ListRow> =
            query_as(LIST).bind(user.get()).bind(min_score).bind(limit).fetch_all(&mut *connection).await?;
        let (total_count, calculated_at): (i64, Option<DateTime<Utc>>) =
            query_as(LIST_TOTAL).bind(min_score).bind(user.get()).fetch_one(&mut *connection).await?;
        Ok(StoredList { rows: rows.into_iter().map(Into::into).collect(), total_count, calculated_at })
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        Ok(query_as(USER_STATUS).bind(user.get()).fetch_optional(&self.pool).await?)
    }

    async fn users_after(&self, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
        marking::users_after(&self.pool, after, most).await
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        let (real_time, batch) = (lane_number(Lane::RealTime), lane_number(Lane::Batch));
        Ok(query_as(QUEUE_COUNTS)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch)
            .fetch_one(&self.pool)
            .await?)
    }
}
