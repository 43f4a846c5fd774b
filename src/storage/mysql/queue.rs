//! Durable triggers and the leases of workers. Each operation is one statement.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{query, query_as};

use super::MysqlStore;
use super::session::WRITE_PATIENCE;
use super::source::StatementQuery;
use crate::domain::{Lane, ScoringRevision, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::{DueRow, UserRow, users};
use crate::storage::{DueUser, GiveBack, Lease, QueueStore, StoreError};

/// The statement that records triggers of these users. It commits by itself: when it returns, they are durable.
macro_rules! request_runs {
    ($users:expr) => {
        concat!(
            r"
INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane)",
            $users,
            r"
-- MySQL assigns from left to right: lines that read due_at and parked_at stand above those that set them.
ON DUPLICATE KEY UPDATE requested_seq = LAST_INSERT_ID(requested_seq + 1),
    requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN UTC_TIMESTAMP(6) ELSE requested_at END,
    attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE 0 END,
    lane = ?, due_at = UTC_TIMESTAMP(6), parked_at = NULL
"
        )
    };
}

const REQUEST_RUN: &str = request_runs!(
    r"
VALUES (?, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), ?)"
);

/// For those of several users who have a career with a name.
const REQUEST_RUNS_WITH_CAREERS: &str = request_runs!(
    r"
SELECT asked.id, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), ?
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS asked
-- No EXISTS: the server might join, and read the careers of all users.
WHERE (SELECT 1 FROM job_recommendations AS j
       WHERE j.user_id = asked.id AND TRIM(j.job_name) <> '' LIMIT 1) IS NOT NULL
ORDER BY asked.id"
);

const DUE_USERS: &str = r"
SELECT user_id, attempts, requested_seq
FROM recommendation_state
WHERE lane = ?
  AND scoring_revision <= ?
  -- A time this far ahead was written by a clock that was wrong: the user is due, the lease is over.
  AND (due_at <= UTC_TIMESTAMP(6) OR due_at > UTC_TIMESTAMP(6) + INTERVAL 1 DAY)
  AND (lease_until IS NULL
       OR lease_until <= UTC_TIMESTAMP(6)
       OR lease_until > UTC_TIMESTAMP(6) + INTERVAL 1 HOUR)
ORDER BY due_at, user_id
LIMIT ?
";

/// The conditions on times are the same as in [`DUE_USERS`].
const CLAIM: &str = r"
UPDATE recommendation_state
SET lease_token = ?, lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, attempts = attempts + 1
WHERE user_id = ? AND attempts = ? AND requested_seq = ?
  AND scoring_revision <= ?
  AND (due_at <= UTC_TIMESTAMP(6) OR due_at > UTC_TIMESTAMP(6) + INTERVAL 1 DAY)
  AND (lease_until IS NULL
       OR lease_until <= UTC_TIMESTAMP(6)
       OR lease_until > UTC_TIMESTAMP(6) + INTERVAL 1 HOUR)
";

/// As [`CLAIM`], for several users.
const CLAIM_ALL: &str = r"
UPDATE recommendation_state AS s
JOIN JSON_TABLE(?, '$[*]' COLUMNS (
    user_id BIGINT PATH '$.user',
    attempts INT PATH '$.attempts',
    requested_seq BIGINT PATH '$.requested_seq'
)) AS d ON s.user_id = d.user_id
SET s.lease_token = ?, s.lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, s.attempts = s.attempts + 1
WHERE s.attempts = d.attempts AND s.requested_seq = d.requested_seq
  AND s.scoring_revision <= ?
  AND (s.due_at <= UTC_TIMESTAMP(6) OR s.due_at > UTC_TIMESTAMP(6) + INTERVAL 1 DAY)
  AND (s.lease_until IS NULL
       OR s.lease_until <= UTC_TIMESTAMP(6)
       OR s.lease_until > UTC_TIMESTAMP(6) + INTERVAL 1 HOUR)
";

const CLAIMED: &str = r"
SELECT s.user_id
FROM recommendation_state AS s
JOIN JSON_TABLE(?, '$[*]' COLUMNS (user_id BIGINT PATH '$.user')) AS d ON s.user_id = d.user_id
WHERE s.lease_token = ?
";

const GIVE_BACK_UNTRIED: &str = r"
UPDATE recommendation_state
SET attempts = GREATEST(attempts, 1) - 1, due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND,
    lease_token = NULL, lease_until = NULL WHERE user_id = ? AND lease_token = ?
";

const GIVE_BACK_FAILED: &str = r"
UPDATE recommendation_state
SET due_at = CASE WHEN requested_seq > ? THEN due_at ELSE UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND END,
    last_error_code = ?, last_error = ?,
    lease_token = NULL, lease_until = NULL WHERE user_id = ? AND lease_token = ?
";

