//! THE FLOW: lock → state → inputs → rank → replace → release.
//!
//! Every trigger (HTTP, background worker, command line) ends in [`Calculator::calculate`]. The order of
//! steps is the protocol that keeps a user's stored rows equal to what one consistent set of inputs
//! gives, under any crash, pause, lock expiry or ambiguous commit: the state is read before the inputs,
//! and the write compares the state's version first. Whoever read older inputs loses the comparison.

pub mod decision;
pub mod digest;
mod joining;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use self::decision::{Action, AfterWrite, BeforeInputs};
use self::joining::{Caller, Joinable, Joining, NoResult};
use crate::catalogue::CurrentCatalogue;
use crate::domain::{CareerProfile, Recommendation, UserId};
use crate::coordination::{Busy, UserGuard, UserLocks};
use crate::profile::Inputs;
use crate::storage::{Basis, Lane, Store, StoreError};

/// Limits of a calculation.
#[derive(Clone, Debug)]
pub struct CalculatorConfig {
    /// A run is ended after this long; well below the lock's TTL, so that the lock needs no renewal.
    pub run_timeout: Duration,
    /// Rows kept per user.
    pub max_recommendations: usize,
    /// Runs that requests may have in flight; workers are not counted.
    pub max_runs: usize,
}

/// Recalculates users' lists.
#[derive(Clone)]
pub struct Calculator {
    parts: Arc<Parts>,
    joining: Arc<Joining<(UserId, bool), RunResult>>,
    /// How many callers wait for a run in real time.
    urgent: watch::Sender<usize>,
}

struct Parts {
    store: Arc<dyn Store>,
    locks: UserLocks,
    catalogue: Arc<CurrentCatalogue>,
    config: CalculatorConfig,
}

/// How a run ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list was calculated and stored.
    Computed { saved_count: usize },
    /// The stored list is what the newest inputs give.
    UpToDate { saved_count: usize },
    /// Another run holds the user, or only a newer version of the service may do the run. The trigger is
    /// recorded and will run.
    Queued,
    /// The user has no analysis; rows from earlier analyses are gone.
    NoProfileAnalysis,
    /// The user has an analysis that recommends no career; rows from earlier ones are gone.
    NoJobRecommendations,
}

/// Why a run failed. Nothing was half written.
#[derive(Debug, thiserror::Error)]
pub enum CalculationError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the run was ended after {0:?}")]
    TimedOut(Duration),
    #[error("the run panicked")]
    Panicked,
    #[error("too many runs are in flight")]
    Overloaded,
}

impl CalculationError {
    /// A stable code, the same as in answers to requests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Unavailable(_) | StoreError::Conflict(_)) => "unavailable",
            Self::TimedOut(_) => "calculation_timed_out",
            Self::Overloaded => "overloaded",
            Self::Store(_) | Self::Panicked => "internal_error",
        }
    }
}

/// Shared by all who joined the run.
type RunResult = Result<Outcome, Arc<CalculationError>>;

impl Calculator {
    /// `tasks` tracks runs, which outlive the requests that asked for them.
    pub fn new(
        store: Arc<dyn Store>,
        locks: UserLocks,
        catalogue: Arc<CurrentCatalogue>,
        config: CalculatorConfig,
        tasks: TaskTracker,
    ) -> Self {
        let joining = Arc::new(Joining::new(tasks, config.max_runs));
        let urgent = watch::Sender::new(0);
        Self { parts: Arc::new(Parts { store, locks, catalogue, config }), joining, urgent }
    }

    /// Makes the user's stored list right. Shares a run of this process that has not started yet.
    /// `force` writes even if nothing has changed.
    pub async fn calculate(&self, user: UserId, force: bool) -> RunResult {
        let _urgent = Urgent::new(&self.urgent);
        self.join(user, force, Caller::Request).await
    }

