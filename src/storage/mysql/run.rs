//! The statements of a run, but for the replacing transaction, which is in [`super::replace`].

use async_trait::async_trait;
use sqlx::{query, query_as};
use sqlx_macros::FromRow;

use super::fingerprint::row_checksum;
use super::{MysqlStore, replace, session};
use crate::domain::{Recommendation, UserId};
use crate::storage::rows::StateRow;
use crate::storage::{
    LockedBasis, MAX_CAREERS, RowChanges, RowsFingerprint, RunStore, StoreError, StoredAnalysis, UserState,
    Written,
};

/// The state and the stored rows, in one statement: of one moment.
const USER_STATE: &str = concat!(
    r"
SELECT held.row_count, held.row_checksum, UTC_TIMESTAMP(6) AS now,
       s.version, s.confirmations, s.result_digest, s.catalogue_version, s.scoring_revision, s.saved_count,
       s.rows_checksum, s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at
FROM (
    SELECT COUNT(*) AS row_count, CAST(COALESCE(SUM(",
    row_checksum!(),
    r"), 0) AS SIGNED) AS row_checksum
    FROM user_job_recommendations AS r
    WHERE r.user_id = ?
) AS held
LEFT JOIN recommendation_state AS s ON s.user_id = ?
"
);

#[derive(FromRow)]
struct StateAndRows {
    #[sqlx(flatten)]
    state: StateRow,
    row_count: i64,
    row_checksum: i64,
}

// The tables of the analyses belong to other services. All columns are cast to text: their types differ
// between deployments, and `profile` reads the text.

const CAREERS: &str = r"
SELECT CAST(j.job_name AS CHAR) AS job_name, CAST(j.match_score AS CHAR) AS match_score,
       CAST(j.category AS CHAR) AS category
FROM job_recommendations AS j
WHERE j.user_id = ?
-- As numbers: some writers store scores as text.
ORDER BY j.match_score + 0 DESC, j.job_name
LIMIT ?
";

/// The user id is bound as text: comparing a VARCHAR with a number would convert every row, and match '7abc'
/// for 7.
const CAREER_ANALYSIS: &str = r"
SELECT CAST(a.recommended_careers AS CHAR) AS recommended_careers,
       CAST(a.interest_areas AS CHAR) AS interest_areas
FROM career_analyses AS a
JOIN career_sessions AS s ON s.id = a.session_id
WHERE s.user_id = ?
ORDER BY a.analyzed_at DESC, a.id DESC
LIMIT 1
";

const PROFILE_ANALYSIS: &str = r"
SELECT CAST(p.interests AS CHAR) AS interests, CAST(p.strengths AS CHAR) AS strengths,
       CAST(p.goals AS CHAR) AS goals, CAST(p.summary AS CHAR) AS summary
FROM profile_analysis AS p
WHERE p.user_id = ?
-- The newest, where no key keeps the user's row unique.
ORDER BY p.updated_at DESC, p.created_at DESC, p.id DESC
LIMIT 1
";

/// The lines from due_at to last_error are the same as in `replace::COMPARE_AND_BUMP`.
const CONFIRM: &str = r"
UPDATE recommendation_state
SET confirmations = confirmations + 1,
    -- A newer trigger than the served one leaves the user due, even if earlier runs of it were parked. The
    -- lease ends, whichever worker holds it: the user is done, or due again.
    due_at = CASE WHEN requested_seq <= ? THEN NULL
                  WHEN parked_at IS NULL THEN due_at
                  ELSE UTC_TIMESTAMP(6) END,
    requested_at = CASE WHEN requested_seq <= ? THEN NULL ELSE requested_at END,
    completed_seq = GREATEST(completed_seq, ?), lease_token = NULL, lease_until = NULL, attempts = 0,
    parked_at = NULL, last_error_code = NULL, last_error = NULL,
    catalogue_version = GREATEST(catalogue_version, ?), scoring_revision = GREATEST(scoring_revision, ?),
    verified_at = ?
WHERE user_id = ? AND version = ?
";

#[async_trait]
impl RunStore for MysqlStore {
    async fn user_state(&self, user: UserId) -> Result<UserState, StoreError> {
        let StateAndRows { state, row_count, row_checksum } = query_as(USER_STATE)
            .bind(user.get())
            .bind(user.get())
            .fetch_one(&mut *self.pool.acquire().await?)
            .await?;
        Ok(state.with(RowsFingerprint { count: row_count, checksum: row_checksum }))
    }

    async fn analysis(&self, user: UserId) -> Result<StoredAnalysis, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let source = &self.source;
        let job_recommendations = source
            .rows(&mut connection, CAREERS, |query| query.bind(user.get()).bind(MAX_CAREERS as u32))
            .await?;
        let mut analyses =
            source.rows(&mut connection, CAREER_ANALYSIS, |query| query.bind(user.to_string())).await?;
        let mut profiles =
            source.rows(&mut connection, PROFILE_ANALYSIS, |query| query.bind(user.get())).await?;
        Ok(StoredAnalysis { job_recommendations, career_analysis: analyses.pop(), profile: profiles.pop() })
    }

    async fn replace(
        &self,
        basis: &LockedBasis<'_>,
        rows: &[Recommendation],
        digest: &str,
    ) -> Result<Written, StoreError> {
        replace::replace(&self.pool, basis, rows, digest).await
    }

    async fn confirm(&self, basis: &LockedBasis<'_>) -> Result<Written, StoreError> {
        let updated = query(CONFIRM)
            .bind(basis.serves_seq)
            .bind(basis.serves_seq)
            .bind(basis.serves_seq)
            .bind(basis.catalogue_version.0)
            .bind(basis.scoring_revision.0)
            .bind(basis.now)
            .bind(basis.user().get())
            .bind(basis.expected.version)
            .execute(&mut *self.pool.acquire().await?)
            .await?;
        Ok(match updated.rows_affected() {
            1 => Written::Committed(RowChanges::default()),
            _ => Written::Lost,
        })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        session::probe(&self.pool).await
    }

    fn distrust_connections(&self) {
        self.pool.renew();
    }
}
