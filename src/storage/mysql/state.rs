//! `recommendation_state`: the compare-and-set token and the durable triggers of each user.

use std::time::Duration;

use sqlx::Row;
use sqlx::mysql::MySqlPool;

use super::super::rows::StateRow;
use super::super::{Basis, RowChanges, StoreError, UserState, Written};
use crate::domain::UserId;

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

pub(super) async fn confirm(pool: &MySqlPool, basis: &Basis) -> Result<Written, StoreError> {
    // MySQL assigns from left to right: due_at and completed_seq depend on columns as they were.
    let updated = sqlx::query(
        "UPDATE recommendation_state SET confirmations = confirmations + 1, \
                due_at = CASE WHEN requested_seq <= ? THEN NULL ELSE due_at END, \
                completed_seq = GREATEST(completed_seq, ?), \
                catalogue_version = GREATEST(catalogue_version, ?), \
                scoring_revision = GREATEST(scoring_revision, ?), verified_at = ? \
         WHERE user_id = ? AND version = ?",
    )
    .bind(basis.serves_seq)
    .bind(basis.serves_seq)
    .bind(basis.catalogue_version)
    .bind(basis.scoring_revision)
    .bind(basis.now)
    .bind(basis.user.get())
    .bind(basis.expected.version)
    .execute(pool)
    .await?;
    Ok(match updated.rows_affected() {
        1 => Written::Committed(RowChanges::default()),
        _ => Written::Lost,
    })
}

pub(super) async fn request_run(pool: &MySqlPool, user: UserId) -> Result<i64, StoreError> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "INSERT INTO recommendation_state (user_id, requested_seq, due_at) VALUES (?, 1, UTC_TIMESTAMP(6)) \
         ON DUPLICATE KEY UPDATE requested_seq = requested_seq + 1, due_at = UTC_TIMESTAMP(6)",
    )
    .bind(user.get())
    .execute(&mut *transaction)
    .await?;
    let sequence = sqlx::query("SELECT requested_seq FROM recommendation_state WHERE user_id = ?")
        .bind(user.get())
        .fetch_one(&mut *transaction)
        .await?
        .try_get(0)?;
    transaction.commit().await?;
    Ok(sequence)
}

pub(super) async fn due_users(
    pool: &MySqlPool,
    scoring_revision: i64,
    limit: u32,
) -> Result<Vec<UserId>, StoreError> {
    let ids: Vec<(i64,)> = sqlx::query_as(
        "SELECT user_id FROM recommendation_state WHERE due_at <= UTC_TIMESTAMP(6) \
         AND scoring_revision <= ? ORDER BY due_at, user_id LIMIT ?",
    )
    .bind(scoring_revision)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().filter_map(|(id,)| UserId::try_from(id).ok()).collect())
}

pub(super) async fn postpone(pool: &MySqlPool, user: UserId, by: Duration) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE recommendation_state SET due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND \
         WHERE user_id = ? AND due_at <= UTC_TIMESTAMP(6)",
    )
    .bind(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
    .bind(user.get())
    .execute(pool)
    .await?;
    Ok(())
}
