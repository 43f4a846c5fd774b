//! The replacing transaction of several users: as in [`super::replace`], but each step is one statement for all of them.
//! Rows, states of replacements, and states of confirmations are locked in this order, each in the order of the users'
//! ids.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sqlx::mysql::MySqlConnection;
use sqlx::query;
use sqlx::types::Json;

use super::fingerprint::row_checksum;
use super::pool::Pool;
use super::replace::{chunks, compressed, ensure_state_rows, write};
use super::run::confirm_all;
use super::session::this_server;
use crate::domain::ListingId;
use crate::storage::diff::Difference;
use crate::storage::{Confirmation, Replacement, RowChanges, StoreError, Write, content};

/// A replacement with what is to be written of it.
struct Change<'a> {
    /// Its place among the writes.
    place: usize,
    replacement: &'a Replacement,
    difference: Difference<'a>,
}

/// All writes with one commit, unless one of the users loses its comparison: then nothing is written.
pub(super) async fn write_together(
    pool: &Pool,
    writes: &[Arc<Write>],
) -> Result<Option<Vec<RowChanges>>, StoreError> {
    let (mut confirmations, mut changes) = (Vec::new(), Vec::new());
    for (place, write) in writes.iter().enumerate() {
        match &**write {
            Write::Confirm(confirmation) => confirmations.push(confirmation),
            Write::Replace(replacement) => {
                let difference = Difference::between(&replacement.basis.listed, &replacement.rows);
                changes.push(Change { place, replacement, difference });
            }
        }
    }
    if changes.is_empty() {
        // One statement, which commits by itself.
        let confirm = async |connection: &mut MySqlConnection| confirm_all(connection, &confirmations).await;
        let confirmed = pool.with_connection(confirm).await?;
        return Ok(confirmed.then(|| vec![RowChanges::default(); writes.len()]));
    }
    changes.sort_unstable_by_key(|change| change.replacement.user);
    let new = changes.iter().filter(|change| !change.replacement.basis.is_recorded);
    ensure_state_rows(pool, &new.map(|change| change.replacement.user).collect::<Vec<_>>()).await?;
    let mut transaction = pool.begin().await?;
    if !write_in(&mut transaction, &changes, &confirmations).await? {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    let mut written = vec![RowChanges::default(); writes.len()];
    changes.iter().for_each(|change| written[change.place] = change.difference.changes());
    Ok(Some(written))
}

/// The statements between `BEGIN` and `COMMIT`; returns whether all of it counts.
async fn write_in(
    connection: &mut MySqlConnection,
    changes: &[Change<'_>],
    confirmations: &[&Confirmation],
) -> Result<bool, StoreError> {
    delete(connection, changes).await?;
    let lists = changes.iter().map(|change| (change.replacement, change.difference.write.as_slice()));
    write(connection, lists).await?;
    Ok(compare_and_bump(connection, changes).await? && confirm_all(connection, confirmations).await?)
}

/// Bytes of a statement's parameter. One of more than a TLS record (16 KiB) costs 40 ms; see [`super::replace`].
const MAX_BYTES: usize = 12_000;

const DELETE: &str = r"
DELETE old FROM JSON_TABLE(?, '$[*]' COLUMNS (
    user_id BIGINT PATH '$.user',
    NESTED PATH '$.listings[*]' COLUMNS (listing_id BIGINT PATH '$')
)) AS gone
STRAIGHT_JOIN user_job_recommendations AS old
    ON old.user_id = gone.user_id AND old.job_listing_id = gone.listing_id
";

/// The rows of a user that go.
#[derive(Serialize)]
struct Gone<'a> {
    user: i64,
    listings: &'a [ListingId],
}

async fn delete(connection: &mut MySqlConnection, changes: &[Change<'_>]) -> Result<(), StoreError> {
    let gone = changes.iter().map(|Change { replacement, difference, .. }| Gone {
        user: replacement.user.get(),
        listings: &difference.delete,
    });
    let gone: Vec<Gone<'_>> = gone.filter(|gone| !gone.listings.is_empty()).collect();
    // A number and its comma have ten digits, or rarely more.
    for gone in chunks(&gone, MAX_BYTES, |gone| 50 + 10 * gone.listings.len()) {
        query(DELETE).bind(Json(gone)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// As `replace::COMPARE_AND_BUMP` for several users, each without a newer trigger than the served one. So the order in which
/// the columns are assigned, which is not defined for a join, does not matter. `written` are the listings of the rows that
/// have been written, or NULL for all.
const COMPARE_AND_BUMP: &str = concat!(
    r"
UPDATE JSON_TABLE(CONVERT(UNCOMPRESS(FROM_BASE64(?)) USING utf8mb4), '$[*]' COLUMNS (
    seen_user BIGINT PATH '$.user',
    seen_version BIGINT PATH '$.version',
    seen_confirmations BIGINT PATH '$.confirmations',
    seen_seq BIGINT PATH '$.serves_seq',
    seen_at DATETIME(6) PATH '$.now',
    seen_server VARCHAR(300) CHARACTER SET utf8mb4 PATH '$.server',
    new_digest CHAR(64) CHARACTER SET utf8mb4 PATH '$.digest',
    new_row_digests LONGTEXT CHARACTER SET utf8mb4 PATH '$.row_digests',
    new_catalogue BIGINT PATH '$.catalogue_version',
    new_scoring BIGINT PATH '$.scoring_revision',
    new_count BIGINT PATH '$.saved_count',
    untouched BIGINT PATH '$.untouched',
    written LONGTEXT CHARACTER SET utf8mb4 PATH '$.written'
)) AS seen
STRAIGHT_JOIN recommendation_state AS s
    ON s.user_id = seen_user AND s.version = seen_version AND s.confirmations = seen_confirmations
    AND s.requested_seq <= seen_seq AND seen_server = ",
    this_server!(),
    r"
SET version = seen_version + 1, result_digest = new_digest, row_digests = FROM_BASE64(new_row_digests),
    catalogue_version = new_catalogue, scoring_revision = new_scoring, saved_count = new_count,
    due_at = NULL, requested_at = NULL, completed_seq = GREATEST(completed_seq, seen_seq), lease_token = NULL,
    lease_until = NULL, attempts = 0, parked_at = NULL, last_error_code = NULL, last_error = NULL,
    calculated_at = seen_at, verified_at = seen_at,
    rows_checksum = untouched + (
        SELECT COALESCE(SUM(",
    row_checksum!(),
    r"), 0)
        FROM user_job_recommendations AS r
        WHERE r.user_id = seen_user AND (written IS NULL OR FIND_IN_SET(r.job_listing_id, written) > 0)
    )
"
);

/// A comparison on its way to the server.
#[derive(Serialize)]
struct SentComparison<'a> {
    user: i64,
    version: i64,
    confirmations: i64,
    serves_seq: i64,
    now: String,
    server: &'a str,
    digest: &'a str,
    row_digests: String,
    catalogue_version: i64,
    scoring_revision: i64,
    saved_count: usize,
    untouched: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
}

impl<'a> From<&'a Change<'a>> for SentComparison<'a> {
    fn from(Change { replacement, difference, .. }: &'a Change<'a>) -> Self {
        let Replacement { user, basis, rows, digest } = replacement;
        let written = || difference.written().iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(",");
        Self {
            user: user.get(),
            version: basis.expected.version,
            confirmations: basis.expected.confirmations,
            serves_seq: basis.serves_seq,
            now: basis.now.naive_utc().to_string(),
            server: &basis.server,
            digest,
            row_digests: BASE64_STANDARD.encode(content::encode(basis.expected.version + 1, rows)),
            catalogue_version: basis.catalogue_version.0,
            scoring_revision: basis.scoring_revision.0,
            saved_count: rows.len(),
            untouched: difference.untouched_checksum,
            written: (difference.write.len() < rows.len()).then(written),
        }
    }
}

/// Returns whether all users have won.
async fn compare_and_bump(
    connection: &mut MySqlConnection,
    changes: &[Change<'_>],
) -> Result<bool, StoreError> {
    let sent: Vec<SentComparison<'_>> = changes.iter().map(Into::into).collect();
    // What can be compressed makes up for what Base64 adds.
    for sent in chunks(&sent, MAX_BYTES, |sent| 200 + sent.row_digests.len()) {
        let updated = query(COMPARE_AND_BUMP).bind(compressed(sent)?).execute(&mut *connection).await?;
        if updated.rows_affected() != sent.len() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}