const GIVE_BACK_PARKED: &str = r"
UPDATE recommendation_state
SET attempts = CASE WHEN requested_seq > ? THEN 0 ELSE attempts END,
    parked_at = CASE WHEN requested_seq > ? THEN NULL ELSE UTC_TIMESTAMP(6) END,
    due_at = CASE WHEN requested_seq > ? THEN due_at ELSE NULL END,
    last_error_code = ?, last_error = ?,
    lease_token = NULL, lease_until = NULL WHERE user_id = ? AND lease_token = ?
";

#[async_trait]
impl QueueStore for MysqlStore {
    async fn request_run(&self, user: UserId) -> Result<i64, StoreError> {
        let record = || {
            let lane = lane_number(Lane::RealTime);
            let record = self.pool.with_connection(async move |connection| {
                let record = query(REQUEST_RUN).bind(user.get()).bind(lane).bind(lane);
                Ok(record.execute(connection).await?)
            });
            record.boxed()
        };
        // A trigger that is recorded twice costs a run that finds the list current.
        let recorded = self.pool.twice(WRITE_PATIENCE, record).await?;
        // A row that was inserted has no LAST_INSERT_ID.
        Ok(i64::try_from(recorded.last_insert_id()).unwrap_or(i64::MAX).max(1))
    }

    async fn request_runs_with_careers(&self, users: &[UserId]) -> Result<bool, StoreError> {
        // A user who asks twice would make a row of its own in the count.
        let users: BTreeSet<UserId> = users.iter().copied().collect();
        let record = || {
            let (lane, asked) = (lane_number(Lane::RealTime), Json(users.clone()));
            let bind = move |query: StatementQuery| query.bind(lane).bind(asked.clone()).bind(lane);
            let record = self.pool.with_connection(async move |connection| {
                self.source.execute(connection, REQUEST_RUNS_WITH_CAREERS, bind).await
            });
            record.boxed()
        };
        // One for each row that is new, two for each other one.
        let rows = self.pool.twice(WRITE_PATIENCE, record).await?.rows_affected();
        Ok(if users.len() == 1 { rows > 0 } else { rows == 2 * users.len() as u64 })
    }

    async fn due_users(
        &self,
        lane: Lane,
        scoring_revision: ScoringRevision,
        limit: u32,
    ) -> Result<Vec<DueUser>, StoreError> {
        let due = query_as(DUE_USERS).bind(lane_number(lane)).bind(scoring_revision.0).bind(limit);
        let rows: Vec<DueRow> =
            self.pool.with_connection(async |connection| Ok(due.fetch_all(connection).await?)).await?;
        Ok(rows.into_iter().filter_map(DueRow::into_due_user).collect())
    }

    async fn claim(
        &self,
        due: &DueUser,
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<bool, StoreError> {
        let claim = query(CLAIM)
            .bind(&lease.token)
            .bind(micros(lease.duration))
            .bind(due.user.get())
            .bind(due.attempts)
            .bind(due.requested_seq)
            .bind(scoring_revision.0);
        let claimed =
            self.pool.with_connection(async |connection| Ok(claim.execute(connection).await?)).await?;
        Ok(claimed.rows_affected() == 1)
    }

    async fn claim_all(
        &self,
        due: &[DueUser],
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<Vec<DueUser>, StoreError> {
        // Locked in one order by all instances.
        let mut due = due.to_vec();
        due.sort_unstable_by_key(|due| due.user);
        let claim = async |connection: &mut MySqlConnection| {
            let claimed = query(CLAIM_ALL)
                .bind(Json(&due))
                .bind(&lease.token)
                .bind(micros(lease.duration))
                .bind(scoring_revision.0)
                .execute(&mut *connection)
                .await?;
            if claimed.rows_affected() < due.len() as u64 {
                let rows: Vec<UserRow> =
                    query_as(CLAIMED).bind(Json(&due)).bind(&lease.token).fetch_all(connection).await?;
                let claimed = users(rows);
                due.retain(|due| claimed.contains(&due.user));
            }
            Ok(due)
        };
        self.pool.with_connection(claim).await
    }

    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError> {
        let seq = due.requested_seq;
        let update = match how {
            GiveBack::Untried { after } => query(GIVE_BACK_UNTRIED).bind(micros(*after)),
            GiveBack::Failed { after, error } => query(GIVE_BACK_FAILED)
                .bind(seq)
                .bind(micros(*after))
                .bind(error.code)
                .bind(error.stored_cause()),
            GiveBack::Parked { error } => query(GIVE_BACK_PARKED)
                .bind(seq)
                .bind(seq)
                .bind(seq)
                .bind(error.code)
                .bind(error.stored_cause()),
        };
        let update = update.bind(due.user.get()).bind(token);
        self.pool.with_connection(async |connection| Ok(update.execute(connection).await?)).await?;
        Ok(())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
