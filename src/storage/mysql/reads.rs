//! The stored list, and the state of a user and of the queue.

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::mysql::MySqlConnection;
use sqlx::query_as;

use super::fingerprint::row_checksum;
use super::session::READ_PATIENCE;
use super::source::{SourceQuery, SourceTables};
use super::{MysqlStore, marking, snapshot};
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::{ListRow, stored_list};
use crate::storage::{
    ParkedUser, QueueCounts, ReadStore, StoreError, StoredAnalysis, StoredList, UserStatus,
};

/// An inner join: a listing that has been deleted is gone from the list at once. One statement, so that the count
/// and the time are those of the rows. The state is joined by the parameter, so that it is read once. Only columns of the
/// first table give the order, so that the server sorts before it joins, and reads the listings of these rows only.
const LIST: &str = r"
SELECT (SELECT COUNT(*) FROM user_job_recommendations AS a WHERE a.user_id = ?) AS stored_count,
       COALESCE(s.calculated_at,
                (SELECT MAX(a.calculated_at) FROM user_job_recommendations AS a WHERE a.user_id = r.user_id)
       ) AS calculated_at,
       CAST(r.job_listing_id AS SIGNED) AS job_listing_id,
       COALESCE(CAST(r.match_score AS DOUBLE), 0) AS match_score, CAST(r.match_reason AS CHAR) AS match_reason,
       CAST(r.recommendation_data AS CHAR) AS recommendation_data, CAST(l.title AS CHAR) AS title,
       CAST(l.company AS CHAR) AS company, CAST(l.location AS CHAR) AS location, CAST(l.url AS CHAR) AS url,
       LEFT(CAST(l.description AS CHAR), 300) AS description, CAST(l.site_name AS CHAR) AS site_name,
       CAST(l.tech_stack AS CHAR) AS tech_stack, CAST(l.required_skills AS CHAR) AS required_skills,
       CAST(l.experience AS CHAR) AS experience, CAST(l.crawled_at AS CHAR) AS crawled_at
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
LEFT JOIN recommendation_state AS s ON s.user_id = ?
WHERE r.user_id = ?
ORDER BY r.match_score DESC, r.job_listing_id DESC
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

const PARKED_USERS: &str = r"
SELECT user_id, parked_at, CAST(attempts AS UNSIGNED) AS attempts, last_error_code
FROM recommendation_state
WHERE parked_at IS NOT NULL
ORDER BY parked_at DESC, user_id
LIMIT ?
";

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

async fn list(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    user: UserId,
    limit: u32,
) -> Result<Vec<ListRow>, StoreError> {
    let bind = |query: SourceQuery<ListRow>| {
        let id = user.get();
        query.bind(id).bind(id).bind(id).bind(limit)
    };
    source.rows(connection, LIST, bind).await
}

impl MysqlStore {
    /// Reads on the replica, if there is one that is not behind for the user, else on the primary.
    async fn read<T: Send>(
        &self,
        user: UserId,
        read: impl for<'c> Fn(&'c mut MySqlConnection, &'c SourceTables) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + Sync,
    ) -> Result<T, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(answer) = replica.read(&self.pool, user, &read).await?
        {
            return Ok(answer);
        }
        let read = &read;
        let on_primary =
            || self.pool.with_connection(async |connection| read(connection, &self.source).await).boxed();
        self.pool.twice(READ_PATIENCE, on_primary).await
    }
}

#[async_trait]
impl ReadStore for MysqlStore {
    async fn stored_list(&self, user: UserId, limit: u32, min_score: u8) -> Result<StoredList, StoreError> {
        let rows = self.read(user, move |connection, source| list(connection, source, user, limit).boxed());
        Ok(stored_list(rows.await?, min_score))
    }

    async fn list_with_analysis(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<(StoredList, StoredAnalysis), StoreError> {
        let read = self.read(user, move |connection, source| {
            let read = async move {
                let analysis = snapshot::read(connection, source, user).await?.analysis;
                Ok((stored_list(list(connection, source, user, limit).await?, 0), analysis))
            };
            read.boxed()
        });
        read.await
    }

    async fn user_status(&self, user: UserId) -> Result<Option<UserStatus>, StoreError> {
        let statuses = self.read(user, move |connection, source| {
            let bind = move |query: SourceQuery<UserStatus>| query.bind(user.get()).bind(user.get());
            source.rows(connection, USER_STATUS, bind).boxed()
        });
        Ok(statuses.await?.pop())
    }

    async fn users_after(&self, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
        marking::users_after(&self.pool, &self.source, after, most).await
    }

    async fn parked_users(&self, limit: u32) -> Result<Vec<ParkedUser>, StoreError> {
        let parked = query_as(PARKED_USERS).bind(limit);
        self.pool.with_connection(async |connection| Ok(parked.fetch_all(connection).await?)).await
    }

    async fn queue_counts(&self) -> Result<QueueCounts, StoreError> {
        let (real_time, batch) = (lane_number(Lane::RealTime), lane_number(Lane::Batch));
        let counts = query_as(QUEUE_COUNTS)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch)
            .bind(real_time)
            .bind(batch);
        self.pool.with_connection(async |connection| Ok(counts.fetch_one(connection).await?)).await
    }
}
