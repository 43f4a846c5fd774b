//! The effect of every storage operation on one user, as pure functions: the meaning of the SQL. The model explores
//! them; `tests/it/state_machine.rs` holds every database to them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use job_agent::domain::{CatalogueVersion, Lane, ListingId, ScoringRevision, UserId};
use job_agent::storage::{
    Basis, DueUser, GiveBack, RecordedState, RowChanges, RowsFingerprint, StateToken, StoredRow, UserState,
    Written,
};

/// The rows that the database has for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The row of `recommendation_state`; `None`: there is none.
    pub recorded: Option<Recorded>,
    /// The rows of `user_job_recommendations`.
    pub list: List,
}

/// A stored list. Lists are numbered: the list `n` has `n` rows and the digest `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct List {
    pub number: u8,
    /// Another writer has changed or removed rows since a run wrote them.
    pub altered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    pub version: u16,
    pub confirmations: u16,
    pub digest: Option<u8>,
    pub catalogue_version: u8,
    pub scoring_revision: u8,
    pub requested_seq: u16,
    pub completed_seq: u16,
    pub calculated_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub due: Due,
    /// `requested_at` is set.
    pub waiting: bool,
    pub lane: Lane,
    pub lease: Option<Lease>,
    pub attempts: u8,
    pub parked: bool,
    pub error: Option<&'static str>,
    pub batch: Option<u16>,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            version: 0,
            confirmations: 0,
            digest: None,
            catalogue_version: 0,
            scoring_revision: 0,
            requested_seq: 0,
            completed_seq: 0,
            calculated_at: None,
            verified_at: None,
            due: Due::No,
            waiting: false,
            lane: Lane::RealTime,
            lease: None,
            attempts: 0,
            parked: false,
            error: None,
            batch: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    No,
    Now,
    /// After a pause.
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub token: u8,
    /// Its time is over: another worker may claim the user.
    pub over: bool,
}

impl User {
    /// The state of `RunStore::snapshot`.
    pub fn state(&self, now: DateTime<Utc>) -> UserState {
        let number = self.list.number;
        let stored = fingerprint(number);
        let rows = if self.list.altered { RowsFingerprint { checksum: -1, ..stored } } else { stored };
        let known = (!self.list.altered).then_some(number.into());
        let row = |id: u8| StoredRow { listing_id: ListingId(id.into()), digest: known, checksum: 0 };
        let recorded = self.recorded.as_ref().map(|recorded| RecordedState {
            token: recorded.token(),
            result_digest: recorded.digest.map(digest),
            catalogue_version: CatalogueVersion(recorded.catalogue_version.into()),
            scoring_revision: ScoringRevision(recorded.scoring_revision.into()),
            rows: recorded.digest.map(|_| stored),
            requested_seq: recorded.requested_seq.into(),
            completed_seq: recorded.completed_seq.into(),
            calculated_at: recorded.calculated_at,
            verified_at: recorded.verified_at,
        });
        UserState { recorded, rows, listed: (1..=number).map(row).collect(), now, server: String::new() }
    }

