//! The replacing transaction.

use std::io::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::SubsecRound;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use sqlx::mysql::MySqlConnection;
use sqlx::query;
use sqlx::types::Json;

use super::fingerprint::row_checksum;
use super::pool::Pool;
use super::session::this_server;
use crate::domain::{ListingId, Recommendation, UserId};
use crate::storage::diff::Difference;
use crate::storage::{Replacement, StoreError, Written, content};

/// Writes the difference, and then compares and bumps the version, which says whether all of it counts. Runs of one user
/// that meet wait for each other's rows; the second one loses the comparison and is rolled back. After any error the
/// transaction is dropped, and thereby rolled back: a lock wait timeout (1205) undoes only its own statement, and a
/// commit after it would keep half of the list.
pub(super) async fn replace(pool: &Pool, replacement: &Replacement) -> Result<Written, StoreError> {
    if !replacement.basis.is_recorded {
        ensure_state_rows(pool, &[replacement.user]).await?;
    }
    let mut transaction = pool.begin().await?;
    let written = replace_in(&mut transaction, replacement).await?;
    match written {
        Written::Committed(_) => transaction.commit().await?,
        Written::Lost => transaction.rollback().await?,
    }
    Ok(written)
}

/// The statements between `BEGIN` and `COMMIT`.
async fn replace_in(
    connection: &mut MySqlConnection,
    replacement: &Replacement,
) -> Result<Written, StoreError> {
    let Replacement { user, basis, rows, .. } = replacement;
    let difference = Difference::between(&basis.listed, rows);
    delete(connection, *user, basis.listed.len(), &difference.delete).await?;
    write(connection, [(replacement, difference.write.as_slice())]).await?;
    let won = compare_and_bump(connection, replacement, &difference).await?;
    Ok(if won { Written::Committed(difference.changes()) } else { Written::Lost })
}

const ENSURE_STATE_ROWS: &str = r"
INSERT INTO recommendation_state (user_id)
SELECT asked.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS asked ORDER BY asked.id
ON DUPLICATE KEY UPDATE user_id = recommendation_state.user_id
";

/// Outside the transaction, because two transactions that insert the same key and then update it deadlock.
pub(super) async fn ensure_state_rows(pool: &Pool, users: &[UserId]) -> Result<(), StoreError> {
    if !users.is_empty() {
        let ensure = query(ENSURE_STATE_ROWS).bind(Json(users));
        pool.with_connection(async |connection| Ok(ensure.execute(connection).await?)).await?;
    }
    Ok(())
}

/// The statement, with the checksum of the rows that have been written. The lines from due_at to last_error are the same
/// as in `run::CONFIRM`, where they are explained.
macro_rules! compare_and_bump {
    ($written:expr) => {
        concat!(
            r"
UPDATE recommendation_state
SET version = version + 1, result_digest = ?, row_digests = FROM_BASE64(?), catalogue_version = ?,
    scoring_revision = ?, saved_count = ?,
    due_at = CASE WHEN requested_seq <= ? THEN NULL
                  WHEN parked_at IS NULL THEN due_at
                  ELSE UTC_TIMESTAMP(6) END,
    requested_at = CASE WHEN requested_seq <= ? THEN NULL ELSE requested_at END,
    completed_seq = GREATEST(completed_seq, ?), lease_token = NULL, lease_until = NULL, attempts = 0,
    parked_at = NULL, last_error_code = NULL, last_error = NULL,
    calculated_at = ?, verified_at = ?,
    rows_checksum = ? + (
        SELECT COALESCE(SUM(",
            row_checksum!(),
            r"), 0)
        FROM user_job_recommendations AS r",
            $written,
            r"
        WHERE r.user_id = ?
    )
WHERE user_id = ? AND version = ? AND confirmations = ?
  AND ",
            this_server!(),
            r" = ?
"
        )
    };
}

/// For a list of which every row has been written. A row that another writer commits meanwhile counts, too, but is one
/// too many: the next run finds it.
const COMPARE_AND_BUMP: &str = compare_and_bump!("");

/// For a list of which some rows have been left as they were read. A row that another writer changes or commits meanwhile
/// does not count: the next run finds that the rows differ.
const COMPARE_AND_BUMP_PART: &str = compare_and_bump!(
    r"
        JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS written ON r.job_listing_id = written.id"
);

async fn compare_and_bump(
    connection: &mut MySqlConnection,
    Replacement { user, basis, rows, digest }: &Replacement,
    difference: &Difference<'_>,
) -> Result<bool, StoreError> {
    let whole = difference.write.len() == rows.len();
    let mut update = query(if whole { COMPARE_AND_BUMP } else { COMPARE_AND_BUMP_PART })
        .bind(&**digest)
        .bind(BASE64_STANDARD.encode(content::encode(basis.expected.version + 1, rows)))
        .bind(basis.catalogue_version.0)
        .bind(basis.scoring_revision.0)
        .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
        .bind(basis.serves_seq)
        .bind(basis.serves_seq)
        .bind(basis.serves_seq)
        .bind(basis.now)
        .bind(basis.now)
        .bind(difference.untouched_checksum);
    if !whole {
        update = update.bind(Json(difference.written()));
    }
    let updated = update
        .bind(user.get())
        .bind(user.get())
        .bind(basis.expected.version)
        .bind(basis.expected.confirmations)
        .bind(&basis.server)
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() == 1)
}

/// A row on its way to the server. All rows of a statement are one JSON parameter, so that each statement has
/// one text and is prepared once. MySQL 8 and MariaDB 10.6 read it.
#[derive(Serialize)]
struct SentRow<'a> {
    user: i64,
    now: String,
    id: ListingId,
    hundredths: u16,
    reason: &'a str,
    /// JSON inside JSON: MariaDB's JSON_TABLE cannot return an object.
    data: &'a str,
}

