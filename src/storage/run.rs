//! The storage of a run: it reads the user's state and inputs, and replaces or confirms the user's rows.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::coordination::UserGuard;
use crate::domain::{CatalogueVersion, ListingId, Recommendation, ScoringRevision, UserId};

/// Storage for the calculator.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Everything that a run reads of the user, of one moment: inputs that are older than the state, or newer, would
    /// let a run write a list that no longer is right.
    async fn snapshot(&self, user: UserId) -> Result<Snapshot, StoreError>;

    /// [`RunStore::snapshot`] for different users, in their order. The snapshot of each is of one moment.
    async fn snapshots(&self, users: &[UserId]) -> Result<Vec<Snapshot>, StoreError>;

    /// Makes the new rows the user's rows, in one transaction that writes the difference, compares the state's token
    /// and bumps its version. Ends the user's lease and serves the triggers up to [`Basis::serves_seq`].
    async fn replace(&self, replacement: &Replacement) -> Result<Written, StoreError>;

    /// Records that the stored rows are those that the newest inputs give, unless they have been replaced
    /// since. A run that read its inputs before this confirmation and wants to replace the rows then loses:
    /// it would overwrite rows that have just been reported as current. Ends the user's lease and serves
    /// triggers as [`RunStore::replace`] does.
    async fn confirm(&self, confirmation: &Confirmation) -> Result<Written, StoreError>;

    /// [`RunStore::replace`] and [`RunStore::confirm`] for different users, with one commit. `None`: one of them lost its
    /// comparison, or a trigger has come in since for one of the lists. Then no list has been replaced, and
    /// any of the others may have been confirmed. After an error, all may have been written, or none.
    async fn write_together(&self, writes: &[Arc<Write>]) -> Result<Option<Vec<RowChanges>>, StoreError>;

    /// Writes and commits something that no client sees, within [`super::PROBE_LIMIT`]: whether the database takes
    /// writes of any kind. After a failure, connections are made again before they are used.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Makes connections again before they are used: those of this moment may lead to a server that is no longer the
    /// primary.
    fn distrust_connections(&self);
}

/// The result of [`RunStore::snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The user's state row, and the stored rows.
    pub state: UserState,
    /// The user's analyses as other services have stored them.
    pub analysis: StoredAnalysis,
}

/// The state of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserState {
    /// `None`: no calculation and no trigger has ever been recorded for the user.
    pub recorded: Option<RecordedState>,
    /// The rows stored for the user, by any writer.
    pub rows: RowsFingerprint,
    /// The same rows one by one.
    pub listed: Vec<StoredRow>,
    /// The database's clock at the moment of reading.
    pub now: DateTime<Utc>,
    /// Names the server that has answered. A write counts on that server only: around a failover, connections may lead
    /// to two, of which one does not know that the other has newer rows and inputs. Empty for a database in a file.
    pub server: String,
}

/// A stored row, without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The recommended listing.
    pub listing_id: ListingId,
    /// A digest of the score, the reason and the data as a run wrote them. `None`: unknown, because another
    /// writer, or a version that keeps no digests, wrote the row.
    pub digest: Option<u64>,
    /// As in [`RowsFingerprint::checksum`].
    pub checksum: i64,
}

/// The columns of the user's row of `recommendation_state` that a run reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedState {
    /// Compared and bumped by writes.
    pub token: StateToken,
    /// The digest of the rows as a run wrote them; `None` before the first replacement.
    pub result_digest: Option<String>,
    /// The version of the listings that the rows were calculated from, or last confirmed with.
    pub catalogue_version: CatalogueVersion,
    /// The revision of the scoring, likewise.
    pub scoring_revision: ScoringRevision,
    /// The rows as the last replacement left them; `None` before the first one.
    pub rows: Option<RowsFingerprint>,
    /// The number of the newest trigger.
    pub requested_seq: i64,
    /// The newest trigger that a run has served.
    pub completed_seq: i64,
    /// When the rows were last replaced.
    pub calculated_at: Option<DateTime<Utc>>,
    /// When the rows were last replaced or confirmed.
    pub verified_at: Option<DateTime<Utc>>,
}

/// A fingerprint of a user's stored rows, by any writer: equal for equal rows, and different for different rows
/// but for one case in four billion. Only fingerprints of one database compare: each computes them over the values as
/// it stores them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsFingerprint {
    /// The number of rows.
    pub count: i64,
    /// The sum of a checksum of each row: over the listing, the score, the reason and the data.
    pub checksum: i64,
}

impl RowsFingerprint {
    /// The fingerprint of the rows.
    pub fn of(rows: &[StoredRow]) -> Self {
        Self { count: rows.len() as i64, checksum: rows.iter().map(|row| row.checksum).sum() }
    }
}

/// The columns that writes compare and bump; all zero for a user without a state row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateToken {
    /// Committed replacements.
    pub version: i64,
    /// Committed confirmations. A confirmation does not compare them: any number of runs may confirm the
    /// rows.
    pub confirmations: i64,
}

impl UserState {
    /// The token that a compare-and-set must find.
    pub fn token(&self) -> StateToken {
        self.recorded.as_ref().map_or_else(StateToken::default, |recorded| recorded.token)
    }

    /// Whether the stored rows are those that the last replacement left.
    pub fn is_intact(&self) -> bool {
        self.recorded.as_ref().is_some_and(|recorded| recorded.rows == Some(self.rows))
    }

    /// The newest trigger that a run which starts now will have served.
    pub fn requested_seq(&self) -> i64 {
        self.recorded.as_ref().map_or(0, |recorded| recorded.requested_seq)
    }

