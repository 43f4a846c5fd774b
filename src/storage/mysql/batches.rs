//! Opening, following and finishing batches.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlConnection;
use sqlx::{query, query_as};

use super::{MysqlStore, cleanup, marking, schedule};
use crate::domain::{BatchId, Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::{BatchCounts, BatchRow};
use crate::storage::{
    BatchScope, BatchStatus, BatchStore, CleanedUp, ListingJob, Marking, Occurrence, OpenedBatch,
    ScheduledJob, StoreError, UnseenListings,
};

const RUNNING: &str = r"
SELECT id FROM recommendation_batches WHERE finished_at IS NULL ORDER BY id LIMIT 1
";

const OPEN: &str = r"
INSERT INTO recommendation_batches (scope, users, opened_at) VALUES (?, ?, UTC_TIMESTAMP(6))
";

const LATEST: &str = r"
SELECT id, scope, opened_at, marked, marking_ended_at, finished_at, computed, unchanged, parked
FROM recommendation_batches
ORDER BY id DESC
LIMIT 1
";

/// One batch at a time: every user that is due in its lane belongs to it.
const IS_DONE: &str = r"
SELECT EXISTS (SELECT 1 FROM recommendation_batches WHERE id = ? AND marking_ended_at IS NOT NULL)
   AND NOT EXISTS (SELECT 1 FROM recommendation_state WHERE lane = ? AND due_at IS NOT NULL)
";

const COUNTS: &str = r"
SELECT CAST(COALESCE(SUM(pending AND NOT leased), 0) AS SIGNED) AS due,
       CAST(COALESCE(SUM(pending AND leased), 0) AS SIGNED) AS running,
       CAST(COALESCE(SUM(NOT pending AND NOT is_parked AND written), 0) AS SIGNED) AS computed,
       CAST(COALESCE(SUM(NOT pending AND NOT is_parked AND NOT written), 0) AS SIGNED) AS unchanged,
       CAST(COALESCE(SUM(is_parked), 0) AS SIGNED) AS parked
FROM (
    SELECT s.due_at IS NOT NULL AS pending, s.parked_at IS NOT NULL AS is_parked,
           COALESCE(s.lease_until > UTC_TIMESTAMP(6), FALSE) AS leased,
           COALESCE(s.calculated_at >= b.opened_at, FALSE) AS written
    FROM recommendation_batches AS b
    JOIN recommendation_state AS s ON s.batch_id = b.id
    WHERE b.id = ?
) AS marked_users
";

const FINISH: &str = r"
UPDATE recommendation_batches
SET finished_at = UTC_TIMESTAMP(6), computed = ?, unchanged = ?, parked = ?
WHERE id = ? AND finished_at IS NULL
";

#[async_trait]
impl BatchStore for MysqlStore {
    async fn open_batch(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
        let mut transaction = self.pool.begin().await?;
        schedule::lock(&mut transaction, ScheduledJob::Batch).await?;
        let opened = open_or_join(&mut transaction, scope).await?;
        transaction.commit().await?;
        Ok(opened)
    }

    async fn mark_batch(&self, batch: BatchId) -> Result<Marking, StoreError> {
        marking::mark(&self.pool, &self.source, batch).await
    }

    async fn finish_batch(&self, batch: BatchId) -> Result<bool, StoreError> {
        let finish = async |connection: &mut MySqlConnection| {
            let is_done = query_as(IS_DONE).bind(batch.0).bind(lane_number(Lane::Batch));
            let (done,): (bool,) = is_done.fetch_one(&mut *connection).await?;
            Ok(done && finish(connection, batch).await?)
        };
        self.pool.with_connection(finish).await
    }

    async fn running_batch(&self) -> Result<Option<BatchId>, StoreError> {
        self.pool.with_connection(async |connection| running(connection).await).await
    }

    async fn latest_batch(&self) -> Result<Option<BatchStatus>, StoreError> {
        let read = async |connection: &mut MySqlConnection| {
            let latest: Option<BatchRow> = query_as(LATEST).fetch_optional(&mut *connection).await?;
            let Some(latest) = latest else { return Ok(None) };
            let counts = match latest.result() {
                Some(counts) => counts,
                None => count(connection, BatchId(latest.id)).await?,
            };
            Ok(Some(latest.with(counts)))
        };
        self.pool.with_connection(read).await
    }

    async fn begin_occurrence(
        &self,
        job: ScheduledJob,
        occurrence: DateTime<Utc>,
    ) -> Result<Occurrence, StoreError> {
        schedule::begin_occurrence(&self.pool, job, occurrence).await
    }

    async fn unseen_listings(&self, job: ListingJob) -> Result<UnseenListings, StoreError> {
        schedule::unseen_listings(&self.pool, job).await
    }

    async fn begin_for_listings(
        &self,
        job: ListingJob,
        unseen: UnseenListings,
    ) -> Result<Occurrence, StoreError> {
        schedule::begin_for_listings(&self.pool, job, unseen).await
    }

    async fn clean_up(
        &self,
        after: Option<UserId>,
        unverified_since: Option<DateTime<Utc>>,
    ) -> Result<Option<CleanedUp>, StoreError> {
        cleanup::next_users(&self.pool, after, unverified_since).await
    }

    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        let now = query_as("SELECT UTC_TIMESTAMP(6)");
        let (now,) =
            self.pool.with_connection(async |connection| Ok(now.fetch_one(connection).await?)).await?;
        Ok(now)
    }
}

async fn running(connection: &mut MySqlConnection) -> Result<Option<BatchId>, StoreError> {
    let running: Option<(i64,)> = query_as(RUNNING).fetch_optional(connection).await?;
    Ok(running.map(|(id,)| BatchId(id)))
}

/// The caller has locked the schedule's row: no other instance opens a batch meanwhile.
pub(super) async fn open_or_join(
    connection: &mut MySqlConnection,
    scope: &BatchScope,
) -> Result<OpenedBatch, StoreError> {
    if let Some(id) = running(&mut *connection).await? {
        return Ok(OpenedBatch { id, joined: true });
    }
    let inserted =
        query(OPEN).bind(scope.stored().name()).bind(scope.users_json()).execute(connection).await?;
    let id = BatchId(i64::try_from(inserted.last_insert_id()).unwrap_or(i64::MAX));
    Ok(OpenedBatch { id, joined: false })
}

/// Finishes the batch with the counts of this moment; `false` if another instance has finished it.
pub(super) async fn finish(connection: &mut MySqlConnection, batch: BatchId) -> Result<bool, StoreError> {
    let result = count(&mut *connection, batch).await?;
    let finished = query(FINISH)
        .bind(result.computed)
        .bind(result.unchanged)
        .bind(result.parked)
        .bind(batch.0)
        .execute(connection)
        .await?;
    Ok(finished.rows_affected() == 1)
}

async fn count(connection: &mut MySqlConnection, batch: BatchId) -> Result<BatchCounts, StoreError> {
    Ok(query_as(COUNTS).bind(batch.0).fetch_one(connection).await?)
}