impl<'a> SentRow<'a> {
    fn new(replacement: &Replacement, row: &'a Recommendation) -> Self {
        // Tables of the old service keep whole seconds, and MySQL would round a fraction up.
        let now = replacement.basis.now.trunc_subsecs(0).naive_utc().to_string();
        let Recommendation { listing_id, score, reason, data } = row;
        Self { user: replacement.user.get(), now, id: *listing_id, hundredths: score.0, reason, data }
    }
}

/// Bytes of rows per statement, before they are compressed to about a sixth. A statement of more than one TLS record
/// (16 KiB) costs 40 ms: the driver does not set TCP_NODELAY, so the end of the second record waits for a delayed
/// acknowledgement.
const MAX_STATEMENT_BYTES: usize = 60_000;

/// The items in as few parts as possible, each of at most so many bytes or of one item.
pub(super) fn chunks<T>(items: &[T], most: usize, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut left = items;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = |item: &&T| {
            sum += bytes(item);
            sum <= most
        };
        let count = left.iter().take_while(fits).count().max(1).min(left.len());
        let (chunk, rest) = left.split_at(count);
        left = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// A JSON array as UNCOMPRESS reads it (the length of the JSON, then the JSON by zlib), in Base64: the server's lists of
/// statements in progress cannot be read while one of them has bytes that are no text.
pub(super) fn compressed(sent: &[impl Serialize]) -> Result<String, StoreError> {
    let json = serde_json::to_vec(sent).map_err(StoreError::refused)?;
    let length = u32::try_from(json.len()).map_err(StoreError::refused)?;
    let mut zlib = ZlibEncoder::new(length.to_le_bytes().to_vec(), Compression::fast());
    let bytes = zlib.write_all(&json).and_then(|()| zlib.finish()).map_err(StoreError::refused)?;
    Ok(BASE64_STANDARD.encode(bytes))
}

const DELETE: &str = r"
DELETE old FROM user_job_recommendations AS old
JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS gone ON old.job_listing_id = gone.id
WHERE old.user_id = ?
";

/// If none of the stored rows is left.
const DELETE_ALL: &str = r"
DELETE old FROM user_job_recommendations AS old WHERE old.user_id = ?
";

async fn delete(
    connection: &mut MySqlConnection,
    user: UserId,
    stored: usize,
    ids: &[ListingId],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let delete = if ids.len() == stored {
        query(DELETE_ALL).bind(user.get())
    } else {
        query(DELETE).bind(Json(ids)).bind(user.get())
    };
    delete.execute(connection).await?;
    Ok(())
}

/// Inserts the rows, or gives those that are there already their new contents.
const WRITE: &str = r"
INSERT INTO user_job_recommendations
    (user_id, job_listing_id, match_score, match_reason, recommendation_data, calculated_at, created_at,
     updated_at)
SELECT n.listed, n.id, n.hundredths / 100, n.reason, n.data, n.moment, n.moment, n.moment
FROM JSON_TABLE(CONVERT(UNCOMPRESS(FROM_BASE64(?)) USING utf8mb4), '$[*]' COLUMNS (
    listed BIGINT PATH '$.user',
    moment DATETIME PATH '$.now',
    id BIGINT PATH '$.id',
    hundredths INT PATH '$.hundredths',
    reason TEXT CHARACTER SET utf8mb4 PATH '$.reason',
    data LONGTEXT CHARACTER SET utf8mb4 PATH '$.data'
)) AS n
ORDER BY n.listed, n.id
ON DUPLICATE KEY UPDATE match_score = n.hundredths / 100, match_reason = n.reason, recommendation_data = n.data,
    calculated_at = n.moment, updated_at = n.moment
";

/// Writes rows of replacements.
pub(super) async fn write<'a>(
    connection: &mut MySqlConnection,
    lists: impl IntoIterator<Item = (&'a Replacement, &'a [&'a Recommendation])>,
) -> Result<(), StoreError> {
    let of_list = |(replacement, rows): (&'a Replacement, &'a [&'a Recommendation])| {
        rows.iter().map(move |row| SentRow::new(replacement, row))
    };
    let rows: Vec<SentRow<'_>> = lists.into_iter().flat_map(of_list).collect();
    for rows in chunks(&rows, MAX_STATEMENT_BYTES, |row| row.reason.len() + row.data.len()) {
        let written = query(WRITE).bind(compressed(rows)?).execute(&mut *connection).await?;
        // One for each new row and two for each other one; none at all if the server cannot uncompress them.
        if written.rows_affected() < rows.len() as u64 {
            return Err(StoreError::refused("the server has not taken all rows"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_hold_all_items_in_order_and_no_more_bytes_than_they_may(
            sizes in proptest::collection::vec(0..900usize, 0..20),
        ) {
            let mut seen: Vec<usize> = Vec::new();
            for chunk in chunks(&sizes, 600, |size| *size) {
                prop_assert!(!chunk.is_empty());
                prop_assert!(chunk.len() == 1 || chunk.iter().sum::<usize>() <= 600);
                seen.extend(chunk);
            }
            prop_assert_eq!(seen, sizes);
        }
    }
}
