//! Batches: marking many users due. The queue's workers, of all instances, do the rest.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::coordination::Wakeups;
use crate::domain::Lane;
use crate::storage::{self, BatchScope, Marking, OpenedBatch, Store, StoreError};

/// How often instances look after a batch that is running.
const RUNNING_POLL: Duration = Duration::from_secs(1);
/// How often they look for one that they were not told of.
const IDLE_POLL: Duration = Duration::from_secs(5);

/// How long one step may take.
const STEP: Duration = Duration::from_secs(10);

/// Opens batches and sees them through.
#[derive(Clone)]
pub struct Batches {
    store: Arc<dyn Store>,
    wakeups: Arc<Wakeups>,
}

impl Batches {
    pub fn new(store: Arc<dyn Store>, wakeups: Arc<Wakeups>) -> Self {
        Self { store, wakeups }
    }

    /// Opens a batch, or joins the one that is running. Its users are marked by whichever instance is
    /// first.
    pub async fn open(&self, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
        let opened = storage::within(STEP, self.store.open_batch(scope)).await?;
        if !opened.joined {
            tracing::info!(batch_id = opened.id.0, "batch opened");
        }
        self.wakeups.announce_batch();
        Ok(opened)
    }

    /// Marks the users of batches, and ends batches that are done, until `stop`. Every instance does this:
    /// where one has died, another goes on.
    pub async fn keep(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let running = self.advance(&stop).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the batch cannot be looked after");
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

    /// Whether a batch is still running.
    async fn advance(&self, stop: &CancellationToken) -> Result<bool, StoreError> {
        let Some(batch) = storage::within(STEP, self.store.running_batch()).await? else { return Ok(false) };
        while storage::within(STEP, self.store.mark_batch(batch)).await? == Marking::Going {
            self.wakeups.announce(Lane::Batch);
            if stop.is_cancelled() {
                return Ok(true);
            }
        }
        if !storage::within(STEP, self.store.finish_batch(batch)).await? {
            return Ok(true);
        }
        if let Some(status) = storage::within(STEP, self.store.latest_batch()).await? {
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
