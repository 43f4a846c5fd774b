//! THE FLOW: lock → state and inputs → rank → replace → release. The first read is under way while the lock is asked for.
//!
//! Every trigger (HTTP, background worker, command line) ends in [`Calculator::calculate`]. The order of
//! steps is the protocol that keeps a user's stored rows equal to the result of one consistent set of inputs,
//! under any crash, pause, lock expiry or ambiguous commit: a run reads the state and the inputs of one moment, and
//! its write compares the state's version first. A run that read older inputs loses the comparison.

pub mod decision;
pub mod digest;
mod error;
mod evidence;
mod faults;
mod grouped;
mod joining;
mod known_results;
mod outcome;
mod phases;
mod recent;
mod together;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Either, ready, select};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing::field::Empty;

use self::decision::{Action, AfterWrite, BeforeRanking, Calculated};
pub use self::error::{CalculationError, Failure};
use self::faults::Faults;
use self::grouped::{Reading, Writing};
use self::joining::{Caller, Joinable, Joining, NoResult};
use self::known_results::{Known, KnownResults};
pub use self::outcome::{Outcome, QueuedReason};
use self::outcome::{outcome, restart_cause, row_counts, without_careers};
pub use self::phases::{Phase, Phases};
use self::recent::RecentRuns;
pub use self::recent::{RunId, RunRecord};
use crate::catalogue::CurrentCatalogue;
use crate::coordination::{Busy, UserGuard, UserLocks, UserTurn};
use crate::domain::{CareerProfile, Lane, Recommendation, UserId};
use crate::grouping::Grouping;
use crate::metrics::Metrics;
use crate::profile::Inputs;
use crate::ranking::Catalogue;
use crate::storage::{
    QueueStore, RowChanges, RunStore, STEP_LIMIT, Snapshot, StoreError, StoreErrorKind, StoredAnalysis,
    Write, Written, within,
};

/// Statements that confirm lists at the same time, each of them one or several.
const GROUPS_OF_CONFIRMATIONS: usize = 2;

/// Limits of a calculation.
#[derive(Clone, Debug)]
pub struct CalculatorConfig {
    /// Time limit of a run; well below the lock's TTL, so that the lock needs no renewal.
    pub run_timeout: Duration,
    /// Rows kept per user.
    pub max_recommendations: usize,
    /// Runs that requests may have in flight; runs of workers do not count.
    pub max_runs: usize,
    /// The time from which on a run is logged as slow; `None`: never.
    pub slow_run: Option<Duration>,
}

/// Recalculates the lists of users.
#[derive(Clone)]
pub struct Calculator {
    inner: Arc<Inner>,
    joining: Arc<Joining<(UserId, bool), (RunId, RunResult)>>,
    /// The number of callers that wait for a run in real time.
    urgent: watch::Sender<usize>,
}

struct Inner {
    store: Arc<dyn RunStore>,
    snapshots: Grouping<Reading>,
    confirmations: Grouping<Writing>,
    replacements: Grouping<Writing>,
    /// Takes the triggers of runs that write nothing.
    queue: Arc<dyn QueueStore>,
    locks: UserLocks,
    catalogue: Arc<CurrentCatalogue>,
    known: KnownResults,
    /// Turns to rank, one for each processor.
    rankings: Semaphore,
    config: CalculatorConfig,
    faults: Faults,
    metrics: Arc<Metrics>,
    recent: RecentRuns,
}

/// A caller's part in a run.
#[derive(Clone, Debug)]
pub struct Participation {
    /// The run; `None`: there was none, as the result says why.
    pub run: Option<RunId>,
    /// The caller shares a run that another one has begun.
    pub joined: bool,
    /// The result of the run.
    pub result: RunResult,
}

/// The result of a run, shared by all callers that joined it.
pub type RunResult = Result<Outcome, Arc<CalculationError>>;

