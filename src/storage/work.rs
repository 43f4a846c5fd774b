//! Background work as the database holds it: due users, leases, batches and schedules.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::UserId;

/// Which workers serve a due user. A trigger moves a user from the batch to real time, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Somebody has asked for the user just now.
    RealTime = 0,
    /// The user is one of a batch.
    Batch = 1,
}

/// A user whom a worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueUser {
    pub user: UserId,
    /// Leases taken since the last success.
    pub attempts: u32,
    /// The newest trigger; whoever comes in later is not covered by a failure.
    pub requested_seq: i64,
}

/// A worker's claim on a due user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Unique per claim, and readable for an operator.
    pub token: String,
    /// How long others leave the user alone if the worker is never heard of again, by the database's clock.
    pub duration: Duration,
}

/// How a worker ends a claim whose run did not end well. (One that did has ended the claim itself.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// Not the user's fault: due again, whatever has come in since, and the attempt is not counted.
    Untried { after: Duration },
    /// Due again, with one attempt less left; at once if a trigger has come in since the claim.
    Failed { after: Duration, error: WorkError },
    /// Left alone until the next trigger; due at once if one has come in since the claim.
    Parked { error: WorkError },
}

/// Why a run in the background failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkError {
    /// Stable, for users of the API.
    pub code: &'static str,
    /// The cause, for operators.
    pub cause: String,
}

/// A lease that ends later than this from now comes from a clock that was wrong: it counts as free. Also
/// the upper bound of what may be configured, doubled.
pub(super) const ABSURD_LEASE: Duration = Duration::from_secs(3_600);
/// A user who is due later than this from now comes from a clock that was wrong: due at once.
pub(super) const ABSURD_DELAY: Duration = Duration::from_secs(86_400);
/// An analysis makes its user active for this long.
pub(super) const ACTIVE_DAYS: u32 = 30;

/// What is known of one user's list.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct UserStatus {
    /// A trigger is recorded that has not been served.
    pub pending: bool,
    /// A worker holds a lease.
    pub running: bool,
    pub requested_at: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub parked_at: Option<DateTime<Utc>>,
    pub attempts: u32,
    pub last_error_code: Option<String>,
    pub last_error: Option<String>,
    pub calculated_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub saved_count: i64,
}

/// How much work there is, over all instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct QueueCounts {
    /// Due in real time or waiting for another try, and not running.
    pub due_in_real_time: i64,
    /// Due in a batch, and not running.
    pub due_in_batch: i64,
    pub running: i64,
    pub parked: i64,
}

/// Whom a batch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchScope {
    /// Active users with an analysis of the last 30 days.
    Active,
    /// Everybody in `users`.
    All,
    Listed(Vec<UserId>),
}

/// A batch that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedBatch {
    pub id: i64,
    /// One was running already, and this is it.
    pub joined: bool,
}

/// How far the marking of a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// A chunk has been marked, by this instance or another.
    Going,
    Ended,
}

/// A batch and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct BatchStatus {
    pub id: i64,
    pub scope: String,
    pub opened_at: DateTime<Utc>,
    pub marked: i64,
    pub marking_ended_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Users who wait; none of a batch that is finished.
    pub due: i64,
    pub running: i64,
    /// Users whose list was written.
    pub computed: i64,
    /// Users whose list was current.
    pub unchanged: i64,
    pub parked: i64,
}

/// A job that happens at certain times, once over all instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledJob {
    Batch,
    CleanUp,
}

impl ScheduledJob {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::CleanUp => "clean-up",
        }
    }
}

/// What became of an occurrence that somebody wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// Begun by this call; nobody else will.
    Begun,
    /// Begun before (or a later one was), or so old that no instance has ever waited for it.
    Past,
    /// Not begun: a batch for other users is just being marked. To be tried again.
    Waits,
}

impl BatchScope {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::All => "all",
            Self::Listed(_) => "listed",
        }
    }

    /// The ids as JSON, ascending: the order in which they are marked.
    pub(super) fn users_json(&self) -> Option<String> {
        let Self::Listed(users) = self else { return None };
        let mut ids: Vec<i64> = users.iter().map(|user| user.get()).collect();
        ids.sort_unstable();
        ids.dedup();
        Some(serde_json::json!(ids).to_string())
    }
}

/// What a chunk of a clean-up removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanedUp {
    /// The last user looked at.
    pub through: i64,
    /// Lists that nobody had found current for long.
    pub lists: u64,
    /// Rows whose listing is gone.
    pub rows: u64,
}
