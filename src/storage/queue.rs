//! The storage of background work: durable triggers, and the leases of the workers that serve them.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;
use crate::domain::{Lane, ScoringRevision, UserId};

/// Storage for triggers and workers. Times are by the database's clock, as those of instances may differ.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Records a trigger in real time: the user is due now, and no longer parked. The trigger is durable when
    /// this returns. Returns its sequence number.
    async fn request_run(&self, user: UserId) -> Result<i64, StoreError>;

    /// [`QueueStore::request_run`] with one commit for those of the users who have a career with a name in
    /// `job_recommendations`. `true`: it is recorded for all of them. `false`: a single user has no such career; of
    /// several, one has none or never had a trigger before, and any of them may have been recorded.
    async fn request_runs_with_careers(&self, users: &[UserId]) -> Result<bool, StoreError>;

    /// Users of a lane who are due and without a lease, longest due first. A user whose rows come from a
    /// newer scoring than `scoring_revision` is left to instances that have it.
    async fn due_users(
        &self,
        lane: Lane,
        scoring_revision: ScoringRevision,
        limit: u32,
    ) -> Result<Vec<DueUser>, StoreError>;

    /// Leases the user to a worker and counts the attempt. `false`: another worker was faster, or the user's
    /// state has changed since `due` was read.
    async fn claim(
        &self,
        due: &DueUser,
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<bool, StoreError>;

    /// [`QueueStore::claim`] for several users with one commit. Returns those that are leased now.
    async fn claim_all(
        &self,
        due: &[DueUser],
        lease: &Lease,
        scoring_revision: ScoringRevision,
    ) -> Result<Vec<DueUser>, StoreError>;

    /// Ends the lease `token`, unless a run has ended it or another worker has taken it over. `due` is the
    /// user as it was claimed.
    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError>;
}

/// A user that a worker may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DueUser {
    /// The user.
    pub user: UserId,
    /// Leases taken since the last success.
    pub attempts: u32,
    /// The newest trigger. A failure settles triggers up to this one only.
    pub requested_seq: i64,
}

/// A worker's claim on a due user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Unique per claim, and readable for an operator.
    pub token: String,
    /// After this time other workers may claim the user: the worker has crashed.
    pub duration: Duration,
}

/// How a worker ends a claim whose run did not commit. (A run that commits ends the claim itself.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// The run never started (lock held, database down): due again later, and the attempt is not counted. A
    /// newer trigger does not shorten the delay.
    Untried {
        /// The delay.
        after: Duration,
    },
    /// Due again later, and the attempt counts. A trigger since the claim makes the user due at once: it may
    /// have fixed the cause.
    Failed {
        /// The delay.
        after: Duration,
        /// The cause, for operators and for the API.
        error: WorkError,
    },
    /// Left alone until the next trigger. A trigger since the claim makes the user due at once.
    Parked {
        /// The cause, for operators and for the API.
        error: WorkError,
    },
}

/// Why a run in the background failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkError {
    /// Stable, for users of the API.
    pub code: &'static str,
    /// The cause, for operators.
    pub cause: String,
}

impl WorkError {
    /// The cause as far as its column holds it.
    pub(super) fn stored_cause(&self) -> String {
        self.cause.chars().take(500).collect()
    }
}

/// The lane as `recommendation_state.lane` holds it.
pub(super) fn lane_number(lane: Lane) -> i8 {
    match lane {
        Lane::RealTime => 0,
        Lane::Batch => 1,
    }
}
