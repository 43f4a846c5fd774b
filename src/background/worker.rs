//! Background work: users that are due in `recommendation_state`, served by the workers of any number of
//! instances.
//!
//! A worker takes a due user with a short lease and does the same run as everybody else. A committed run
//! ends the lease; a failed one is given back, to be tried again later or, after too many attempts, to be
//! parked until the next trigger. A worker that dies is forgotten when its lease ends. Leases only keep
//! work from being done twice: that the rows are right is the run's doing (see [`crate::calculator`]).
//!
//! Real-time triggers and batches have workers of their own, so that neither waits for the other; a batch
//! gives way for a moment when this process has something to do in real time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use rand::seq::SliceRandom;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decision::{self, AfterClaim};
use crate::calculator::Calculator;
use crate::catalogue::CurrentCatalogue;
use crate::coordination::{Instance, Wakeups};
use crate::domain::Lane;
use crate::storage::{self, DueUser, GiveBack, Lease, Store, StoreError};

/// How often idle workers look for work that nobody has told them of: left by a crash, or announced while
/// Redis was away. Jittered up to one and a half times as long.
const POLL: Duration = Duration::from_secs(1);
/// How long one step on the queue may take.
const STEP: Duration = Duration::from_secs(10);
/// How long a batch waits, before each run, for those who wait for a run in real time.
const PATIENCE: Duration = Duration::from_millis(100);
/// Due users read at once: a batch is not read one by one.
const READ_AHEAD: u32 = 32;

/// How the queue is worked on.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Runs in real time at the same time, …
    pub real_time_workers: usize,
    /// … and runs of a batch.
    pub batch_workers: usize,
    /// How long a user is left to a worker that is never heard of again; more than a run may take.
    pub lease: Duration,
    /// After so many failures a user is parked.
    pub max_attempts: u32,
    /// Makes the tokens of leases.
    pub instance: Instance,
}

/// The workers of this process.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    calculator: Calculator,
    catalogue: Arc<CurrentCatalogue>,
    wakeups: Arc<Wakeups>,
    config: WorkerConfig,
    /// What this process holds leases of, by token.
    held: Mutex<HashMap<String, DueUser>>,
}

impl Workers {
    /// A queue over the store's due users; nothing runs before [`Workers::work`].
    pub fn new(
        store: Arc<dyn Store>,
        calculator: Calculator,
        catalogue: Arc<CurrentCatalogue>,
        wakeups: Arc<Wakeups>,
        config: WorkerConfig,
    ) -> Self {
        Self(Arc::new(Inner { store, calculator, catalogue, wakeups, config, held: Mutex::default() }))
    }

    /// Serves due users until `stop`; runs that have begun are finished. Without workers it only waits.
    pub async fn work(&self, stop: CancellationToken) {
        let mut workers = JoinSet::new();
        let WorkerConfig { real_time_workers, batch_workers, .. } = self.0.config;
        for (lane, count) in [(Lane::RealTime, real_time_workers), (Lane::Batch, batch_workers)] {
            // Of a lane's idle workers, the one that has this looks for work; the others wait for it.
            let ahead = Arc::new(tokio::sync::Mutex::new(VecDeque::new()));
            for _ in 0..count {
                let (inner, stop, ahead) = (self.0.clone(), stop.clone(), ahead.clone());
                workers.spawn(async move { inner.work(lane, &ahead, &stop).await });
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => while workers.join_next().await.is_some() {},
            // A worker that ends untold has panicked: the process must not go on without it.
            Some(_) = workers.join_next() => {}
        }
    }

    /// Ends all leases of this process, for a stop that cannot wait for its runs: others may take over.
    pub async fn give_back_all(&self) {
        let held = std::mem::take(&mut *self.0.held());
        // All at once: a run that is stuck in its transaction holds the row that its own lease is in.
        let how = GiveBack::Untried { after: Duration::ZERO };
        join_all(held.iter().map(|(token, due)| self.0.give_back(due, token, &how))).await;
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
                self.next(lane, &mut ahead, stop).await
            };
            let Some(due) = next.await else { return };
            if lane == Lane::Batch {
                self.calculator.give_way(PATIENCE).await;
            }
            match self.claim(&due).await {
                Ok(Some(token)) => {
                    self.serve(lane, &due, &token).await;
                    // The user is still due if a trigger has come in meanwhile; those who looked for it
                    // found him taken.
                    self.wakeups.notify(lane);
                }
                // Another worker was faster.
                Ok(None) => {}
                // The lease, if it was taken, ends by itself.
                Err(error) => {
                    tracing::warn!(user_id = %due.user, %error, "a due user could not be claimed");
                    stop.run_until_cancelled(tokio::time::sleep(poll())).await;
                }
            }
        }
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
                    if let Err(error) = nothing {
                        tracing::warn!(%error, "the queue cannot be read");
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
        let revision = self.catalogue.scoring_revision();
        let mut due = storage::within(STEP, self.store.due_users(lane, revision, READ_AHEAD)).await?;
        if lane == Lane::Batch {
            // Instances that read the same users begin with different ones.
            due.shuffle(&mut rand::rng());
        }
        Ok(due)
    }

    /// The token of the lease, if it was had.
    async fn claim(&self, due: &DueUser) -> Result<Option<String>, StoreError> {
        let lease = Lease { token: self.config.instance.token(), duration: self.config.lease };
        let claimed =
            storage::within(STEP, self.store.claim(due, &lease, self.catalogue.scoring_revision())).await?;
        Ok(claimed.then_some(lease.token))
    }

    async fn serve(&self, lane: Lane, due: &DueUser, token: &str) {
        self.held().insert(token.to_owned(), *due);
        let max_attempts = self.config.max_attempts;
        let ended = match decision::after_claim(due.attempts, max_attempts) {
            AfterClaim::Run => {
                let result = self.calculator.calculate_for_worker(due.user, lane).await;
                decision::after_run(&result, due.attempts + 1, max_attempts, rand::random())
            }
            AfterClaim::Park => Some(decision::killer()),
        };
        // Taken by `give_back_all`, perhaps.
        let still_held = self.held().remove(token).is_some();
        if let (Some(how), true) = (ended, still_held) {
            if let GiveBack::Parked { error } = &how {
                tracing::error!(user_id = %due.user, code = error.code, cause = error.cause, "user parked");
            }
            self.give_back(due, token, &how).await;
        }
    }

    async fn give_back(&self, due: &DueUser, token: &str, how: &GiveBack) {
        if let Err(error) = storage::within(STEP, self.store.give_back(due, token, how)).await {
            tracing::warn!(user_id = %due.user, %error, "a lease could not be ended: it expires");
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, DueUser>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until the next look, when nothing is to be done or the database refuses.
fn poll() -> Duration {
    POLL.mul_f64(1.0 + 0.5 * rand::random::<f64>())
}
