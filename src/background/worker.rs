//! The workers of this process. Workers of any number of instances serve the users that are due in
//! `recommendation_state`.
//!
//! A worker claims a due user with a short lease and starts an ordinary run. A committed run ends the lease. A
//! failed run gives the user back: due again later or, after too many attempts, parked until the next trigger;
//! a run that failed because the database is in trouble does not count. If a worker dies, its lease expires.
//! Leases only keep instances from doing work twice; the run itself keeps the rows right (see
//! [`crate::calculator`]).
//!
//! Real-time triggers and batches have workers of their own, so that neither waits for the other. A batch
//! worker gives way for a moment when this process has a run in real time to do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::seq::SliceRandom;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decision::{self, AfterClaim};
use crate::calculator::{Calculator, RunResult};
use crate::coordination::{Instance, Wakeups};
use crate::domain::{Lane, ScoringRevision, UserId};
use crate::storage::{self, DueUser, GiveBack, Lease, QueueStore, STEP_LIMIT, StoreError};

/// How often idle workers look for work without a wake-up: work left by a crash, or announced while Redis was
/// away. Jitter makes it up to one and a half times as long.
const POLL: Duration = Duration::from_secs(1);
/// How long a batch worker waits, before each run, for callers that wait for a run in real time.
const PATIENCE: Duration = Duration::from_millis(100);
/// Due users read with one statement.
const READ_AHEAD: u32 = 32;
/// Users of a batch that a worker serves with one commit. They also wait for each other, and so do real-time triggers for
/// one of them: tens of milliseconds.
const TOGETHER: usize = 16;

/// Settings of the workers.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Workers for real-time triggers.
    pub real_time_workers: usize,
    /// Workers for batches.
    pub batch_workers: usize,
    /// How long other workers leave a claimed user alone; longer than a run may take.
    pub lease: Duration,
    /// Failures after which a user is parked.
    pub max_attempts: u32,
    /// The scoring of this process: users of a newer one are left to instances that have it.
    pub scoring_revision: ScoringRevision,
    /// Makes the tokens of leases.
    pub instance: Instance,
}

/// The workers of this process.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    store: Arc<dyn QueueStore>,
    calculator: Calculator,
    wakeups: Arc<Wakeups>,
    config: WorkerConfig,
    /// The users whose leases this process holds, with the tokens.
    held: Mutex<HashMap<(UserId, String), DueUser>>,
}

impl Workers {
    /// Workers for the store's due users; nothing runs before [`Workers::work`].
    pub fn new(
        store: Arc<dyn QueueStore>,
        calculator: Calculator,
        wakeups: Arc<Wakeups>,
        config: WorkerConfig,
    ) -> Self {
        Self(Arc::new(Inner { store, calculator, wakeups, config, held: Mutex::default() }))
    }

    /// Serves due users until `stop`, then finishes the runs in flight. Without workers it only waits.
    pub async fn work(&self, stop: CancellationToken) {
        let mut workers = JoinSet::new();
        let WorkerConfig { real_time_workers, batch_workers, .. } = self.0.config;
        for (lane, count) in [(Lane::RealTime, real_time_workers), (Lane::Batch, batch_workers)] {
            // The idle worker that holds this lock reads the next due users; the others wait for it.
            let ahead = Arc::new(tokio::sync::Mutex::new(VecDeque::new()));
            for _ in 0..count {
                let (inner, stop, ahead) = (self.0.clone(), stop.clone(), ahead.clone());
                workers.spawn(async move { inner.work(lane, &ahead, &stop).await });
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => while workers.join_next().await.is_some() {},
            // A worker that ends without `stop` has panicked: the process must not go on without it.
            Some(_) = workers.join_next() => {}
        }
    }

    /// Ends all leases of this process, so that other instances take over: for a stop that cannot wait for its
    /// runs.
    pub async fn give_back_all(&self) {
        let held = std::mem::take(&mut *self.0.held());
        // Concurrently: a run that is stuck in its transaction locks the row of its own lease.
        let how = GiveBack::Untried { after: Duration::ZERO };
        let ended = join_all(held.iter().map(|((_, token), due)| self.0.give_back(due, token, &how))).await;
        for error in ended.iter().filter_map(|ended| ended.as_ref().err()) {
            tracing::warn!(%error, "a lease could not be ended: it expires");
        }
    }
}

impl Inner {
    async fn work(
        &self,
        lane: Lane,
        ahead: &tokio::sync::Mutex<VecDeque<DueUser>>,
        stop: &CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let next = async {
                let mut ahead = ahead.lock().await;
                let first = self.next(lane, &mut ahead, stop).await?;
                Some(self.with_others(lane, first, &mut ahead))
            };
            let Some(due) = next.await else { return };
            if lane == Lane::Batch {
                self.calculator.give_way(PATIENCE).await;
            }
            let token = self.config.instance.token();
            match self.claim(&due, &token).await {
                // Other workers were faster.
                Ok(claimed) if claimed.is_empty() => {}
                Ok(claimed) => {
                    self.serve(lane, &claimed, &token, stop).await;
                    // The users are still due if a trigger came in during the run; other workers found them claimed.
                    self.wakeups.notify(lane);
                }
                Err(error) => {
                    self.failed(&error, "a due user could not be claimed").await;
                    stop.run_until_cancelled(tokio::time::sleep(poll())).await;
                    // The claim may have committed.
                    let untried = GiveBack::Untried { after: Duration::ZERO };
                    for due in &due {
                        self.end_lease(due, &token, &untried, stop).await;
                    }
                }
            }
        }
    }

