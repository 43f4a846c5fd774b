//! The operations of a run. Their statements, but for the confirming one, are in [`super::snapshot`] and
//! [`super::replace`].

use async_trait::async_trait;
use futures::FutureExt;
use sqlx::mysql::MySqlConnection;
use sqlx::query;

use super::session::{self, READ_PATIENCE};
use super::{MysqlStore, replace, snapshot};
use crate::domain::{Recommendation, UserId};
use crate::storage::{LockedBasis, RowChanges, RunStore, Snapshot, StoreError, Write, Written};

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
WHERE user_id = ? AND version = ? AND CONCAT_WS('/', @@hostname, @@port, @@server_id) = ?
";

/// Commits by itself, or with the transaction that it is in.
pub(super) async fn confirm(
    connection: &mut MySqlConnection,
    basis: &LockedBasis<'_>,
) -> Result<Written, StoreError> {
    let updated = query(CONFIRM)
        .bind(basis.serves_seq)
        .bind(basis.serves_seq)
        .bind(basis.serves_seq)
        .bind(basis.catalogue_version.0)
        .bind(basis.scoring_revision.0)
        .bind(basis.now)
        .bind(basis.user().get())
        .bind(basis.expected.version)
        .bind(&basis.server)
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
            let read =
                async move { snapshot::read(&mut *self.pool.acquire().await?, &self.source, user).await };
            read.boxed()
        };
        self.pool.twice(READ_PATIENCE, read).await
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
        confirm(&mut *self.pool.acquire().await?, basis).await
    }

    async fn write_together(&self, writes: &[Write<'_>]) -> Result<Option<Vec<RowChanges>>, StoreError> {
        replace::write_together(&self.pool, writes).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        session::probe(&self.pool).await
    }

    fn distrust_connections(&self) {
        self.pool.renew();
    }
}
