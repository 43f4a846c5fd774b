//! `recommendation_state`: the compare-and-set token and the durable triggers of each user.

use std::time::Duration;

use sqlx::sqlite::SqlitePool;

use super::super::rows::StateRow;
use super::super::{Basis, RowChanges, StoreError, UserState, Written};
use super::time_text;
use crate::domain::UserId;

pub(super) async fn read(pool: &SqlitePool, user: UserId) -> Result<UserState, StoreError> {
    let row: StateRow = sqlx::query_as(
        "SELECT r.row_count, r.newest, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now, s.version, s.confirmations, \
                s.result_digest, s.catalogue_version, s.scoring_revision, s.saved_count, \
                s.rows_updated_at, s.requested_seq, s.completed_seq, s.calculated_at, s.verified_at \
         FROM (SELECT COUNT(*) AS row_count, MAX(updated_at) AS newest \
               FROM user_job_recommendations WHERE user_id = ?1) AS r \
         LEFT JOIN recommendation_state AS s ON s.user_id = ?1",
    )
    .bind(user.get())
    .fetch_one(pool)
    .await?;
    Ok(row.into())
}

pub(super) async fn confirm(pool: &SqlitePool, basis: &Basis) -> Result<Written, StoreError> {
    let updated = sqlx::query(
        "UPDATE recommendation_state SET confirmations = confirmations + 1, \
                due_at = CASE WHEN requested_seq <= ?1 THEN NULL ELSE due_at END, \
                completed_seq = MAX(completed_seq, ?1), \
                catalogue_version = MAX(catalogue_version, ?2), \
                scoring_revision = MAX(scoring_revision, ?3), verified_at = ?4 \
         WHERE user_id = ?5 AND version = ?6",
    )
    .bind(basis.serves_seq)
    .bind(basis.catalogue_version)
    .bind(basis.scoring_revision)
    .bind(time_text(basis.now))
    .bind(basis.user.get())
    .bind(basis.expected.version)
    .execute(pool)
    .await?;
    Ok(match updated.rows_affected() {
        1 => Written::Committed(RowChanges::default()),
        _ => Written::Lost,
    })
}

pub(super) async fn request_run(pool: &SqlitePool, user: UserId) -> Result<i64, StoreError> {
    let (sequence,): (i64,) = sqlx::query_as(
        "INSERT INTO recommendation_state (user_id, requested_seq, due_at) \
         VALUES (?, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) \
         ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1, due_at = excluded.due_at \
         RETURNING requested_seq",
    )
    .bind(user.get())
    .fetch_one(pool)
    .await?;
    Ok(sequence)
}

pub(super) async fn due_users(
    pool: &SqlitePool,
    scoring_revision: i64,
    limit: u32,
) -> Result<Vec<UserId>, StoreError> {
    let ids: Vec<(i64,)> = sqlx::query_as(
        "SELECT user_id FROM recommendation_state \
         WHERE due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND scoring_revision <= ? \
         ORDER BY due_at, user_id LIMIT ?",
    )
    .bind(scoring_revision)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().filter_map(|(id,)| UserId::try_from(id).ok()).collect())
}

pub(super) async fn postpone(pool: &SqlitePool, user: UserId, by: Duration) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE recommendation_state \
         SET due_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('+%f seconds', ?)) \
         WHERE user_id = ? AND due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    )
    .bind(by.as_secs_f64())
    .bind(user.get())
    .execute(pool)
    .await?;
    Ok(())
}
