//! `job-agent roll-back`: an older scoring replaces the lists of newer ones.

use sqlx::mysql::MySqlConnection;
use sqlx::{query, query_as};

use super::pool::Pool;
use crate::domain::{ScoringRevision, UserId};
use crate::storage::StoreError;
use crate::storage::rows::{UserRow, users};

/// Users per step.
const CHUNK: u32 = 1_000;

const NEXT_USERS: &str = r"
SELECT user_id
FROM recommendation_state
WHERE user_id > ?
ORDER BY user_id
LIMIT ?
";

/// Without its digest a list is replaced by the next run.
const LOWER_SCORING: &str = r"
UPDATE recommendation_state
SET version = version + 1, result_digest = NULL, scoring_revision = ?
WHERE user_id > ? AND user_id <= ? AND scoring_revision > ?
";

pub(super) async fn lower_scoring(
    pool: &Pool,
    scoring_revision: ScoringRevision,
    after: Option<UserId>,
) -> Result<Option<UserId>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let lower = async |connection: &mut MySqlConnection| {
        let next: Vec<UserRow> =
            query_as(NEXT_USERS).bind(after).bind(CHUNK).fetch_all(&mut *connection).await?;
        let Some(through) = users(next).last().copied() else { return Ok(None) };
        query(LOWER_SCORING)
            .bind(scoring_revision.0)
            .bind(after)
            .bind(through.get())
            .bind(scoring_revision.0)
            .execute(connection)
            .await?;
        Ok(Some(through))
    };
    pool.with_connection(lower).await
}
