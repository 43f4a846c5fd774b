//! A background trigger is one act: record it durably and wake a worker, or, if there is nothing to calculate
//! from, answer at once.

use std::sync::Arc;

use async_trait::async_trait;

use crate::calculator::{CalculationError, Calculator, Failure, Outcome};
use crate::coordination::Wakeups;
use crate::domain::{Lane, UserId};
use crate::grouping::{GroupedStep, Grouping};
use crate::profile::Inputs;
use crate::storage::{self, STEP_LIMIT, Store, StoreError};

/// Statements that record triggers at the same time.
const GROUPS: usize = 2;

/// Takes triggers whose caller does not wait for the calculation.
#[derive(Clone)]
pub struct Triggers {
    store: Arc<dyn Store>,
    wakeups: Arc<Wakeups>,
    arriving: Grouping<Recording>,
}

/// Records triggers of users with careers. Done: whether the trigger is recorded.
struct Recording(Arc<dyn Store>);

#[async_trait]
impl GroupedStep for Recording {
    type Item = UserId;
    type Done = Result<bool, StoreError>;

    async fn alone(&self, user: &UserId) -> Self::Done {
        self.0.request_runs_with_careers(&[*user]).await
    }

    async fn together(&self, users: &[UserId]) -> Option<Vec<Self::Done>> {
        match storage::within(STEP_LIMIT, self.0.request_runs_with_careers(users)).await {
            Ok(true) => Some(users.iter().map(|_| Ok(true)).collect()),
            Ok(false) | Err(_) => None,
        }
    }
}

/// The answer to a background trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The trigger is durable: a worker will serve it, whatever happens to this process.
    Recorded,
    /// There is nothing to calculate from, so nothing is recorded. Rows of earlier analyses are removed.
    NothingToCalculate(Outcome),
}

impl Triggers {
    /// Triggers that the workers of all instances which share `store` serve.
    pub fn new(store: Arc<dyn Store>, wakeups: Arc<Wakeups>) -> Self {
        Self { arriving: Grouping::new(Recording(store.clone()), GROUPS), store, wakeups }
    }

    /// Records the trigger. For a user without careers `calculator` answers instead: the outcome is known, and
    /// an unknown user leaves no trace.
    ///
    /// # Errors
    /// The database failed, or did not answer within the calculator's time limit for a run.
    pub async fn request(
        &self,
        calculator: &Calculator,
        user: UserId,
    ) -> Result<Accepted, Arc<CalculationError>> {
        match calculator.bounded(user, self.record_if_it_can_run(user)).await {
            Ok(true) => Ok(Accepted::Recorded),
            Ok(false) => calculator.calculate(user, false).await.map(Accepted::NothingToCalculate),
            Err(error) => {
                if error.failure() == Failure::Unavailable {
                    tracing::debug!(user_id = %user, %error, "the trigger could not be recorded");
                } else {
                    tracing::error!(user_id = %user, %error, "the trigger could not be recorded");
                }
                Err(Arc::new(error))
            }
        }
    }

    /// Makes a known user due now, with all attempts left. `false`: the user is unknown, nothing is recorded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retry(&self, user: UserId) -> Result<bool, StoreError> {
        let known = self.store.user_status(user).await?.is_some();
        if known {
            self.record(user).await?;
        }
        Ok(known)
    }

    /// Makes parked users due, with all attempts left: all of them, or those whose last failure has this code.
    /// Returns their number.
    ///
    /// # Errors
    /// The database failed; users before that are due.
    pub async fn retry_parked(&self, code: Option<&str>) -> Result<u64, StoreError> {
        let (mut after, mut users) = (None, 0);
        while let Some(retried) = self.store.retry_parked(code, after).await? {
            (after, users) = (Some(retried.through), users + retried.users);
        }
        if users > 0 {
            self.wakeups.announce(Lane::RealTime);
            self.wakeups.announce(Lane::Batch);
        }
        Ok(users)
    }

    async fn record_if_it_can_run(&self, user: UserId) -> Result<bool, CalculationError> {
        if self.arriving.run(user).await? {
            self.wakeups.announce(Lane::RealTime);
            return Ok(true);
        }
        // The careers may be in the user's analyses, where SQL does not find them.
        let can_run = Inputs::parse(&self.store.snapshot(user).await?.analysis).has_careers();
        if can_run {
            self.record(user).await?;
        }
        Ok(can_run)
    }

    /// Commits, then wakes: a worker that is woken finds the trigger.
    async fn record(&self, user: UserId) -> Result<(), StoreError> {
        self.store.request_run(user).await?;
        self.wakeups.announce(Lane::RealTime);
        Ok(())
    }
}
