//! `job-agent retry --all`: parked users become due.

use sqlx::sqlite::SqlitePool;
use sqlx::types::Json;
use sqlx::{query, query_as};

use crate::domain::UserId;
use crate::storage::rows::{UserRow, users};
use crate::storage::{Retried, StoreError};

/// Users per step.
const CHUNK: u32 = 500;

const NEXT_USERS: &str = r"
SELECT user_id
FROM recommendation_state
WHERE parked_at IS NOT NULL AND user_id > ?1 AND last_error_code = COALESCE(?2, last_error_code)
ORDER BY user_id
LIMIT ?3
";

/// In the lane in which they were parked, with all attempts left.
const MAKE_DUE: &str = r"
UPDATE recommendation_state
SET attempts = 0, due_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), parked_at = NULL
WHERE parked_at IS NOT NULL AND user_id IN (SELECT value FROM json_each(?))
";

pub(super) async fn retry(
    pool: &SqlitePool,
    code: Option<&str>,
    after: Option<UserId>,
) -> Result<Option<Retried>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let next: Vec<UserRow> = query_as(NEXT_USERS).bind(after).bind(code).bind(CHUNK).fetch_all(pool).await?;
    let next = users(next);
    let Some(through) = next.last().copied() else { return Ok(None) };
    let updated = query(MAKE_DUE).bind(Json(&next)).execute(pool).await?;
    Ok(Some(Retried { through, users: updated.rows_affected() }))
}
