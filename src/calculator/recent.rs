//! The last runs of this process, for operators: what each did, and how long its phases took.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::joining::Caller;
use super::phases::{Phase, Phases};
use crate::domain::UserId;

/// How many runs are kept.
const KEPT: usize = 100;

/// Names a run in the log and for its callers; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u64);

impl RunId {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct RunRecord {
    /// Its name.
    pub id: RunId,
    /// Whose list it was for.
    pub user: UserId,
    /// Whether a worker began it; else a request did.
    pub by_worker: bool,
    /// Whether it had to write even if nothing had changed.
    pub force: bool,
    /// The time from when it began to wait for its turn to its end.
    pub took: Duration,
    /// How often it read the state.
    pub attempts: u32,
    /// What became of it, as in metrics: `computed`, `up_to_date`, … or the code of a failure.
    pub outcome: &'static str,
    /// Where the time went.
    pub phases: Phases,
    begun: Instant,
}

impl RunRecord {
    /// The time since its end.
    pub fn age(&self) -> Duration {
        self.begun.elapsed().saturating_sub(self.took)
    }

    /// A run that begins now.
    pub(super) fn begin(id: RunId, user: UserId, caller: Caller, force: bool) -> Self {
        Self {
            id,
            user,
            by_worker: caller == Caller::Worker,
            force,
            took: Duration::ZERO,
            attempts: 0,
            outcome: "",
            phases: Phases::default(),
            begun: Instant::now(),
        }
    }

    /// The run ends now. `limit`: the time from which on it is slow, which is logged.
    pub(super) fn end(&mut self, limit: Option<Duration>) {
        self.took = self.begun.elapsed();
        if limit.is_some_and(|limit| self.took >= limit) {
            self.warn();
        }
    }

    fn warn(&self) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let phase = |phase| millis(self.phases.of(phase));
        tracing::warn!(
            user_id = %self.user,
            run_id = %self.id,
            outcome = self.outcome,
            attempts = self.attempts,
            total_ms = millis(self.took),
            lock_wait_ms = phase(Phase::LockWait),
            listings_ms = phase(Phase::Listings),
            read_ms = phase(Phase::Read),
            rank_ms = phase(Phase::Rank),
            write_ms = phase(Phase::Write),
            release_ms = phase(Phase::Release),
            "slow run"
        );
    }
}

/// The last runs, oldest first.
#[derive(Debug)]
pub(super) struct RecentRuns(Mutex<VecDeque<RunRecord>>);

impl Default for RecentRuns {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::with_capacity(KEPT)))
    }
}

impl RecentRuns {
    pub(super) fn push(&self, run: RunRecord) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() == KEPT {
            runs.pop_front();
        }
        runs.push_back(run);
    }

    /// All that are kept, newest first.
    pub(super) fn newest_first(&self) -> Vec<RunRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_kept_and_older_ones_forgotten() {
        let (recent, user) = (RecentRuns::default(), UserId::try_from(1).expect("positive"));
        let ids: Vec<RunId> = (0..KEPT + 20).map(|_| RunId::random()).collect();
        for id in &ids {
            recent.push(RunRecord::begin(*id, user, Caller::Request, false));
        }
        let kept: Vec<RunId> = recent.newest_first().iter().map(|run| run.id).collect();
        let newest: Vec<RunId> = ids.into_iter().rev().take(KEPT).collect();
        assert_eq!(kept, newest);
    }
}
