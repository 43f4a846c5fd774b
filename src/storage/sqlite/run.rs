//! The statements of a run, but for the replacing transaction, which is in [`super::replace`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as};

use super::{SqliteStore, fingerprint, replace, time_text};
use crate::domain::UserId;
use crate::storage::rows::StateRow;
use crate::storage::{
    Confirmation, MAX_CAREERS, PROBE_LIMIT, Replacement, RowChanges, RunStore, Snapshot, StoreError,
    StoredAnalysis, Write, Written, within,
};

const USER_STATE: &str = r"
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now,
       s.version, s.confirmations, s.result_digest, s.catalogue_version, s.scoring_revision, s.saved_count,
       s.rows_checksum, s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at
FROM (SELECT ? AS user_id) AS u
LEFT JOIN recommendation_state AS s ON s.user_id = u.user_id
";

// In SQLite any column may hold any type, so the columns of the analyses are cast to text.

const CAREERS: &str = r"
SELECT CAST(j.job_name AS TEXT) AS job_name, CAST(j.match_score AS TEXT) AS match_score,
       CAST(j.category AS TEXT) AS category
FROM job_recommendations AS j
WHERE j.user_id = ?
ORDER BY j.match_score DESC, j.job_name
LIMIT ?
";

/// The user id is bound as text: comparing a VARCHAR with a number would convert every row, and match '7abc'
/// for 7.
const CAREER_ANALYSIS: &str = r"
SELECT CAST(a.recommended_careers AS TEXT) AS recommended_careers,
       CAST(a.interest_areas AS TEXT) AS interest_areas
FROM career_analyses AS a
JOIN career_sessions AS s ON s.id = a.session_id
WHERE s.user_id = ?
ORDER BY a.analyzed_at DESC, a.id DESC
LIMIT 1
";

const PROFILE_ANALYSIS: &str = r"
SELECT CAST(interests AS TEXT) AS interests, CAST(strengths AS TEXT) AS strengths,
       CAST(goals AS TEXT) AS goals, CAST(summary AS TEXT) AS summary
FROM profile_analysis
WHERE user_id = ?
LIMIT 1
";

/// The lines from due_at to last_error are the same as in `replace::COMPARE_AND_BUMP`.
const CONFIRM: &str = r"
UPDATE recommendation_state
SET confirmations = confirmations + 1,
    -- A newer trigger than the served one leaves the user due, even if earlier runs of it were parked. The
    -- lease ends, whichever worker holds it: the user is done, or due again.
    due_at = CASE WHEN requested_seq <= ?1 THEN NULL
                  WHEN parked_at IS NULL THEN due_at
                  ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END,
    requested_at = CASE WHEN requested_seq <= ?1 THEN NULL ELSE requested_at END,
    completed_seq = MAX(completed_seq, ?1), lease_token = NULL, lease_until = NULL, attempts = 0,
    parked_at = NULL, last_error_code = NULL, last_error = NULL,
    catalogue_version = MAX(catalogue_version, ?2), scoring_revision = MAX(scoring_revision, ?3),
    verified_at = ?4
WHERE user_id = ?5 AND version = ?6
";

const PROBE: &str = r"
INSERT INTO scheduled_jobs (name, last_occurrence) VALUES ('probe', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (name) DO UPDATE SET last_occurrence = excluded.last_occurrence
";

async fn analysis(connection: &mut SqliteConnection, user: UserId) -> Result<StoredAnalysis, StoreError> {
    let job_recommendations =
        query_as(CAREERS).bind(user.get()).bind(MAX_CAREERS as u32).fetch_all(&mut *connection).await?;
    let career_analysis =
        query_as(CAREER_ANALYSIS).bind(user.to_string()).fetch_optional(&mut *connection).await?;
    let profile = query_as(PROFILE_ANALYSIS).bind(user.get()).fetch_optional(connection).await?;
    Ok(StoredAnalysis { job_recommendations, career_analysis, profile })
}

/// Commits by itself, or with the transaction that it is in.
pub(super) async fn confirm(
    connection: &mut SqliteConnection,
    confirmation: &Confirmation,
) -> Result<Written, StoreError> {
    let updated = query(CONFIRM)
        .bind(confirmation.serves_seq)
        .bind(confirmation.catalogue_version.0)
        .bind(confirmation.scoring_revision.0)
        .bind(time_text(confirmation.now))
        .bind(confirmation.user.get())
        .bind(confirmation.expected.version)
        .execute(connection)
        .await?;
    Ok(match updated.rows_affected() {
        1 => Written::Committed(RowChanges::default()),
        _ => Written::Lost,
    })
}

#[async_trait]
impl RunStore for SqliteStore {
    async fn snapshot(&self, user: UserId) -> Result<Snapshot, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let state: StateRow = query_as(USER_STATE).bind(user.get()).fetch_one(&mut *snapshot).await?;
        let listed = fingerprint::listed(&mut snapshot, user).await?;
        let analysis = analysis(&mut snapshot, user).await?;
        snapshot.rollback().await?;
        Ok(Snapshot { state: state.with(listed), analysis })
    }

    async fn snapshots(&self, users: &[UserId]) -> Result<Vec<Snapshot>, StoreError> {
        try_join_all(users.iter().map(|user| self.snapshot(*user))).await
    }

    async fn replace(&self, replacement: &Replacement) -> Result<Written, StoreError> {
        replace::replace(&self.pool, replacement).await
    }

    async fn confirm(&self, confirmation: &Confirmation) -> Result<Written, StoreError> {
        confirm(&mut *self.pool.acquire().await?, confirmation).await
    }

    async fn write_together(&self, writes: &[Arc<Write>]) -> Result<Option<Vec<RowChanges>>, StoreError> {
        replace::write_together(&self.pool, writes).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        within(PROBE_LIMIT, async { Ok(query(PROBE).execute(&self.pool).await?) }).await.map(drop)
    }

    /// All connections lead to the same file.
    fn distrust_connections(&self) {}
}