    /// The basis of a run that has read this state, and its inputs after it.
    pub fn basis(&self, catalogue_version: CatalogueVersion, scoring_revision: ScoringRevision) -> Basis {
        Basis {
            is_recorded: self.recorded.is_some(),
            expected: self.token(),
            serves_seq: self.requested_seq(),
            catalogue_version,
            scoring_revision,
            listed: self.listed.clone(),
            now: self.now,
            server: self.server.clone(),
        }
    }
}

/// A user's analyses, raw: texts are JSON or plain, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAnalysis {
    /// Rows of `job_recommendations`, best first, at most [`MAX_CAREERS`].
    pub job_recommendations: Vec<StoredCareer>,
    /// The newest of the user's `career_analyses`.
    pub career_analysis: Option<CareerAnalysis>,
    /// The user's row of `profile_analysis`.
    pub profile: Option<ProfileAnalysis>,
}

/// The most careers that a calculation takes into account.
pub const MAX_CAREERS: usize = 10;

/// A recommended career: a row of `job_recommendations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct StoredCareer {
    /// The career's name.
    pub job_name: Option<String>,
    /// How well it fits, in per cent, as text.
    pub match_score: Option<String>,
    /// The career's category.
    pub category: Option<String>,
}

/// A row of `career_analyses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct CareerAnalysis {
    /// A JSON array of careers.
    pub recommended_careers: Option<String>,
    /// A JSON array of interests.
    pub interest_areas: Option<String>,
}

/// The columns of a row of `profile_analysis` that ranking uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct ProfileAnalysis {
    /// JSON or text.
    pub interests: Option<String>,
    /// JSON or text.
    pub strengths: Option<String>,
    /// JSON or text.
    pub goals: Option<String>,
    /// JSON or text.
    pub summary: Option<String>,
}

/// The state and the versions that a run's result stands on.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Whether the user had a state row.
    pub is_recorded: bool,
    /// The state's token, read before the inputs.
    pub expected: StateToken,
    /// The newest trigger at that time: the run serves the triggers up to it.
    pub serves_seq: i64,
    /// The version of the listings.
    pub catalogue_version: CatalogueVersion,
    /// The revision of the scoring.
    pub scoring_revision: ScoringRevision,
    /// The stored rows, read with the state.
    pub listed: Vec<StoredRow>,
    /// The database's time, read with the state.
    pub now: DateTime<Utc>,
    /// The server, likewise; see [`UserState::server`].
    pub server: String,
}

impl Basis {
    /// The basis of a write by the holder of the user's lock.
    pub fn under(self, guard: &UserGuard) -> LockedBasis<'_> {
        LockedBasis { guard, basis: self }
    }
}

/// A basis and the lock under which it was read. Only this makes writes, so that none is of another user than the lock's.
#[derive(Debug)]
pub struct LockedBasis<'guard> {
    guard: &'guard UserGuard,
    basis: Basis,
}

impl LockedBasis<'_> {
    /// The user whose rows are written.
    pub fn user(&self) -> UserId {
        self.guard.user()
    }

    /// The replacement of a run that found other rows. `digest` stands for `rows` in later comparisons.
    pub fn replacement(self, rows: Vec<Recommendation>, digest: Arc<str>) -> Replacement {
        Replacement { user: self.user(), basis: self.basis, rows, digest }
    }

    /// The confirmation of a run that found the rows current.
    pub fn confirmation(&self) -> Confirmation {
        Confirmation {
            user: self.user(),
            expected: self.expected,
            serves_seq: self.serves_seq,
            catalogue_version: self.catalogue_version,
            scoring_revision: self.scoring_revision,
            now: self.now,
            server: self.server.clone(),
        }
    }
}

/// That a user's stored rows are current. Only [`LockedBasis::confirmation`] makes one.
#[derive(Clone, Debug)]
pub struct Confirmation {
    pub(super) user: UserId,
    /// As in [`Basis`], as are all others. Confirmations since do not matter.
    pub(super) expected: StateToken,
    pub(super) serves_seq: i64,
    pub(super) catalogue_version: CatalogueVersion,
    pub(super) scoring_revision: ScoringRevision,
    pub(super) now: DateTime<Utc>,
    pub(super) server: String,
}

impl Deref for LockedBasis<'_> {
    type Target = Basis;

    fn deref(&self) -> &Basis {
        &self.basis
    }
}

/// The new rows of a user. Only [`LockedBasis::replacement`] makes one.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub(super) user: UserId,
    /// The state that the rows stand on.
    pub(super) basis: Basis,
    pub(super) rows: Vec<Recommendation>,
    pub(super) digest: Arc<str>,
}

/// A write of a run.
#[derive(Clone, Debug)]
pub enum Write {
    /// See [`RunStore::confirm`].
    Confirm(Confirmation),
    /// See [`RunStore::replace`].
    Replace(Replacement),
}

impl Write {
    /// The user whose list is written.
    pub fn user(&self) -> UserId {
        match self {
            Self::Confirm(confirmation) => confirmation.user,
            Self::Replace(replacement) => replacement.user,
        }
    }

    /// The state's token that was read.
    pub fn expected(&self) -> StateToken {
        match self {
            Self::Confirm(confirmation) => confirmation.expected,
            Self::Replace(replacement) => replacement.basis.expected,
        }
    }
}

/// The end of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// Committed.
    Committed(RowChanges),
    /// Another run has written since the state was read: nothing was written.
    Lost,
}

/// The number of rows of `user_job_recommendations` that a replacement wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// New rows.
    pub inserted: usize,
    /// Rows with another score, reason or data than before.
    pub updated: usize,
    /// Rows that are gone.
    pub deleted: usize,
}
