//! Durable triggers and the leases of workers. Each operation is one statement.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::types::Json;
use sqlx::{query, query_as};

use super::{SqliteStore, later_by};
use crate::domain::{Lane, ScoringRevision, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::DueRow;
use crate::storage::{DueUser, GiveBack, Lease, QueueStore, StoreError};

/// Commits by itself: when it returns, the trigger is durable.
macro_rules! request_runs {
    ($users:expr) => {
        concat!(
            r"
INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane)",
            $users,
            r"
ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1,
    requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                        ELSE requested_at END,
    attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE 0 END,
    lane = ?2, due_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), parked_at = NULL
RETURNING requested_seq
"
        )
    };
}

const REQUEST_RUN: &str = request_runs!(
    r"
VALUES (?1, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?2)"
);

/// For those of several users who have a career with a name.
const REQUEST_RUNS_WITH_CAREERS: &str = request_runs!(
    r"
SELECT asked.value, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?2
FROM json_each(?1) AS asked
WHERE EXISTS (SELECT 1 FROM job_recommendations AS j WHERE j.user_id = asked.value AND TRIM(j.job_name) <> '')"
);

const DUE_USERS: &str = r"
SELECT user_id, attempts, requested_seq
FROM recommendation_state
WHERE lane = ?
  AND scoring_revision <= ?
  -- A time this far ahead was written by a clock that was wrong: the user is due, the lease is over.
  AND (due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
       OR due_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 day'))
  AND (lease_until IS NULL
       OR lease_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
       OR lease_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour'))
ORDER BY due_at, user_id
LIMIT ?
";

/// The conditions on times are the same as in [`DUE_USERS`].
const CLAIM: &str = r"
UPDATE recommendation_state
SET lease_token = ?, lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?), attempts = attempts + 1
WHERE user_id = ? AND attempts = ? AND requested_seq = ?
  AND scoring_revision <= ?
  AND (due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
       OR due_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 day'))
  AND (lease_until IS NULL
       OR lease_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
       OR lease_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour'))
";

const GIVE_BACK_UNTRIED: &str = r"
UPDATE recommendation_state
SET attempts = MAX(attempts, 1) - 1, due_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?),
    lease_token = NULL, lease_until = NULL
WHERE user_id = ? AND lease_token = ?
";

const GIVE_BACK_FAILED: &str = r"
UPDATE recommendation_state
SET due_at = CASE WHEN requested_seq > ? THEN due_at ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) END,
    last_error_code = ?, last_error = ?,
    lease_token = NULL, lease_until = NULL
WHERE user_id = ? AND lease_token = ?
";

const GIVE_BACK_PARKED: &str = r"
UPDATE recommendation_state
SET attempts = CASE WHEN requested_seq > ?1 THEN 0 ELSE attempts END,
    parked_at = CASE WHEN requested_seq > ?1 THEN NULL ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END,
    due_at = CASE WHEN requested_seq > ?1 THEN due_at ELSE NULL END,
    last_error_code = ?2, last_error = ?3,
    lease_token = NULL, lease_until = NULL
WHERE user_id = ?4 AND lease_token = ?5
";

async fn claim(
    connection: &mut SqliteConnection,
    due: &DueUser,
    lease: &Lease,
    scoring_revision: ScoringRevision,
) -> Result<bool, StoreError> {
    let claimed = query(CLAIM)
        .bind(&lease.token)
        .bind(later_by(lease.duration))
        .bind(due.user.get())
        .bind(due.attempts)
        .bind(due.requested_seq)
        .bind(scoring_revision.0)
        .execute(connection)
        .await?;
    Ok(claimed.rows_affected() == 1)
}

#[async_trait]
impl QueueStore for SqliteStore {
    async fn request_run(&self, user: UserId) -> Result<i64, StoreError> {
        let (sequence,) = query_as(REQUEST_RUN)
            .bind(user.get())
            .bind(lane_number(Lane::RealTime))
            .fetch_one(&self.pool)
            .await?;
        Ok(sequence)
    }

    async fn request_runs_with_careers(&self, users: &[UserId]) -> Result<bool, StoreError> {
        let users: BTreeSet<UserId> = users.iter().copied().collect();
        let recorded: Vec<(i64,)> = query_as(REQUEST_RUNS_WITH_CAREERS)
            .bind(Json(&users))
            .bind(lane_number(Lane::RealTime))
            .fetch_all(&self.pool)
            .await?;
        Ok(recorded.len() == users.len())
    }

    async fn due_users(
        &self,
        lane: Lane,
        scoring_revision: ScoringRevision,
        limit: u32,
    ) -> Result<Vec<DueUser>, StoreError> {
        let rows: Vec<DueRow> = query_as(DUE_USERS)
            .bind(lane_number(lane))
            .bind(scoring_revision.0)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().filter_map(DueRow::into_due_user).collect())
    }

    async fn claim(
        &self,
        due: &DueUser,
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<bool, StoreError> {
        claim(&mut *self.pool.acquire().await?, due, lease, scoring_revision).await
    }

    async fn claim_all(
        &self,
        due: &[DueUser],
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<Vec<DueUser>, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut claimed = Vec::with_capacity(due.len());
        for due in due {
            if claim(&mut transaction, due, lease, scoring_revision).await? {
                claimed.push(*due);
            }
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError> {
        let seq = due.requested_seq;
        let update = match how {
            GiveBack::Untried { after } => query(GIVE_BACK_UNTRIED).bind(later_by(*after)),
            GiveBack::Failed { after, error } => query(GIVE_BACK_FAILED)
                .bind(seq)
                .bind(later_by(*after))
                .bind(error.code)
                .bind(error.stored_cause()),
            GiveBack::Parked { error } => {
                query(GIVE_BACK_PARKED).bind(seq).bind(error.code).bind(error.stored_cause())
            }
        };
        update.bind(due.user.get()).bind(token).execute(&self.pool).await?;
        Ok(())
    }
}
