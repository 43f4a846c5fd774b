//! `job-agent retry --all`: parked users become due.

use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{query, query_as};

use super::pool::Pool;
use crate::domain::UserId;
use crate::storage::rows::{UserRow, users};
use crate::storage::{Retried, StoreError};

/// Users per step.
const CHUNK: u32 = 500;

const NEXT_USERS: &str = r"
SELECT user_id
FROM recommendation_state
WHERE parked_at IS NOT NULL AND user_id > ? AND last_error_code = COALESCE(?, last_error_code)
ORDER BY user_id
LIMIT ?
";

/// In the lane in which they were parked, with all attempts left.
const MAKE_DUE: &str = r"
UPDATE recommendation_state AS s
JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS parked ON s.user_id = parked.id
SET s.attempts = 0, s.due_at = UTC_TIMESTAMP(6), s.parked_at = NULL
WHERE s.parked_at IS NOT NULL
";

pub(super) async fn retry(
    pool: &Pool,
    code: Option<&str>,
    after: Option<UserId>,
) -> Result<Option<Retried>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let retry = async |connection: &mut MySqlConnection| {
        let next: Vec<UserRow> =
            query_as(NEXT_USERS).bind(after).bind(code).bind(CHUNK).fetch_all(&mut *connection).await?;
        let next = users(next);
        let Some(through) = next.last().copied() else { return Ok(None) };
        let updated = query(MAKE_DUE).bind(Json(&next)).execute(connection).await?;
        Ok(Some(Retried { through, users: updated.rows_affected() }))
    };
    pool.with_connection(retry).await
}
