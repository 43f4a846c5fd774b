//! Rows as both databases select them. Column types differ between databases and deployments, so the SQL
//! casts them to text where they may, and the text is read here, forgivingly.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx_macros::FromRow;

use super::known_listings::ReadListing;
use super::{
    BatchStatus, DueUser, RecordedState, RowsFingerprint, StateToken, StoredList, StoredRecommendation,
    StoredRow, UserState, checksum, content,
};
use crate::domain::{BatchId, CatalogueVersion, JobListing, ListingId, ScoringRevision, UserId};

/// The columns of `recommendation_state`.
#[derive(FromRow)]
pub(super) struct StateRow {
    now: DateTime<Utc>,
    /// This column and all columns below are NULL for a user without a state row.
    version: Option<i64>,
    confirmations: Option<i64>,
    result_digest: Option<String>,
    catalogue_version: Option<i64>,
    scoring_revision: Option<i64>,
    saved_count: Option<i64>,
    rows_checksum: Option<i64>,
    /// Only where the store lists rows without their contents: see [`content`].
    #[sqlx(default)]
    row_digests: Option<Vec<u8>>,
    requested_seq: Option<i64>,
    completed_seq: Option<i64>,
    calculated_at: Option<DateTime<Utc>>,
    verified_at: Option<DateTime<Utc>>,
}

impl StateRow {
    /// The digests of the rows that the state's version wrote.
    pub(super) fn digests(&self) -> HashMap<ListingId, u64> {
        let column = self.version.zip(self.row_digests.as_deref());
        column.map(|(version, digests)| content::decode(version, digests)).unwrap_or_default()
    }

    /// The state, with the stored rows. Their contents count as unknown if another writer has changed any of them: then
    /// the next replacement writes them all.
    pub(super) fn with(self, listed: Vec<StoredRow>) -> UserState {
        let row = self;
        let saved_count = row.saved_count.unwrap_or_default();
        let recorded = row.version.map(|version| RecordedState {
            token: StateToken { version, confirmations: row.confirmations.unwrap_or_default() },
            result_digest: row.result_digest,
            catalogue_version: CatalogueVersion(row.catalogue_version.unwrap_or_default()),
            scoring_revision: ScoringRevision(row.scoring_revision.unwrap_or_default()),
            rows: row.rows_checksum.map(|checksum| RowsFingerprint { count: saved_count, checksum }),
            requested_seq: row.requested_seq.unwrap_or_default(),
            completed_seq: row.completed_seq.unwrap_or_default(),
            calculated_at: row.calculated_at,
            verified_at: row.verified_at,
        });
        let mut state = UserState {
            recorded,
            rows: RowsFingerprint::of(&listed),
            listed,
            now: row.now,
            server: String::new(),
        };
        if !state.is_intact() {
            state.listed.iter_mut().for_each(|row| row.digest = None);
        }
        state
    }
}

/// A due user.
#[derive(FromRow)]
pub(super) struct DueRow {
    user_id: i64,
    attempts: i32,
    requested_seq: i64,
}

impl DueRow {
    /// `None` for an id that is no user's; only this service writes the table.
    pub(super) fn into_due_user(self) -> Option<DueUser> {
        let user = UserId::try_from(self.user_id).ok()?;
        Some(DueUser {
            user,
            attempts: self.attempts.max(0).unsigned_abs(),
            requested_seq: self.requested_seq,
        })
    }
}

/// One of the users that a statement selects as `user_id`.
#[derive(FromRow)]
pub(super) struct UserRow {
    user_id: i64,
}

/// The users of the rows, without ids that no user has.
pub(super) fn users(rows: Vec<UserRow>) -> Vec<UserId> {
    rows.into_iter().filter_map(|row| UserId::try_from(row.user_id).ok()).collect()
}

/// A batch.
#[derive(FromRow)]
pub(super) struct BatchRow {
    pub id: i64,
    scope: String,
    opened_at: DateTime<Utc>,
    marked: i64,
    marking_ended_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// The result, stored when the batch is finished.
    computed: Option<i64>,
    unchanged: Option<i64>,
    parked: Option<i64>,
}

/// The users of a batch, counted by their state.
#[derive(FromRow)]
pub(super) struct BatchCounts {
    pub due: i64,
    pub running: i64,
    pub computed: i64,
    pub unchanged: i64,
    pub parked: i64,
}

impl BatchRow {
    /// The counts of a finished batch.
    pub(super) fn result(&self) -> Option<BatchCounts> {
        let ((computed, unchanged), parked) = self.computed.zip(self.unchanged).zip(self.parked)?;
        Some(BatchCounts { due: 0, running: 0, computed, unchanged, parked })
    }

