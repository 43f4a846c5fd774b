//! Fingerprints of stored rows, and the users whose rows are not those that a run wrote.

use sqlx::mysql::MySqlConnection;
use sqlx::query_as;

use crate::domain::UserId;
use crate::storage::StoreError;
use crate::storage::rows::{UserRow, users};

/// The checksum of a row of `user_job_recommendations`, as in
/// [`RowsFingerprint::checksum`](crate::storage::RowsFingerprint::checksum): over the values that clients see, as the
/// table holds them. The server computes it, because columns of other character sets and JSON columns do not return
/// the text that was written.
macro_rules! row_checksum {
    () => {
        "CRC32(CONCAT_WS(' ', r.job_listing_id, ROUND(r.match_score * 100), \
         CRC32(COALESCE(r.match_reason, '')), CRC32(COALESCE(CAST(r.recommendation_data AS CHAR), ''))))"
    };
}
pub(super) use row_checksum;

const ALTERED: &str = concat!(
    r"
SELECT CAST(held.user_id AS SIGNED) AS user_id
FROM (
    SELECT r.user_id, COUNT(*) AS row_count, SUM(",
    row_checksum!(),
    r") AS row_checksum
    FROM user_job_recommendations AS r
    WHERE r.user_id > ? AND r.user_id <= ?
    GROUP BY r.user_id
) AS held
LEFT JOIN recommendation_state AS s ON s.user_id = held.user_id
WHERE s.user_id IS NULL
   OR (s.due_at IS NULL AND s.parked_at IS NULL
       AND (s.saved_count <> held.row_count OR COALESCE(s.rows_checksum <> held.row_checksum, TRUE)))
UNION ALL
SELECT s.user_id
FROM recommendation_state AS s
WHERE s.user_id > ? AND s.user_id <= ? AND s.due_at IS NULL AND s.parked_at IS NULL AND s.saved_count > 0
  AND NOT EXISTS (SELECT 1 FROM user_job_recommendations AS r WHERE r.user_id = s.user_id)
ORDER BY user_id
"
);

/// The users in a range of ids whose rows another writer has changed, and who are neither due nor parked. Rows of a
/// user without a state are another writer's, too.
pub(super) async fn altered_users(
    connection: &mut MySqlConnection,
    after: i64,
    through: i64,
) -> Result<Vec<UserId>, StoreError> {
    let rows: Vec<UserRow> =
        query_as(ALTERED).bind(after).bind(through).bind(after).bind(through).fetch_all(connection).await?;
    Ok(users(rows))
}
