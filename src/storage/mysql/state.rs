//! `recommendation_state` as a run sees it: the compare-and-set token, and what the run has served.

use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlPool;

use super::super::rows::{StateRow, UserRow};
use super::super::{LockedBasis, RowChanges, StoreError, UserState, Written};
use crate::domain::{ScoringRevision, UserId};

/// What a run that ends well does to the user's background work; the trigger that it serves is bound three
/// times. A newer trigger leaves the user due, even if earlier runs of it had the user parked. A lease is
/// ended whoever holds it: the user is done, or due again for anybody.
///
/// MySQL assigns from left to right: everything depends on columns as they were.
pub(super) const SERVED: &str = "\
    due_at = CASE WHEN requested_seq <= ? THEN NULL WHEN parked_at IS NULL THEN due_at \
                  ELSE UTC_TIMESTAMP(6) END, \
    requested_at = CASE WHEN requested_seq <= ? THEN NULL ELSE requested_at END, \
    completed_seq = GREATEST(completed_seq, ?), lease_token = NULL, lease_until = NULL, attempts = 0, \
    parked_at = NULL, last_error_code = NULL, last_error = NULL";

pub(super) async fn read(pool: &MySqlPool, user: UserId) -> Result<UserState, StoreError> {
    let row: StateRow = sqlx::query_as(
        "SELECT r.row_count, r.newest, UTC_TIMESTAMP(6) AS now, s.version, s.confirmations, s.result_digest, \
                s.catalogue_version, s.scoring_revision, s.saved_count, s.rows_updated_at, \
                s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at \
         FROM (SELECT COUNT(*) AS row_count, MAX(updated_at) AS newest \
               FROM user_job_recommendations WHERE user_id = ?) AS r \
         LEFT JOIN recommendation_state AS s ON s.user_id = ?",
    )
    .bind(user.get())
    .bind(user.get())
    .fetch_one(pool)
    .await?;
    Ok(row.into())
}

pub(super) async fn confirm(pool: &MySqlPool, basis: &LockedBasis<'_>) -> Result<Written, StoreError> {
    let updated = sqlx::query(AssertSqlSafe(format!(
        "UPDATE recommendation_state SET confirmations = confirmations + 1, {SERVED}, \
                catalogue_version = GREATEST(catalogue_version, ?), \
                scoring_revision = GREATEST(scoring_revision, ?), verified_at = ? \
         WHERE user_id = ? AND version = ?"
    )))
    .bind(basis.serves_seq)
    .bind(basis.serves_seq)
    .bind(basis.serves_seq)
    .bind(basis.catalogue_version.0)
    .bind(basis.scoring_revision.0)
    .bind(basis.now)
    .bind(basis.user().get())
    .bind(basis.expected.version)
    .execute(pool)
    .await?;
    Ok(match updated.rows_affected() {
        1 => Written::Committed(RowChanges::default()),
        _ => Written::Lost,
    })
}

/// Users looked at per statement of [`lower_scoring`].
const CHUNK: u32 = 1_000;

/// The digest goes, too: the next run replaces the list.
pub(super) async fn lower_scoring(
    pool: &MySqlPool,
    scoring_revision: ScoringRevision,
    after: Option<UserId>,
) -> Result<Option<UserId>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let next: Option<UserRow> = sqlx::query_as(
        "SELECT user_id FROM (SELECT user_id FROM recommendation_state WHERE user_id > ? \
         ORDER BY user_id LIMIT ?) AS next_users ORDER BY user_id DESC LIMIT 1",
    )
    .bind(after)
    .bind(CHUNK)
    .fetch_optional(pool)
    .await?;
    let through = next.map(|row| row.user_id);
    if let Some(through) = through {
        sqlx::query(
            "UPDATE recommendation_state SET version = version + 1, result_digest = NULL, scoring_revision = ? \
             WHERE user_id > ? AND user_id <= ? AND scoring_revision > ?",
        )
        .bind(scoring_revision.0)
        .bind(after)
        .bind(through.get())
        .bind(scoring_revision.0)
        .execute(pool)
        .await?;
    }
    Ok(through)
}