impl Calculator {
    /// A calculator over the given store. `tasks` tracks runs, which may outlive their requests.
    pub fn new(
        store: Arc<dyn RunStore>,
        queue: Arc<dyn QueueStore>,
        locks: UserLocks,
        catalogue: Arc<CurrentCatalogue>,
        config: CalculatorConfig,
        tasks: TaskTracker,
        metrics: Arc<Metrics>,
    ) -> Self {
        let joining = Arc::new(Joining::new(tasks, config.max_runs));
        let urgent = watch::Sender::new(0);
        let faults = Faults::new(store.clone());
        let known = KnownResults::default();
        let recent = RecentRuns::default();
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Statements that read users, and transactions that replace lists, at the same time. The database's processors are
        // not known: it is taken to have as many.
        let groups = processors.max(2);
        let inner = Inner {
            snapshots: Grouping::new(Reading(store.clone()), groups),
            confirmations: Grouping::new(Writing(store.clone()), GROUPS_OF_CONFIRMATIONS),
            replacements: Grouping::new(Writing(store.clone()), groups),
            rankings: Semaphore::new(processors),
            store,
            queue,
            locks,
            catalogue,
            known,
            config,
            faults,
            metrics,
            recent,
        };
        Self { inner: Arc::new(inner), joining, urgent }
    }

    /// Brings the user's stored list up to date. Shares a run of this process that has not read its inputs
    /// yet. `force` writes even if nothing has changed.
    pub async fn calculate(&self, user: UserId, force: bool) -> RunResult {
        self.participate(user, force).await.result
    }

    /// [`Calculator::calculate`], for callers that ask which run it was.
    pub async fn participate(&self, user: UserId, force: bool) -> Participation {
        let _urgent = Urgent::new(&self.urgent);
        self.join(user, force, Caller::Request).await
    }

    /// [`Calculator::calculate`] for a background worker. Workers are few: [`CalculatorConfig::max_runs`]
    /// does not count their runs.
    pub async fn calculate_for_worker(&self, user: UserId, lane: Lane) -> RunResult {
        let _urgent = (lane == Lane::RealTime).then(|| Urgent::new(&self.urgent));
        let began = Instant::now();
        let result = self.join(user, false, Caller::Worker).await.result;
        match result.as_ref().map_err(Arc::as_ref) {
            // A worker has the time to find out. A request is answered the same in either case.
            Err(CalculationError::TimedOut(limit)) => {
                let error = CalculationError::TimedOut(*limit);
                Err(Arc::new(self.inner.faults.judge(user, error, began).await))
            }
            _ => result,
        }
    }

    /// The last runs of this process that have ended, newest first.
    pub fn recent_runs(&self) -> Vec<RunRecord> {
        self.inner.recent.newest_first()
    }

    /// Whether a failed step on the queue belongs to an outage of the database.
    pub(crate) async fn is_in_trouble(&self, error: &StoreError) -> bool {
        self.inner.faults.is_in_trouble(error).await
    }

    /// For idle workers, which read the queue without trouble: whether the database takes writes again.
    pub(crate) async fn look_for_the_end_of_an_outage(&self) {
        self.inner.faults.look_for_the_end().await;
    }

    /// Returns when no caller waits for a run in real time, at the latest after `patience`: batches give way
    /// for a limited time.
    pub async fn give_way(&self, patience: Duration) {
        let _ = timeout(patience, self.urgent.subscribe().wait_for(|urgent| *urgent == 0)).await;
    }

    /// Runs a step for the user under the time limit of a run.
    pub(crate) async fn bounded<T>(
        &self,
        user: UserId,
        step: impl Future<Output = Result<T, CalculationError>>,
    ) -> Result<T, CalculationError> {
        self.inner.bounded(user, step).await
    }

    async fn join(&self, user: UserId, force: bool, caller: Caller) -> Participation {
        let (inner, own) = (self.inner.clone(), RunId::random());
        let run = move |joinable| {
            let span = tracing::info_span!("run", user_id = %user, run_id = %own, outcome = Empty);
            let run = RunRecord::begin(own, user, caller, force);
            async move { (own, inner.run(run, joinable).await.map_err(Arc::new)) }.instrument(span)
        };
        let none = |cause| Participation { run: None, joined: false, result: Err(Arc::new(cause)) };
        match self.joining.join((user, force), caller, run).await {
            Ok((id, result)) => Participation { run: Some(id), joined: id != own, result },
            Err(NoResult::Full) => none(CalculationError::Overloaded),
            Err(NoResult::Panicked) => none(CalculationError::Panicked),
        }
    }
}