    /// Users of a batch are served together. Not those who have been tried before: a user whose run ends the process
    /// would count an attempt against all others again and again.
    fn with_others(&self, lane: Lane, first: DueUser, ahead: &mut VecDeque<DueUser>) -> Vec<DueUser> {
        let mut due = vec![first];
        while lane == Lane::Batch && due.len() < TOGETHER && first.attempts == 0 {
            match ahead.pop_front() {
                Some(next) if next.attempts == 0 => due.push(next),
                Some(next) => {
                    ahead.push_front(next);
                    break;
                }
                None => break,
            }
        }
        due
    }

    /// The next due user; `None` on `stop`. Only waiting is ever cancelled, no step on the database.
    async fn next(
        &self,
        lane: Lane,
        ahead: &mut VecDeque<DueUser>,
        stop: &CancellationToken,
    ) -> Option<DueUser> {
        while !stop.is_cancelled() {
            if let Some(due) = ahead.pop_front() {
                return Some(due);
            }
            match self.due_users(lane).await {
                Ok(due) if !due.is_empty() => ahead.extend(due),
                nothing => {
                    match nothing {
                        Ok(_) => self.calculator.look_for_the_end_of_an_outage().await,
                        Err(error) => _ = self.failed(&error, "the queue cannot be read").await,
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.wakeups.wait(lane) => {}
                        () = tokio::time::sleep(poll()) => {}
                    }
                }
            }
        }
        None
    }

    async fn due_users(&self, lane: Lane) -> Result<Vec<DueUser>, StoreError> {
        let revision = self.config.scoring_revision;
        let mut due = storage::within(STEP_LIMIT, self.store.due_users(lane, revision, READ_AHEAD)).await?;
        if lane == Lane::Batch {
            // Instances that read the same users claim them in different orders.
            due.shuffle(&mut rand::rng());
        }
        Ok(due)
    }

    /// Leases the users; not those for whom another worker was faster.
    async fn claim(&self, due: &[DueUser], token: &str) -> Result<Vec<DueUser>, StoreError> {
        let lease = Lease { token: token.to_owned(), duration: self.config.lease };
        let revision = self.config.scoring_revision;
        let claim = async {
            match due {
                [one] => {
                    let claimed = self.store.claim(one, &lease, revision).await?;
                    Ok(if claimed { vec![*one] } else { Vec::new() })
                }
                several => self.store.claim_all(several, &lease, revision).await,
            }
        };
        storage::within(STEP_LIMIT, claim).await
    }

    async fn serve(&self, lane: Lane, claimed: &[DueUser], token: &str, stop: &CancellationToken) {
        self.held().extend(claimed.iter().map(|due| ((due.user, token.to_owned()), *due)));
        let max_attempts = self.config.max_attempts;
        let ended: Vec<Option<GiveBack>> = match claimed {
            [due] if decision::after_claim(due.attempts, max_attempts) == AfterClaim::Park => {
                vec![Some(decision::parked_for_crashing())]
            }
            _ => {
                let after = |(due, result): (&DueUser, RunResult)| {
                    decision::after_run(&result, due.attempts + 1, max_attempts, rand::random())
                };
                claimed.iter().zip(self.calculate(lane, claimed).await).map(after).collect()
            }
        };
        for (due, ended) in claimed.iter().zip(ended) {
            // `give_back_all` may have ended the lease already.
            let still_held = self.held().remove(&(due.user, token.to_owned())).is_some();
            if let (Some(how), true) = (ended, still_held) {
                if let GiveBack::Parked { error } = &how {
                    tracing::error!(user_id = %due.user, code = error.code, cause = error.cause, "user parked");
                }
                self.end_lease(due, token, &how, stop).await;
            }
        }
    }

    async fn calculate(&self, lane: Lane, claimed: &[DueUser]) -> Vec<RunResult> {
        match claimed {
            [due] => vec![self.calculator.calculate_for_worker(due.user, lane).await],
            several => self.calculator.calculate_together(several.iter().map(|due| due.user).collect()).await,
        }
    }

    /// Ends a lease, and does not give up while the database is in trouble: a claim whose end is not recorded looks
    /// like one that has ended its process, and counts.
    async fn end_lease(&self, due: &DueUser, token: &str, how: &GiveBack, stop: &CancellationToken) {
        let begun = Instant::now();
        while let Err(error) = self.give_back(due, token, how).await {
            let in_trouble = self.failed(&error, "a lease could not be ended").await;
            let has_expired = begun.elapsed() >= self.config.lease;
            if stop.is_cancelled() || has_expired && !in_trouble {
                tracing::warn!(user_id = %due.user, %error, "a lease could not be ended: it expires");
                return;
            }
            stop.run_until_cancelled(tokio::time::sleep(poll())).await;
        }
    }

    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) -> Result<(), StoreError> {
        storage::within(STEP_LIMIT, self.store.give_back(due, token, how)).await
    }

    /// Logs a failed step; not if it belongs to an outage, which is logged as a whole. Returns whether it does.
    async fn failed(&self, error: &StoreError, step: &str) -> bool {
        let in_trouble = self.calculator.is_in_trouble(error).await;
        if in_trouble {
            tracing::debug!(%error, "{step}");
        } else {
            tracing::warn!(%error, "{step}");
        }
        in_trouble
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(UserId, String), DueUser>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time until an idle worker looks again.
fn poll() -> Duration {
    POLL.mul_f64(1.0 + 0.5 * rand::random::<f64>())
}