    /// `RunStore::replace` by the list `number`.
    pub fn replace(&mut self, basis: &Basis, number: u8) -> Written {
        if basis.expected == StateToken::default() {
            self.recorded.get_or_insert_default();
        }
        let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.token() == basis.expected)
        else {
            return Written::Lost;
        };
        recorded.version += 1;
        recorded.digest = Some(number);
        recorded.catalogue_version = small(basis.catalogue_version.0);
        recorded.scoring_revision = small(basis.scoring_revision.0);
        recorded.serve(basis.serves_seq);
        recorded.calculated_at = Some(basis.now);
        recorded.verified_at = Some(basis.now);
        // Rows that are not written stay as another writer has left them since they were read.
        let is_written = |row: &StoredRow| row.digest != Some(number.into());
        let untouched = !basis.listed.is_empty() && !basis.listed.iter().any(is_written);
        self.list = List { number, altered: self.list.altered && untouched };
        Written::Committed(RowChanges::default())
    }

    /// `RunStore::confirm`.
    pub fn confirm(&mut self, basis: &Basis) -> Written {
        let version = basis.expected.version;
        let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.token().version == version)
        else {
            return Written::Lost;
        };
        recorded.confirmations += 1;
        recorded.catalogue_version = recorded.catalogue_version.max(small(basis.catalogue_version.0));
        recorded.scoring_revision = recorded.scoring_revision.max(small(basis.scoring_revision.0));
        recorded.serve(basis.serves_seq);
        recorded.verified_at = Some(basis.now);
        Written::Committed(RowChanges::default())
    }

    /// `QueueStore::request_run`.
    pub fn request_run(&mut self) -> i64 {
        let recorded = self.recorded.get_or_insert_default();
        recorded.requested_seq += 1;
        recorded.waiting |= recorded.due == Due::No && !recorded.parked;
        if recorded.parked {
            recorded.attempts = 0;
        }
        recorded.lane = Lane::RealTime;
        recorded.due = Due::Now;
        recorded.parked = false;
        recorded.requested_seq.into()
    }

    /// The user in the answer of `QueueStore::due_users`, in either lane.
    pub fn due(&self, user: UserId, scoring_revision: ScoringRevision) -> Option<DueUser> {
        let recorded = self.recorded.as_ref()?;
        let due = recorded.due == Due::Now && recorded.lease.is_none_or(|lease| lease.over);
        (due && i64::from(recorded.scoring_revision) <= scoring_revision.0).then(|| DueUser {
            user,
            attempts: recorded.attempts.into(),
            requested_seq: recorded.requested_seq.into(),
        })
    }

    /// `QueueStore::claim`.
    pub fn claim(&mut self, due: &DueUser, token: u8, scoring_revision: ScoringRevision) -> bool {
        let claimed = self.due(due.user, scoring_revision).as_ref() == Some(due);
        if let Some(recorded) = self.recorded.as_mut().filter(|_| claimed) {
            recorded.lease = Some(Lease { token, over: false });
            recorded.attempts += 1;
        }
        claimed
    }

    /// `QueueStore::give_back`.
    pub fn give_back(&mut self, due: &DueUser, token: u8, how: &GiveBack) {
        let Some(recorded) = self.recorded.as_mut() else { return };
        if recorded.lease.is_none_or(|lease| lease.token != token) {
            return;
        }
        let newer = i64::from(recorded.requested_seq) > due.requested_seq;
        recorded.lease = None;
        // A trigger that came in since the claim shortens the delay after a failure, but not after a run that never
        // started.
        let later = |after: &Duration| if after.is_zero() { Due::Now } else { Due::Later };
        let error = match how {
            // Also after a failure that is the server's fault.
            GiveBack::Untried { after } => {
                recorded.attempts = recorded.attempts.saturating_sub(1);
                recorded.due = later(after);
                None
            }
            GiveBack::Failed { after, error } => {
                if !newer {
                    recorded.due = later(after);
                }
                Some(error)
            }
            GiveBack::Parked { error } => {
                if newer {
                    recorded.attempts = 0;
                } else {
                    (recorded.parked, recorded.due) = (true, Due::No);
                }
                Some(error)
            }
        };
        recorded.error = error.map(|error| error.code).or(recorded.error);
    }

    /// `Store::retry_parked`, of all parked users.
    pub fn retry_parked(&mut self) {
        if let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.parked) {
            (recorded.parked, recorded.attempts, recorded.due) = (false, 0, Due::Now);
        }
    }

    /// `BatchStore::mark_batch`, for a user of the batch.
    pub fn mark_due(&mut self, batch: u16) {
        let known = self.recorded.is_some();
        let recorded = self.recorded.get_or_insert_default();
        recorded.requested_seq += 1;
        recorded.batch = Some(batch);
        if recorded.due == Due::No {
            recorded.lane = Lane::Batch;
        }
        recorded.waiting |= recorded.due == Due::No && !recorded.parked || !known;
        if recorded.parked {
            recorded.attempts = recorded.attempts.saturating_sub(1);
        }
        if recorded.due == Due::No {
            recorded.due = Due::Now;
        }
        recorded.parked = false;
    }

    /// `BatchStore::clean_up` of a list that no run has found current since `since`. Whether it was removed.
    pub fn remove_list(&mut self, since: DateTime<Utc>) -> bool {
        let Some(recorded) = self.recorded.as_mut() else { return false };
        let old = recorded.verified_at.is_some_and(|verified| verified < since);
        let removed = old && recorded.due == Due::No && self.list.number > 0;
        if removed {
            recorded.version += 1;
            recorded.digest = None;
            self.list = List::default();
        }
        removed
    }

    /// `BatchStore::clean_up` of rows whose listing is gone in the listings of `catalogue_version`: a run that has
    /// older listings in memory must read the newer ones first.
    pub fn remove_dangling_rows(&mut self, catalogue_version: u8) {
        let Some(recorded) = self.recorded.as_mut() else { return };
        recorded.version += 1;
        recorded.digest = None;
        recorded.catalogue_version = recorded.catalogue_version.max(catalogue_version);
        recorded.requested_seq += 1;
        recorded.waiting = true;
        if recorded.due == Due::No {
            recorded.lane = Lane::Batch;
            if !recorded.parked {
                recorded.due = Due::Now;
            }
        }
        self.list.altered = true;
    }

    /// Another writer has altered the list, and neither a worker nor an operator has the user in hand.
    pub fn is_altered_unnoticed(&self) -> bool {
        self.list.altered
            && self.recorded.as_ref().is_none_or(|recorded| recorded.due == Due::No && !recorded.parked)
    }

    /// `BatchStore::clean_up` of a list that another writer has altered. Whether the user was made due.
    pub fn notice_altered(&mut self) -> bool {
        let noticed = self.is_altered_unnoticed();
        if noticed {
            let recorded = self.recorded.get_or_insert_default();
            recorded.requested_seq += 1;
            recorded.waiting = true;
            recorded.lane = Lane::Batch;
            recorded.due = Due::Now;
        }
        noticed
    }

    /// The time of the lease is over.
    pub fn expire_lease(&mut self) {
        if let Some(lease) = self.recorded.as_mut().and_then(|recorded| recorded.lease.as_mut()) {
            lease.over = true;
        }
    }

    /// The pause after a failure is over.
    pub fn end_pause(&mut self) {
        if let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.due == Due::Later) {
            recorded.due = Due::Now;
        }
    }
}

impl Recorded {
    pub fn token(&self) -> StateToken {
        StateToken { version: self.version.into(), confirmations: self.confirmations.into() }
    }

    /// The effect of every committed run on the background work.
    fn serve(&mut self, serves_seq: i64) {
        if i64::from(self.requested_seq) <= serves_seq {
            (self.due, self.waiting) = (Due::No, false);
        } else if self.parked {
            self.due = Due::Now;
        }
        self.completed_seq = self.completed_seq.max(u16::try_from(serves_seq).unwrap());
        (self.lease, self.attempts, self.parked, self.error) = (None, 0, false, None);
    }
}

/// The digest of the list `number`.
pub fn digest(number: u8) -> String {
    number.to_string()
}

fn fingerprint(list: u8) -> RowsFingerprint {
    RowsFingerprint { count: list.into(), checksum: list.into() }
}

fn small(version: i64) -> u8 {
    u8::try_from(version).unwrap()
}