    pub(super) fn with(self, counts: BatchCounts) -> BatchStatus {
        BatchStatus {
            id: BatchId(self.id),
            scope: self.scope,
            opened_at: self.opened_at,
            marked: self.marked,
            marking_ended_at: self.marking_ended_at,
            finished_at: self.finished_at,
            due: counts.due,
            running: counts.running,
            computed: counts.computed,
            unchanged: counts.unchanged,
            parked: counts.parked,
        }
    }
}

/// A stored recommendation with its listing, for clients. The first two columns are the same in all rows.
#[derive(Clone, FromRow)]
pub(super) struct ListRow {
    stored_count: i64,
    calculated_at: Option<DateTime<Utc>>,
    job_listing_id: i64,
    match_score: f64,
    match_reason: Option<String>,
    recommendation_data: Option<String>,
    title: Option<String>,
    company: Option<String>,
    location: Option<String>,
    url: Option<String>,
    description: Option<String>,
    site_name: Option<String>,
    tech_stack: Option<String>,
    required_skills: Option<String>,
    experience: Option<String>,
    crawled_at: Option<String>,
}

/// The list of the best rows. Those that score less than `min_score` points are the last ones.
pub(super) fn stored_list(rows: Vec<ListRow>, min_score: u8) -> StoredList {
    let (stored_count, calculated_at) =
        rows.first().map_or((0, None), |row| (row.stored_count, row.calculated_at));
    let good = rows.into_iter().take_while(|row| row.match_score >= min_score.into());
    StoredList { rows: good.map(Into::into).collect(), stored_count, calculated_at }
}

impl From<ListRow> for StoredRecommendation {
    fn from(row: ListRow) -> Self {
        Self {
            listing_id: ListingId(row.job_listing_id),
            title: row.title.unwrap_or_default(),
            company: row.company.unwrap_or_default(),
            location: row.location.unwrap_or_default(),
            url: row.url.unwrap_or_default(),
            description: row.description.unwrap_or_default(),
            site_name: row.site_name.unwrap_or_default(),
            tech_stack: row.tech_stack.unwrap_or_default(),
            required_skills: row.required_skills.unwrap_or_default(),
            experience: row.experience.unwrap_or_default(),
            crawled_at: row.crawled_at.unwrap_or_default(),
            match_score: row.match_score,
            match_reason: row.match_reason.unwrap_or_default(),
            data: row.recommendation_data.unwrap_or_default(),
        }
    }
}

/// The columns of a listing that ranking reads.
#[derive(FromRow)]
pub(super) struct ListingRow {
    id: i64,
    title: Option<String>,
    company: Option<String>,
    description: Option<String>,
    experience: Option<String>,
    tech_stack: Option<String>,
    required_skills: Option<String>,
    /// As text: crawlers leave values such as `0000-00-00`, which must not fail the read.
    crawled_at: Option<String>,
    updated_at: Option<String>,
}

impl ListingRow {
    /// The listing, when it was last changed, and the checksum of the texts as they are here.
    pub(super) fn into_listing(self) -> ReadListing {
        let checksum = checksum::of_listing(
            self.id,
            [
                &self.title,
                &self.company,
                &self.description,
                &self.experience,
                &self.tech_stack,
                &self.required_skills,
                &self.crawled_at,
            ],
        );
        let listing = JobListing {
            id: ListingId(self.id),
            title: self.title.unwrap_or_default(),
            company: self.company.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            experience: self.experience.unwrap_or_default(),
            tech_stack: self.tech_stack.unwrap_or_default(),
            required_skills: self.required_skills.unwrap_or_default(),
            crawled_at: self.crawled_at.as_deref().and_then(time),
        };
        ReadListing { listing, updated_at: self.updated_at.as_deref().and_then(time), checksum }
    }
}

/// A UTC time as either database writes it; `None` for any other text.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .map(|time| time.and_utc())
        .or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_databases_are_read_and_any_other_text_is_no_time() {
        let expected = DateTime::parse_from_rfc3339("2026-10-01T02:03:04.5Z").unwrap().to_utc();
        assert_eq!(time("2026-10-01 02:03:04.500000"), Some(expected));
        assert_eq!(time("2026-10-01T02:03:04.500Z"), Some(expected));
        assert_eq!(time("0000-00-00 00:00:00"), None);
        assert_eq!(time("yesterday"), None);
    }
}
