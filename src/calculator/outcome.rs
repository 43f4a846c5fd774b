//! What becomes of a run: for its callers, for the log and for metrics.

use super::decision::Action;
use crate::metrics::RowCounts;
use crate::profile::Inputs;
use crate::storage::{RowChanges, StoreError, StoreErrorKind};

/// The successful outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list was calculated and stored.
    Computed {
        /// Rows stored.
        saved_count: usize,
    },
    /// The newest inputs give the stored list: nothing was written.
    UpToDate {
        /// Rows stored.
        saved_count: usize,
    },
    /// This run wrote nothing. Its trigger is recorded, and a worker will serve it.
    Queued(QueuedReason),
    /// The user has no analysis; rows of earlier analyses are removed.
    NoProfileAnalysis,
    /// The user has an analysis that recommends no career; rows of earlier analyses are removed.
    NoJobRecommendations,
}

/// Why a run left its trigger to the queue. Callers are told "already in progress" in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuedReason {
    /// Another run held the user's lock for the whole wait.
    LockBusy,
    /// The stored rows come from a newer version of the service, which must do the run.
    NewerScoring,
    /// The run lost the compare-and-set [`super::decision::MAX_ATTEMPTS`] times.
    LostToOtherRuns,
}

impl Outcome {
    /// The outcome in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Computed { .. } => "computed",
            Self::UpToDate { .. } => "up_to_date",
            Self::Queued(_) => "queued",
            Self::NoProfileAnalysis => "no_profile_analysis",
            Self::NoJobRecommendations => "no_job_recommendations",
        }
    }
}

impl QueuedReason {
    /// The reason in the log.
    pub(super) fn in_log(self) -> &'static str {
        match self {
            Self::LockBusy => "already running",
            Self::NewerScoring => "newer scoring",
            Self::LostToOtherRuns => "lost against other runs",
        }
    }
}

/// The outcome for the caller once the stored rows are those that the inputs give.
pub(super) fn outcome(inputs: &Inputs, action: Action, saved_count: usize) -> Outcome {
    if !inputs.has_careers() {
        without_careers(inputs)
    } else if action == Action::Confirm {
        Outcome::UpToDate { saved_count }
    } else {
        Outcome::Computed { saved_count }
    }
}

pub(super) fn without_careers(inputs: &Inputs) -> Outcome {
    if inputs.has_analysis { Outcome::NoJobRecommendations } else { Outcome::NoProfileAnalysis }
}

/// The rows of a list of `stored` rows after a write.
pub(super) fn row_counts(changes: RowChanges, stored: usize) -> RowCounts {
    let RowChanges { inserted, updated, deleted } = changes;
    RowCounts { inserted, updated, deleted, unchanged: stored - inserted - updated }
}

/// Why a run starts again, in metrics.
pub(super) fn restart_cause(cause: Option<&StoreError>) -> &'static str {
    match cause.map(StoreError::kind) {
        None => "lost_to_another_run",
        Some(StoreErrorKind::Conflict) => "conflict",
        Some(_) => "unavailable",
    }
}