    /// The same for a worker of the queue, whose number is bounded already.
    pub async fn calculate_for_worker(&self, user: UserId, lane: Lane) -> RunResult {
        let _urgent = (lane == Lane::RealTime).then(|| Urgent::new(&self.urgent));
        self.join(user, false, Caller::Worker).await
    }

    /// Returns when nobody waits for a run in real time, at the latest after `patience`: batches give way,
    /// but not for ever.
    pub async fn give_way(&self, patience: Duration) {
        let _ = timeout(patience, self.urgent.subscribe().wait_for(|urgent| *urgent == 0)).await;
    }

    async fn join(&self, user: UserId, force: bool, caller: Caller) -> RunResult {
        let parts = self.parts.clone();
        let run = move |joinable| async move { parts.run(user, force, joinable).await.map_err(Arc::new) };
        self.joining.join((user, force), caller, run).await.unwrap_or_else(|none| {
            Err(Arc::new(match none {
                NoResult::Full => CalculationError::Overloaded,
                NoResult::Panicked => CalculationError::Panicked,
            }))
        })
    }

    /// Records a durable trigger for a worker to serve, unless there is nothing to calculate from: then
    /// the answer is known now (and stale rows are cleared), and an unknown user leaves no trace.
    pub async fn request(&self, user: UserId) -> RunResult {
        match self.parts.bounded(self.parts.record_if_it_can_run(user)).await {
            Ok(true) => Ok(Outcome::Queued),
            Ok(false) => self.calculate(user, false).await,
            Err(error) => {
                tracing::error!(user_id = %user, %error, "the trigger could not be recorded");
                Err(Arc::new(error))
            }
        }
    }
}

/// Somebody waits for a run in real time, until this is dropped.
struct Urgent<'a>(&'a watch::Sender<usize>);

impl<'a> Urgent<'a> {
    fn new(urgent: &'a watch::Sender<usize>) -> Self {
        urgent.send_modify(|urgent| *urgent += 1);
        Self(urgent)
    }
}

impl Drop for Urgent<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|urgent| *urgent -= 1);
    }
}

impl Parts {
    /// One run: wait for the user's lock, calculate under it, release it.
    async fn run<T>(
        &self,
        user: UserId,
        force: bool,
        joinable: Joinable<(UserId, bool), T>,
    ) -> Result<Outcome, CalculationError> {
        let locked = self.locks.acquire(user).await;
        // Before anything is read or recorded: whoever asks from here on has newer inputs.
        joinable.close();
        let result = match &locked {
            Err(Busy { .. }) => self.bounded(self.leave_to_queue(user, "already running")).await,
            Ok(guard) => self.bounded(self.run_locked(guard, user, force)).await,
        };
        match &result {
            Ok(Outcome::Computed { saved_count }) => {
                tracing::info!(user_id = %user, saved_count, outcome = "computed", "recommendations saved");
            }
            Ok(Outcome::UpToDate { saved_count }) => {
                tracing::info!(user_id = %user, saved_count, outcome = "up_to_date", "skipped: already current");
            }
            // Said where the reason is known.
            Ok(Outcome::Queued) => {}
            Ok(outcome) => tracing::info!(user_id = %user, ?outcome, "nothing to calculate"),
            Err(error) => tracing::error!(user_id = %user, %error, "calculation failed"),
        }
        // The end of a run is logged before the next can begin, so that logs tell whether two overlapped.
        if let Ok(guard) = locked {
            guard.release().await;
        }
        result
    }

