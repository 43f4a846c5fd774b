//! The snapshot of `job_listings` that this process currently ranks with.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::ranking::{Catalogue, CatalogueBuilder, SCORING_CODE_REVISION, Vocabulary};
use crate::storage::{Store, StoreError};

/// Holds the current snapshot and swaps it whole.
pub struct CurrentCatalogue {
    store: Arc<dyn Store>,
    vocabulary: Arc<Vocabulary>,
    current: ArcSwap<Catalogue>,
    /// One refresh at a time; whoever waited for it finds the work done.
    refreshing: Mutex<()>,
}

impl CurrentCatalogue {
    /// Reads the first snapshot.
    pub async fn load(store: Arc<dyn Store>, vocabulary: Arc<Vocabulary>) -> Result<Self, StoreError> {
        let empty = CatalogueBuilder::new(vocabulary.clone()).finish(0);
        let catalogue =
            Self { store, vocabulary, current: ArcSwap::from_pointee(empty), refreshing: Mutex::new(()) };
        catalogue.refresh().await?;
        Ok(catalogue)
    }

    /// The newest snapshot that this process has read.
    pub fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// Ordered: of two instances, the one with the higher revision has the newer scoring. The code's
    /// revision counts before the vocabulary's.
    pub fn scoring_revision(&self) -> i64 {
        i64::from(SCORING_CODE_REVISION) << 32 | i64::from(self.vocabulary.revision())
    }

    /// Reads the listings again if they have changed.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let known = self.current.load().version();
        let mut builder = CatalogueBuilder::new(self.vocabulary.clone());
        let read = self.store.read_catalogue(Some(known), &mut |listing| builder.push(&listing)).await?;
        if let Some(version) = read {
            let built = tokio::task::spawn_blocking(move || builder.finish(version)).await;
            let catalogue = built.expect("building a catalogue does not panic");
            tracing::info!(listings = catalogue.len(), catalogue_version = version, "catalogue read");
            self.current.store(Arc::new(catalogue));
        }
        Ok(())
    }

    /// Refreshes at every `interval` until cancelled. A failed refresh is logged and tried again: ranking
    /// goes on with the snapshot at hand.
    pub async fn keep_fresh(&self, interval: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the catalogue could not be refreshed");
            }
        }
    }
}
