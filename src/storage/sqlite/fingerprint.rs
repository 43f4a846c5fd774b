//! Fingerprints of stored rows, and the users whose rows are not those that a run wrote.

use sqlx::query_as;
use sqlx::sqlite::SqliteConnection;
use sqlx_macros::FromRow;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::{ListingId, UserId};
use crate::storage::rows::{UserRow, users};
use crate::storage::{RowsFingerprint, StoreError, StoredRow, content};

/// The checksum of a row, as in [`RowsFingerprint::checksum`]: 32 bits, so that a sum of them never overflows.
pub(super) fn row_checksum(listing: i64, hundredths: i64, reason: &str, data: &str) -> i64 {
    // Lengths keep neighbouring texts apart.
    let row = format!("{listing} {hundredths} {} {reason}{data}", reason.len());
    i64::from(xxh3_64(row.as_bytes()) as u32)
}

const ROWS: &str = r"
SELECT job_listing_id, match_score, COALESCE(match_reason, '') AS match_reason,
       COALESCE(CAST(recommendation_data AS TEXT), '') AS recommendation_data
FROM user_job_recommendations
WHERE user_id = ?
";

#[derive(FromRow)]
struct Row {
    job_listing_id: i64,
    match_score: i64,
    match_reason: String,
    recommendation_data: String,
}

/// The stored rows, each with its checksum and the digest of its contents.
pub(super) async fn listed(
    connection: &mut SqliteConnection,
    user: UserId,
) -> Result<Vec<StoredRow>, StoreError> {
    let rows: Vec<Row> = query_as(ROWS).bind(user.get()).fetch_all(connection).await?;
    let stored = |row: Row| {
        let Row { job_listing_id, match_score, match_reason, recommendation_data } = &row;
        let score = u16::try_from(*match_score).ok();
        StoredRow {
            listing_id: ListingId(*job_listing_id),
            digest: score.map(|score| content::of(score, match_reason, recommendation_data)),
            checksum: row_checksum(*job_listing_id, *match_score, match_reason, recommendation_data),
        }
    };
    Ok(rows.into_iter().map(stored).collect())
}

const REMEMBERED: &str = r"
SELECT saved_count, rows_checksum FROM recommendation_state WHERE user_id = ?
";

/// Whether the user's rows are those that the last replacement left.
pub(super) async fn is_intact(connection: &mut SqliteConnection, user: UserId) -> Result<bool, StoreError> {
    let remembered: Option<(i64, Option<i64>)> =
        query_as(REMEMBERED).bind(user.get()).fetch_optional(&mut *connection).await?;
    let RowsFingerprint { count, checksum } = RowsFingerprint::of(&listed(connection, user).await?);
    Ok(remembered == Some((count, Some(checksum))))
}

/// Users who are neither due nor parked, with rows or with a state that says that there are some.
const AT_REST: &str = r"
SELECT r.user_id
FROM user_job_recommendations AS r
LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id
WHERE r.user_id > ?1 AND r.user_id <= ?2 AND s.due_at IS NULL AND s.parked_at IS NULL
UNION
SELECT user_id
FROM recommendation_state
WHERE user_id > ?1 AND user_id <= ?2 AND due_at IS NULL AND parked_at IS NULL AND saved_count > 0
ORDER BY 1
";

/// The users in a range of ids whose rows another writer has changed, and who are neither due nor parked. Rows of a
/// user without a state are another writer's, too.
pub(super) async fn altered_users(
    connection: &mut SqliteConnection,
    after: i64,
    through: i64,
) -> Result<Vec<UserId>, StoreError> {
    let rows: Vec<UserRow> = query_as(AT_REST).bind(after).bind(through).fetch_all(&mut *connection).await?;
    let mut altered = Vec::new();
    for user in users(rows) {
        if !is_intact(connection, user).await? {
            altered.push(user);
        }
    }
    Ok(altered)
}
