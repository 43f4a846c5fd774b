//! Batches: making many users due. The workers of all instances serve them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::coordination::Wakeups;
use crate::domain::Lane;
use crate::storage::{self, BatchScope, BatchStore, Marking, OpenedBatch, STEP_LIMIT, StoreError};

/// How often instances advance a running batch.
const RUNNING_POLL: Duration = Duration::from_secs(1);
/// How often instances look for a batch without a wake-up.
const IDLE_POLL: Duration = Duration::from_secs(5);

/// Opens batches and keeps them going.
#[derive(Clone)]
pub struct Batches {
    store: Arc<dyn BatchStore>,
    wakeups: Arc<Wakeups>,
}

impl Batches {
    /// Batches of the users in `store`, announced over `wakeups`.
    pub fn new(store: Arc<dyn BatchStore>, wakeups: Arc<Wakeups>) -> Self {
        Self { store, wakeups }
    }

    /// Opens a batch, or joins the running one. Any instance then makes its users due.
    pub async fn open(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
        let opened = storage::within(STEP_LIMIT, self.store.open_batch(scope)).await?;
        if !opened.joined {
            tracing::info!(batch_id = opened.id.0, "batch opened");
        }
        self.wakeups.announce_batch();
        Ok(opened)
    }

    /// Makes users of batches due, and ends finished batches, until `stop`. Every instance does this, so that
    /// a batch outlives the instance that opened it.
    pub async fn keep(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let running = self.advance(&stop).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the batch cannot be advanced");
                true
            });
            let poll = if running { RUNNING_POLL } else { IDLE_POLL };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wakeups.wait_for_batch() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    /// Advances the running batch; returns whether a batch is still running.
    async fn advance(&self, stop: &CancellationToken) -> Result<bool, StoreError> {
        let Some(batch) = storage::within(STEP_LIMIT, self.store.running_batch()).await? else {
            return Ok(false);
        };
        while storage::within(STEP_LIMIT, self.store.mark_batch(batch)).await? == Marking::Going {
            self.wakeups.announce(Lane::Batch);
            if stop.is_cancelled() {
                return Ok(true);
            }
        }
        if !storage::within(STEP_LIMIT, self.store.finish_batch(batch)).await? {
            return Ok(true);
        }
        if let Some(status) = storage::within(STEP_LIMIT, self.store.latest_batch()).await? {
            tracing::info!(
                batch_id = batch.0,
                marked = status.marked,
                computed = status.computed,
                unchanged = status.unchanged,
                parked = status.parked,
                "batch finished"
            );
        }
        Ok(false)
    }
}