/// A caller that waits for a run in real time, until this is dropped.
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

/// A read of the state and the inputs, which begins when it is polled.
type Read<'a> = BoxFuture<'a, Result<Snapshot, StoreError>>;

/// A run before its write.
enum Prepared {
    /// The write, and what it leads to.
    Write(Arc<Write>, Done),
    /// There is nothing to write.
    Done(Outcome),
    /// The stored rows come from newer listings than this instance has read.
    NewerCatalogue,
    /// The stored rows come from a newer scoring than this instance's.
    LeaveToNewerScoring,
}

/// A run whose write is committed.
struct Done {
    outcome: Outcome,
    /// Rows of the list.
    rows: usize,
}

impl Inner {
    /// One run: wait for the user's lock, calculate under it, release it.
    async fn run<T>(
        &self,
        mut run: RunRecord,
        joinable: Joinable<(UserId, bool), T>,
    ) -> Result<Outcome, CalculationError> {
        let user = run.user;
        let turn = run.phases.time(Phase::LockWait, self.locks.turn(user)).await;
        let joined = joinable.joined();
        let (locked, read) = match turn {
            Ok(turn) => run.phases.time(Phase::LockWait, self.lock_and_read(turn, user)).await,
            Err(busy) => (Err(busy), None),
        };
        self.metrics.lock_wait(locked.is_ok(), run.phases.of(Phase::LockWait));
        // Before anything else is read or recorded: the trigger of a later caller may stand for newer inputs. What has been
        // read counts if no caller has joined meanwhile, and if the lock was free.
        let is_alone = joinable.close() == joined;
        let counts = is_alone && locked.as_ref().is_ok_and(|guard| !guard.has_waited());
        let read = read.filter(|_| counts);
        let started = Instant::now();
        let result = match &locked {
            Err(Busy { .. }) => {
                let leave = self.leave_to_queue(user, QueuedReason::LockBusy);
                self.bounded(user, run.phases.time(Phase::Write, leave)).await
            }
            Ok(guard) => self.bounded(user, self.run_locked(guard, read, &mut run)).await,
        };
        self.finish(run, locked.ok(), started, &result).await;
        result
    }

    /// Asks Redis and the database at the same time. Returns the read, which may be under way or at its end.
    async fn lock_and_read(
        &self,
        turn: UserTurn,
        user: UserId,
    ) -> (Result<UserGuard, Busy>, Option<Read<'_>>) {
        match select(pin!(turn.lock()), self.read(user)).await {
            Either::Left((locked, read)) => (locked, Some(read)),
            Either::Right((snapshot, lock)) => (lock.await, Some(ready(snapshot).boxed())),
        }
    }

