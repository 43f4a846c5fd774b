//! The snapshot of `job_listings` that this process currently ranks with.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{CatalogueVersion, ScoringRevision};
use crate::ranking::{self, Catalogue, CatalogueBuilder, Vocabulary};
use crate::storage::{CatalogueChanges, KnownListings, ListingStore, StoreError};

/// How often a full read is repeated because listings changed during it without a newer `updated_at`.
const MAX_READS: u32 = 5;

/// Holds the current snapshot and swaps it whole: requests never wait for a refresh.
pub struct CurrentCatalogue {
    store: Arc<dyn ListingStore>,
    vocabulary: Arc<Vocabulary>,
    current: ArcSwap<Catalogue>,
    /// One refresh at a time: a caller that waited finds the work done.
    base: Mutex<Base>,
    reload_after: Duration,
}

/// The starting point of the next refresh.
struct Base {
    known: KnownListings,
    /// When all listings were read last.
    loaded: Instant,
}

impl CurrentCatalogue {
    /// Reads the first snapshot. A refresh reads changes only; after `reload_after` it reads all listings again,
    /// for changes that `updated_at` does not show.
    pub async fn load(
        store: Arc<dyn ListingStore>,
        vocabulary: Arc<Vocabulary>,
        reload_after: Duration,
    ) -> Result<Self, StoreError> {
        let (catalogue, base) = read(&*store, &vocabulary).await?;
        let (current, base) = (ArcSwap::from_pointee(catalogue), Mutex::new(base));
        Ok(Self { store, vocabulary, current, base, reload_after })
    }

    /// The newest snapshot that this process has read.
    pub fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// The revision of the scoring that this process calculates with.
    pub fn scoring_revision(&self) -> ScoringRevision {
        ScoringRevision(ranking::scoring_revision(&self.vocabulary))
    }

    /// Brings the snapshot up to date.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut base = self.base.lock().await;
        if base.loaded.elapsed() >= self.reload_after || !self.apply_changes(&mut base.known).await? {
            let (catalogue, reloaded) = read(&*self.store, &self.vocabulary).await?;
            self.current.store(Arc::new(catalogue));
            *base = reloaded;
        }
        Ok(())
    }

    /// Refreshes at every `interval` until `stop`. After a failed refresh, ranking goes on with the current
    /// snapshot until the next one.
    pub async fn keep_fresh(&self, interval: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the catalogue could not be refreshed");
            }
        }
    }

    /// Applies the changes since the last read; `false` if all listings must be read again.
    async fn apply_changes(&self, known: &mut KnownListings) -> Result<bool, StoreError> {
        let started = Instant::now();
        let Some(changes) = self.store.read_catalogue_changes(known).await? else { return Ok(false) };
        let current = self.current();
        if changes.version != CatalogueVersion(current.version()) {
            let (changed, deleted) = (changes.changed.len(), changes.deleted.len());
            let next =
                build(move || current.with_changes(changes.version.0, &changes.changed, &changes.deleted));
            let next = next.await;
            tracing::info!(
                catalogue_version = next.version(),
                listings = next.len(),
                changed,
                deleted,
                took = ?started.elapsed(),
                "catalogue refreshed"
            );
            self.current.store(Arc::new(next));
        }
        Ok(true)
    }
}

/// Reads all listings, and again if they change in the meantime in a way that cannot be followed.
async fn read(
    store: &dyn ListingStore,
    vocabulary: &Arc<Vocabulary>,
) -> Result<(Catalogue, Base), StoreError> {
    for _ in 0..MAX_READS {
        let started = Instant::now();
        let mut builder = CatalogueBuilder::new(vocabulary.clone());
        let read = store.read_catalogue(&mut |listing| builder.push(&listing)).await?;
        let Some((known, CatalogueChanges { version, changed, deleted })) = read else {
            tracing::warn!("listings came in while they were read: reading them again");
            continue;
        };
        let catalogue =
            build(move || builder.finish(version.0).with_changes(version.0, &changed, &deleted)).await;
        tracing::info!(
            catalogue_version = version.0,
            listings = catalogue.len(),
            memory_bytes = catalogue.memory_bytes(),
            took = ?started.elapsed(),
            "catalogue read"
        );
        return Ok((catalogue, Base { known, loaded: Instant::now() }));
    }
    Err(StoreError::conflict("the listings changed each time they were read"))
}

/// Builds on a blocking thread: it keeps a processor busy, and request threads must stay free.
async fn build(build: impl FnOnce() -> Catalogue + Send + 'static) -> Catalogue {
    tokio::task::spawn_blocking(build).await.expect("building a catalogue does not panic")
}