    /// State, inputs, result, write; again from the state when another run was faster.
    async fn run_locked(
        &self,
        guard: &UserGuard,
        user: UserId,
        force: bool,
    ) -> Result<Outcome, CalculationError> {
        tracing::info!(user_id = %user, "calculation started");
        for attempt in 1..=decision::MAX_ATTEMPTS {
            // The state first, then the inputs. The other way round, a run could hold older inputs and a
            // newer token, and its comparison would let older results through.
            let state = self.store.user_state(user).await?;
            let (catalogue, scoring) = (self.catalogue.current(), self.catalogue.scoring_revision());
            match decision::before_inputs(&state, catalogue.version(), scoring) {
                BeforeInputs::Proceed => {}
                BeforeInputs::RefreshCatalogue => {
                    self.catalogue.refresh().await?;
                    continue;
                }
                BeforeInputs::LeaveToNewerScoring => return self.leave_to_queue(user, "newer scoring").await,
            }
            let inputs = self.read_inputs(user).await?;
            let basis = Basis {
                user,
                expected: state.token(),
                serves_seq: state.requested_seq(),
                catalogue_version: catalogue.version(),
                scoring_revision: scoring,
                now: state.now,
            };
            let rows = self.rank(&catalogue, inputs.profile.clone()).await?;
            let digest = digest::of(&rows);

            let has_careers = !inputs.profile.careers.is_empty();
            let action = decision::action(&state, decision::Calculated { digest: &digest, has_careers }, force);
            let written = match action {
                Action::LeaveNoTrace => return Ok(without_careers(&inputs)),
                Action::Confirm => self.store.confirm(guard, &basis).await,
                Action::Replace => self.store.replace(guard, &basis, &rows, &digest).await,
            };
            match decision::after_write(&written, attempt) {
                AfterWrite::Done => return Ok(outcome(&inputs, action, rows.len())),
                AfterWrite::StartAgain => {
                    tracing::info!(user_id = %user, attempt, ?written, "starting again")
                }
                AfterWrite::GiveUp => break,
                AfterWrite::Fail => {
                    _ = written?;
                }
            }
        }
        self.leave_to_queue(user, "lost against other runs").await
    }

    async fn read_inputs(&self, user: UserId) -> Result<Inputs, StoreError> {
        let inputs = Inputs::parse(&self.store.analysis(user).await?);
        if !inputs.ignored.is_empty() {
            tracing::warn!(user_id = %user, ignored = ?inputs.ignored, "parts of the analysis are unreadable");
        }
        Ok(inputs)
    }

    /// Off the threads that answer requests: scoring is all processor.
    async fn rank(
        &self,
        catalogue: &Arc<crate::ranking::Catalogue>,
        profile: CareerProfile,
    ) -> Result<Vec<Recommendation>, CalculationError> {
        let (catalogue, limit) = (catalogue.clone(), self.config.max_recommendations);
        tokio::task::spawn_blocking(move || catalogue.recommend(&profile, limit))
            .await
            .map_err(|_| CalculationError::Panicked)
    }

    async fn record_if_it_can_run(&self, user: UserId) -> Result<bool, CalculationError> {
        let analysis = self.store.analysis(user).await?;
        let can_run = !Inputs::parse(&analysis).profile.careers.is_empty();
        if can_run {
            self.store.request_run(user).await?;
        }
        Ok(can_run)
    }

    /// A database that takes connections and never answers must not hold anybody for ever.
    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, CalculationError>>,
    ) -> Result<T, CalculationError> {
        let limit = self.config.run_timeout;
        timeout(limit, work).await.unwrap_or(Err(CalculationError::TimedOut(limit)))
    }

    async fn leave_to_queue(&self, user: UserId, reason: &str) -> Result<Outcome, CalculationError> {
        self.store.request_run(user).await?;
        tracing::info!(user_id = %user, outcome = "queued", reason, "skipped: the trigger is queued");
        Ok(Outcome::Queued)
    }
}

/// What to tell the caller once the rows are as the inputs demand.
fn outcome(inputs: &Inputs, action: Action, saved_count: usize) -> Outcome {
    if inputs.profile.careers.is_empty() {
        without_careers(inputs)
    } else if action == Action::Confirm {
        Outcome::UpToDate { saved_count }
    } else {
        Outcome::Computed { saved_count }
    }
}

fn without_careers(inputs: &Inputs) -> Outcome {
    if inputs.has_analysis { Outcome::NoJobRecommendations } else { Outcome::NoProfileAnalysis }
}
