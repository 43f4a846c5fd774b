//! The replacing transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::run::confirm;
use super::{fingerprint, time_text};
use crate::domain::{ListingId, Recommendation, UserId};
use crate::storage::diff::Difference;
use crate::storage::{Replacement, RowChanges, StoreError, Write, Written};

/// Compares and bumps the version first, and then writes the difference. The transaction takes the write lock
/// at once: one that starts by reading could not be upgraded while another writer is active.
pub(super) async fn replace(pool: &SqlitePool, replacement: &Replacement) -> Result<Written, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let written = replace_in(&mut transaction, replacement).await?;
    match written {
        Written::Committed(_) => transaction.commit().await?,
        Written::Lost => transaction.rollback().await?,
    }
    Ok(written)
}

/// [`replace`] and [`confirm`] for several users with one commit, unless one of them loses its comparison.
pub(super) async fn write_together(
    pool: &SqlitePool,
    writes: &[Arc<Write>],
) -> Result<Option<Vec<RowChanges>>, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut changes = Vec::with_capacity(writes.len());
    for write in writes {
        let written = match &**write {
            Write::Confirm(confirmation) => confirm(&mut transaction, confirmation).await?,
            Write::Replace(replacement) => replace_in(&mut transaction, replacement).await?,
        };
        let Written::Committed(changed) = written else {
            transaction.rollback().await?;
            return Ok(None);
        };
        changes.push(changed);
    }
    transaction.commit().await?;
    Ok(Some(changes))
}

/// The part within a transaction.
async fn replace_in(
    connection: &mut SqliteConnection,
    replacement: &Replacement,
) -> Result<Written, StoreError> {
    let (user, stamp) = (replacement.user, replacement.basis.now);
    if !compare_and_bump(&mut *connection, replacement).await? {
        return Ok(Written::Lost);
    }
    let difference = Difference::between(&replacement.basis.listed, &replacement.rows);
    for id in &difference.delete {
        delete(&mut *connection, user, *id).await?;
    }
    for row in &difference.write {
        upsert(&mut *connection, user, row, stamp).await?;
    }
    remember_checksum(connection, user, &difference).await?;
    Ok(Written::Committed(difference.changes()))
}

const ENSURE_STATE_ROW: &str = r"
INSERT INTO recommendation_state (user_id) VALUES (?) ON CONFLICT (user_id) DO NOTHING
";

/// The lines from due_at to last_error are the same as in `run::CONFIRM`, where they are explained.
const COMPARE_AND_BUMP: &str = r"
UPDATE recommendation_state
SET version = version + 1, result_digest = ?2, catalogue_version = ?3, scoring_revision = ?4,
    saved_count = ?5,
    due_at = CASE WHEN requested_seq <= ?1 THEN NULL
                  WHEN parked_at IS NULL THEN due_at
                  ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END,
    requested_at = CASE WHEN requested_seq <= ?1 THEN NULL ELSE requested_at END,
    completed_seq = MAX(completed_seq, ?1), lease_token = NULL, lease_until = NULL, attempts = 0,
    parked_at = NULL, last_error_code = NULL, last_error = NULL,
    calculated_at = ?6, verified_at = ?6
WHERE user_id = ?7 AND version = ?8 AND confirmations = ?9
";

async fn compare_and_bump(
    connection: &mut SqliteConnection,
    Replacement { user, basis, rows, digest }: &Replacement,
) -> Result<bool, StoreError> {
    let user = user.get();
    query(ENSURE_STATE_ROW).bind(user).execute(&mut *connection).await?;
    let updated = query(COMPARE_AND_BUMP)
        .bind(basis.serves_seq)
        .bind(&**digest)
        .bind(basis.catalogue_version.0)
        .bind(basis.scoring_revision.0)
        .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
        .bind(time_text(basis.now))
        .bind(user)
        .bind(basis.expected.version)
        .bind(basis.expected.confirmations)
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() == 1)
}

const DELETE: &str = r"
DELETE FROM user_job_recommendations WHERE user_id = ? AND job_listing_id = ?
";

async fn delete(connection: &mut SqliteConnection, user: UserId, id: ListingId) -> Result<(), StoreError> {
    query(DELETE).bind(user.get()).bind(id.0).execute(connection).await?;
    Ok(())
}

const UPSERT: &str = r"
INSERT INTO user_job_recommendations
    (user_id, job_listing_id, match_score, match_reason, recommendation_data, calculated_at, created_at,
     updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)
ON CONFLICT (user_id, job_listing_id) DO UPDATE SET match_score = excluded.match_score,
    match_reason = excluded.match_reason, recommendation_data = excluded.recommendation_data,
    calculated_at = excluded.calculated_at, updated_at = excluded.updated_at
";

async fn upsert(
    connection: &mut SqliteConnection,
    user: UserId,
    row: &Recommendation,
    stamp: DateTime<Utc>,
) -> Result<(), StoreError> {
    query(UPSERT)
        .bind(user.get())
        .bind(row.listing_id.0)
        .bind(i64::from(row.score.0))
        .bind(&row.reason)
        .bind(&row.data)
        .bind(time_text(stamp))
        .execute(connection)
        .await?;
    Ok(())
}

const REMEMBER_CHECKSUM: &str = r"
UPDATE recommendation_state SET rows_checksum = ? WHERE user_id = ?
";

/// Remembers the rows that the run has read and left, and those that this transaction has written. A row that another
/// writer has changed meanwhile is not among them: the next run finds that the rows differ.
async fn remember_checksum(
    connection: &mut SqliteConnection,
    user: UserId,
    difference: &Difference<'_>,
) -> Result<(), StoreError> {
    let checksum = |row: &&Recommendation| {
        fingerprint::row_checksum(row.listing_id.0, row.score.0.into(), &row.reason, &row.data)
    };
    let written: i64 = difference.write.iter().map(checksum).sum();
    query(REMEMBER_CHECKSUM)
        .bind(difference.untouched_checksum + written)
        .bind(user.get())
        .execute(connection)
        .await?;
    Ok(())
}
