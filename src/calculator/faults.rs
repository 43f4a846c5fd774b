//! Whose fault is a failure? A user who fails too often is parked, so only failures that follow one user may be
//! counted against that user. There are too many errors of a server in trouble to list them: evidence decides.
//!
//! A failure is the server's if it came up while a connection was taken, if the database refuses a trivial write,
//! too, or if several users share it ([`Evidence`]). All others are the user's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::CalculationError;
use super::evidence::Evidence;
use crate::domain::UserId;
use crate::storage::{RowChanges, RunStore, StoreError, StoreErrorKind};

/// Judges the failures of this process, and logs the beginning and the end of an outage.
pub(super) struct Faults {
    store: Arc<dyn RunStore>,
    observed: Mutex<Observed>,
}

#[derive(Default)]
struct Observed {
    evidence: Evidence,
    outage: Option<Outage>,
    /// The end of the last outage.
    ended: Option<Instant>,
}

/// What is known of the database's trouble, which decides what ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// Nothing can be written.
    Writes,
    /// Lists cannot be written; a confirmation perhaps can.
    Lists,
}

impl Faults {
    pub(super) fn new(store: Arc<dyn RunStore>) -> Self {
        Self { store, observed: Mutex::default() }
    }

    /// The error of a run that began at this moment, as the caller gets it: [`CalculationError::ServerInTrouble`] if it is
    /// not the user's fault.
    pub(super) async fn judge(
        &self,
        user: UserId,
        error: CalculationError,
        began: Instant,
    ) -> CalculationError {
        let cause = match &error {
            CalculationError::Store(error) => match error.kind() {
                StoreErrorKind::Unavailable => {
                    self.begin_outage(Outage::Writes, error, began);
                    None
                }
                StoreErrorKind::Conflict => None,
                StoreErrorKind::ListingGone | StoreErrorKind::Refused | StoreErrorKind::Migration => {
                    Some(error.cause())
                }
            },
            // A disk that is full makes commits hang.
            CalculationError::TimedOut(_) => Some("timed out".to_owned()),
            CalculationError::ServerInTrouble(_)
            | CalculationError::Panicked
            | CalculationError::Overloaded => None,
        };
        let Some(cause) = cause else { return error };
        let shared = self.observed().evidence.failed(user, &cause, Instant::now());
        let outage = match self.store.probe().await {
            Err(_) => Outage::Writes,
            Ok(()) if shared => Outage::Lists,
            Ok(()) => return error,
        };
        self.begin_outage(outage, &error, began);
        CalculationError::ServerInTrouble(Box::new(error))
    }

    /// Whether a failed step of no user belongs to an outage.
    pub(super) async fn is_in_trouble(&self, error: &StoreError) -> bool {
        let in_trouble = match error.kind() {
            StoreErrorKind::Unavailable => true,
            StoreErrorKind::Conflict => false,
            _ => self.store.probe().await.is_err(),
        };
        if in_trouble {
            self.begin_outage(Outage::Writes, error, Instant::now());
        }
        in_trouble
    }

    /// Ends an outage in which nothing could be written, if something can be written again.
    pub(super) async fn look_for_the_end(&self) {
        let known = self.observed().outage;
        if known == Some(Outage::Writes) && self.store.probe().await.is_ok() {
            self.end_outage(|outage| outage == Outage::Writes);
        }
    }

    /// A run of the user has committed.
    pub(super) fn succeeded(&self, user: UserId, changes: RowChanges) {
        let inserted = changes.inserted > 0;
        self.observed().evidence.succeeded(user, inserted);
        self.end_outage(|outage| inserted || outage == Outage::Writes);
    }

    /// Logs the cause once per outage. What began before the last one ended, and fails only now, says nothing of the time
    /// after it.
    fn begin_outage(&self, outage: Outage, cause: &dyn std::error::Error, began: Instant) {
        let mut observed = self.observed();
        if observed.outage.is_none() && observed.ended.is_none_or(|ended| ended <= began) {
            observed.outage = Some(outage);
            tracing::error!(%cause, "database in trouble: no failure is counted against a user");
        }
    }

    fn end_outage(&self, is_over: impl FnOnce(Outage) -> bool) {
        let mut observed = self.observed();
        if observed.outage.take_if(|outage| is_over(*outage)).is_some() {
            observed.ended = Some(Instant::now());
            tracing::info!("database available again");
        }
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::storage::{Confirmation, Replacement, Snapshot, Write, Written};

    /// A database that takes trivial writes.
    struct Working;

    #[async_trait]
    impl RunStore for Working {
        async fn snapshot(&self, _: UserId) -> Result<Snapshot, StoreError> {
            unreachable!("no run")
        }

        async fn snapshots(&self, _: &[UserId]) -> Result<Vec<Snapshot>, StoreError> {
            unreachable!("no run")
        }

        async fn replace(&self, _: &Replacement) -> Result<Written, StoreError> {
            unreachable!("no run")
        }

        async fn confirm(&self, _: &Confirmation) -> Result<Written, StoreError> {
            unreachable!("no run")
        }

        async fn write_together(&self, _: &[Arc<Write>]) -> Result<Option<Vec<RowChanges>>, StoreError> {
            unreachable!("no run")
        }

        async fn probe(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn distrust_connections(&self) {}
    }

    #[tokio::test]
    async fn a_run_that_began_in_an_outage_and_fails_after_its_end_begins_none() {
        let (faults, user) = (Faults::new(Arc::new(Working)), UserId::try_from(1).unwrap());
        let fail = async |began| {
            let error = CalculationError::Store(StoreError::unavailable("away"));
            faults.judge(user, error, began).await;
            faults.observed().outage.is_some()
        };
        let began = Instant::now();
        assert!(fail(began).await);
        faults.succeeded(user, RowChanges { inserted: 1, ..RowChanges::default() });
        assert!(!fail(began).await, "it began before the end");
        assert!(fail(Instant::now()).await, "it began after the end");
    }
}