    /// The state and the inputs are of one moment. Inputs that are older than the state would let an older result
    /// through: the write compares the state's version.
    fn read(&self, user: UserId) -> Read<'_> {
        self.snapshots.run(user).boxed()
    }

    /// The end of a run: log, metrics, release.
    async fn finish(
        &self,
        mut run: RunRecord,
        guard: Option<UserGuard>,
        started: Instant,
        result: &Result<Outcome, CalculationError>,
    ) {
        let user = run.user;
        match result {
            Ok(Outcome::Computed { saved_count }) => {
                tracing::info!(user_id = %user, saved_count, outcome = "computed", "recommendations saved");
            }
            Ok(Outcome::UpToDate { saved_count }) => {
                tracing::info!(user_id = %user, saved_count, outcome = "up_to_date", "skipped: already current");
            }
            // Logged in `leave_to_queue`.
            Ok(Outcome::Queued(_)) => {}
            Ok(outcome) => tracing::info!(user_id = %user, ?outcome, "nothing to calculate"),
            // Logged once per outage, by `faults`.
            Err(error) if error.failure() == Failure::Unavailable => {
                tracing::debug!(user_id = %user, %error, "calculation failed");
            }
            Err(error) => tracing::error!(user_id = %user, %error, "calculation failed"),
        }
        run.outcome = result.as_ref().map_or_else(CalculationError::code, Outcome::name);
        if cfg!(feature = "otlp") {
            // The log has it in the event above.
            tracing::Span::current().record("outcome", run.outcome);
        }
        self.metrics.run(run.outcome, started.elapsed());
        // The end of a run is logged before the next can begin, so that logs tell whether two overlapped.
        if let Some(guard) = guard {
            self.metrics.lock_hold(started.elapsed());
            run.phases.time(Phase::Release, guard.release()).await;
        }
        run.end(self.config.slow_run);
        self.recent.push(run);
    }

    /// State and inputs, result, write; again from the state when another run was faster. `first_read` may be
    /// under way already.
    async fn run_locked(
        &self,
        guard: &UserGuard,
        mut first_read: Option<Read<'_>>,
        run: &mut RunRecord,
    ) -> Result<Outcome, CalculationError> {
        let user = guard.user();
        tracing::debug!(user_id = %user, "calculation started");
        let mut lost_with = None;
        for attempt in 1..=decision::MAX_ATTEMPTS {
            run.attempts = attempt;
            let read = first_read.take().unwrap_or_else(|| self.read(user));
            let snapshot = run.phases.time(Phase::Read, read).await?;
            let (write, done) = match self.rank_and_decide(snapshot, guard, run).await? {
                Prepared::Write(write, done) => (write, done),
                Prepared::Done(outcome) => return Ok(outcome),
                Prepared::LeaveToNewerScoring => {
                    return self.leave_to_queue(user, QueuedReason::NewerScoring).await;
                }
                Prepared::NewerCatalogue => {
                    self.metrics.restart("newer_catalogue");
                    run.phases.time(Phase::Listings, self.catalogue.refresh()).await?;
                    continue;
                }
            };
            let expected = write.expected();
            if lost_with == Some(expected) {
                // Lost, though no other run has written: one server was read and another written. A failover.
                self.store.distrust_connections();
            }
            let written = run.phases.time(Phase::Write, self.write(write, attempt)).await;
            lost_with = matches!(written, Ok(Written::Lost)).then_some(expected);
            if let Ok(Written::Committed(changes)) = &written {
                self.committed(user, *changes, done.rows);
            }
            match decision::after_write(written, attempt) {
                AfterWrite::Done => return Ok(done.outcome),
                AfterWrite::StartAgain(cause) => {
                    self.metrics.restart(restart_cause(cause.as_ref()));
                    tracing::info!(user_id = %user, attempt, ?cause, "starting again");
                    if cause.is_some_and(|cause| cause.kind() != StoreErrorKind::Conflict) {
                        self.store.distrust_connections();
                    }
                }
                AfterWrite::RefreshCatalogue(cause) => {
                    tracing::info!(user_id = %user, attempt, %cause, "starting again with the newest listings");
                    run.phases.time(Phase::Listings, self.catalogue.refresh()).await?;
                }
                AfterWrite::GiveUp => break,
                AfterWrite::Fail(error) => return Err(error.into()),
            }
        }
        self.leave_to_queue(user, QueuedReason::LostToOtherRuns).await
    }

    /// Everything between the read and the write.
    async fn rank_and_decide(
        &self,
        Snapshot { state, analysis }: Snapshot,
        guard: &UserGuard,
        run: &mut RunRecord,
    ) -> Result<Prepared, CalculationError> {
        let user = guard.user();
        let (catalogue, scoring) = (self.catalogue.current(), self.catalogue.scoring_revision());
        match decision::before_ranking(&state, catalogue.version(), scoring) {
            BeforeRanking::Proceed => {}
            BeforeRanking::RefreshCatalogue => return Ok(Prepared::NewerCatalogue),
            BeforeRanking::LeaveToNewerScoring => return Ok(Prepared::LeaveToNewerScoring),
        }
        let inputs = parse_inputs(user, &analysis);
        let decide = |Known { digest, .. }: &Known| {
            let calculated = Calculated { digest, has_careers: inputs.has_careers() };
            decision::action(&state, calculated, run.force)
        };
        let known = self.known.get(user, &catalogue, &inputs.profile);
        let (rows, result) = match known.filter(|known| decide(known) == Action::Confirm) {
            // The rows are stored already: the digest tells.
            Some(known) => (Vec::new(), known),
            None => run.phases.time(Phase::Rank, self.rank(user, &catalogue, &inputs.profile)).await?,
        };
        let basis = state.basis(catalogue.version(), scoring).under(guard);
        let action = decide(&result);
        let done = Done { outcome: outcome(&inputs, action, result.count), rows: result.count };
        Ok(match action {
            Action::LeaveNoTrace => Prepared::Done(without_careers(&inputs)),
            Action::Confirm => Prepared::Write(Arc::new(Write::Confirm(basis.confirmation())), done),
            Action::Replace => {
                Prepared::Write(Arc::new(Write::Replace(basis.replacement(rows, result.digest))), done)
            }
        })
    }

    /// The first attempt is given up before the run is: its connection may lead to a server that is gone without a word.
    async fn write(&self, write: Arc<Write>, attempt: u32) -> Result<Written, StoreError> {
        let written = match *write {
            Write::Confirm(_) => self.confirmations.run(write),
            Write::Replace(_) => self.replacements.run(write),
        };
        if attempt == 1 { within(STEP_LIMIT, written).await } else { written.await }
    }

    fn committed(&self, user: UserId, changes: RowChanges, rows: usize) {
        self.faults.succeeded(user, changes);
        self.metrics.rows(row_counts(changes, rows));
    }

    /// Ranks on a blocking thread: scoring keeps a processor busy, and request threads must stay free. No more at a time
    /// than there are processors: more threads would take memory and no less time.
    async fn rank(
        &self,
        user: UserId,
        catalogue: &Arc<Catalogue>,
        profile: &CareerProfile,
    ) -> Result<(Vec<Recommendation>, Known), CalculationError> {
        let limit = self.config.max_recommendations;
        let (snapshot, ranked, metrics) = (catalogue.clone(), profile.clone(), self.metrics.clone());
        let rank = move || {
            let started = Instant::now();
            let rows = snapshot.recommend(&ranked, limit);
            metrics.scoring(started.elapsed());
            let result = Known { digest: digest::of(&rows).into(), count: rows.len() };
            (rows, result)
        };
        let turn = self.rankings.acquire().await;
        let ranked = tokio::task::spawn_blocking(rank).await;
        drop(turn);
        let (rows, result) = ranked.map_err(|_| CalculationError::Panicked)?;
        self.known.put(user, catalogue, profile.clone(), result.clone());
        Ok((rows, result))
    }

    /// Runs `work`, and finds out whose fault its failure is, with a time limit: a database that accepts
    /// connections but never answers must not block the caller.
    async fn bounded<T>(
        &self,
        user: UserId,
        work: impl Future<Output = Result<T, CalculationError>>,
    ) -> Result<T, CalculationError> {
        let began = Instant::now();
        let judged = async {
            match work.await {
                Err(error) => Err(self.faults.judge(user, error, began).await),
                done => done,
            }
        };
        let limit = self.config.run_timeout;
        timeout(limit, judged).await.unwrap_or(Err(CalculationError::TimedOut(limit)))
    }

    /// Records the run's trigger without waking a worker: the cause of the delay (the other run, a rolling
    /// deploy) needs a moment, after which the workers' poll finds the user.
    async fn leave_to_queue(&self, user: UserId, reason: QueuedReason) -> Result<Outcome, CalculationError> {
        self.queue.request_run(user).await?;
        let in_log = reason.in_log();
        tracing::info!(user_id = %user, outcome = "queued", reason = in_log, "skipped: the trigger is queued");
        Ok(Outcome::Queued(reason))
    }
}

fn parse_inputs(user: UserId, analysis: &StoredAnalysis) -> Inputs {
    let inputs = Inputs::parse(analysis);
    if !inputs.ignored.is_empty() {
        tracing::warn!(user_id = %user, ignored = ?inputs.ignored, "parts of the analysis are unreadable");
    }
    inputs
}
