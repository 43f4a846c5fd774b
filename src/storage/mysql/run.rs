//! The operations of a run. Their statements, but for the confirming one, are in [`super::snapshot`],
//! [`super::replace`] and [`super::replace_together`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use serde::Serialize;
use sqlx::mysql::MySqlConnection;
use sqlx::query;
use sqlx::types::Json;

use super::session::{self, READ_PATIENCE, this_server};
use super::{MysqlStore, replace, replace_together, snapshot};
use crate::domain::UserId;
use crate::storage::{Confirmation, Replacement, RowChanges, RunStore, Snapshot, StoreError, Write, Written};

/// The lines from due_at to last_error are the same as in `replace::COMPARE_AND_BUMP`.
const CONFIRM: &str = concat!(
    r"
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
WHERE user_id = ? AND version = ? AND ",
    this_server!(),
    r" = ?
"
);

/// As [`CONFIRM`] for several users, each without a newer trigger than the served one. So the order in which the columns
/// are assigned, which is not defined for a join, does not matter.
const CONFIRM_ALL: &str = concat!(
    r"
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (
    seen_user BIGINT PATH '$.user',
    seen_version BIGINT PATH '$.version',
    seen_seq BIGINT PATH '$.serves_seq',
    seen_catalogue BIGINT PATH '$.catalogue_version',
    seen_scoring BIGINT PATH '$.scoring_revision',
    seen_at DATETIME(6) PATH '$.now',
    seen_server VARCHAR(300) CHARACTER SET utf8mb4 PATH '$.server'
)) AS seen
STRAIGHT_JOIN recommendation_state AS s
    ON s.user_id = seen_user AND s.version = seen_version AND s.requested_seq = seen_seq
    AND seen_server = ",
    this_server!(),
    r"
SET confirmations = confirmations + 1,
    due_at = NULL, requested_at = NULL, completed_seq = seen_seq, lease_token = NULL, lease_until = NULL,
    attempts = 0, parked_at = NULL, last_error_code = NULL, last_error = NULL,
    catalogue_version = GREATEST(catalogue_version, seen_catalogue),
    scoring_revision = GREATEST(scoring_revision, seen_scoring),
    verified_at = seen_at
"
);

/// A confirmation on its way to the server.
#[derive(Serialize)]
struct SentConfirmation {
    user: i64,
    version: i64,
    serves_seq: i64,
    catalogue_version: i64,
    scoring_revision: i64,
    now: String,
    server: String,
}

impl From<&Confirmation> for SentConfirmation {
    fn from(confirmation: &Confirmation) -> Self {
        Self {
            user: confirmation.user.get(),
            version: confirmation.expected.version,
            serves_seq: confirmation.serves_seq,
            catalogue_version: confirmation.catalogue_version.0,
            scoring_revision: confirmation.scoring_revision.0,
            now: confirmation.now.naive_utc().to_string(),
            server: confirmation.server.clone(),
        }
    }
}

/// Commits by itself, or with the transaction that it is in. Returns whether all lists are confirmed. Rows are locked in
/// the order of the users' ids.
pub(super) async fn confirm_all(
    connection: &mut MySqlConnection,
    confirmations: &[&Confirmation],
) -> Result<bool, StoreError> {
    let mut sent: Vec<SentConfirmation> = confirmations.iter().copied().map(Into::into).collect();
    sent.sort_unstable_by_key(|confirmation| confirmation.user);
    if sent.is_empty() {
        return Ok(true);
    }
    let updated = query(CONFIRM_ALL).bind(Json(&sent)).execute(connection).await?;
    Ok(updated.rows_affected() == sent.len() as u64)
}

/// Commits by itself.
async fn confirm(
    connection: &mut MySqlConnection,
    confirmation: &Confirmation,
) -> Result<Written, StoreError> {
    let updated = query(CONFIRM)
        .bind(confirmation.serves_seq)
        .bind(confirmation.serves_seq)
        .bind(confirmation.serves_seq)
        .bind(confirmation.catalogue_version.0)
        .bind(confirmation.scoring_revision.0)
        .bind(confirmation.now)
        .bind(confirmation.user.get())
        .bind(confirmation.expected.version)
        .bind(&confirmation.server)
        .execute(connection)
        .await?;
    Ok(match updated.rows_affected() {
        1 => Written::Committed(RowChanges::default()),
        _ => Written::Lost,
    })
}

#[async_trait]
impl RunStore for MysqlStore {
    async fn snapshot(&self, user: UserId) -> Result<Snapshot, StoreError> {
        let read = || {
            let read = self
                .pool
                .with_connection(async |connection| snapshot::read(connection, &self.source, user).await);
            read.boxed()
        };
        self.pool.twice(READ_PATIENCE, read).await
    }

    async fn snapshots(&self, users: &[UserId]) -> Result<Vec<Snapshot>, StoreError> {
        let read = || {
            let read = self.pool.with_connection(async |connection| {
                snapshot::read_all(connection, &self.source, users).await
            });
            read.boxed()
        };
        self.pool.twice(READ_PATIENCE, read).await
    }

    async fn replace(&self, replacement: &Replacement) -> Result<Written, StoreError> {
        replace::replace(&self.pool, replacement).await
    }

    async fn confirm(&self, confirmation: &Confirmation) -> Result<Written, StoreError> {
        self.pool.with_connection(async |connection| confirm(connection, confirmation).await).await
    }

    async fn write_together(&self, writes: &[Arc<Write>]) -> Result<Option<Vec<RowChanges>>, StoreError> {
        replace_together::write_together(&self.pool, writes).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        session::probe(&self.pool).await
    }

    fn distrust_connections(&self) {
        self.pool.renew();
    }
}
