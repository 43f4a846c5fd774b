//! The snapshot of `job_listings` that this process currently ranks with.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::ScoringRevision;
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
    /// When the snapshot was last compared with the database.
    checked: ArcSwap<Instant>,
}

/// The starting point of the next refresh.
struct Base {
    /// The listings of the current snapshot. `None`: a refresh was cancelled between reading changes and swapping
    /// the snapshot, so the changes are lost and all listings must be read again.
    known: Option<KnownListings>,
    /// When all listings were read last.
    loaded: Instant,
}

/// Where changes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    AtTimes,
    AtContents,
}

impl CurrentCatalogue {
    /// Reads the first snapshot. A refresh reads changes only; after `reload_after` it reads all listings again,
    /// should a change have escaped.
    pub async fn load(
        store: Arc<dyn ListingStore>,
        vocabulary: Arc<Vocabulary>,
        reload_after: Duration,
    ) -> Result<Self, StoreError> {
        let (catalogue, base) = read(&*store, &vocabulary).await?;
        let (current, base) = (ArcSwap::from_pointee(catalogue), Mutex::new(base));
        let checked = ArcSwap::from_pointee(Instant::now());
        Ok(Self { store, vocabulary, current, base, reload_after, checked })
    }

    /// The newest snapshot that this process has read.
    pub fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// The time since the snapshot was last compared with the database.
    pub fn age(&self) -> Duration {
        self.checked.load().elapsed()
    }

    /// The revision of the scoring that this process calculates with.
    pub fn scoring_revision(&self) -> ScoringRevision {
        ranking::scoring_revision(&self.vocabulary)
    }

    /// Brings the snapshot up to date.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut base = self.base.lock().await;
        if base.loaded.elapsed() >= self.reload_after || !self.apply_changes(&mut base.known).await? {
            let (catalogue, reloaded) = read(&*self.store, &self.vocabulary).await?;
            self.current.store(Arc::new(catalogue));
            *base = reloaded;
        }
        self.checked.store(Arc::new(Instant::now()));
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

    /// Applies the changes since the last read: first those that show at once, then those that only the contents show, and
    /// then those that were committed meanwhile, if they are many. `false`: all listings must be read again.
    async fn apply_changes(&self, base: &mut Option<KnownListings>) -> Result<bool, StoreError> {
        if !self.look(Look::AtTimes, base).await? || !self.look(Look::AtContents, base).await? {
            return Ok(false);
        }
        let is_behind = base.as_ref().is_some_and(KnownListings::is_behind);
        Ok(!is_behind || self.look(Look::AtTimes, base).await?)
    }

    /// `false`: all listings must be read again.
    async fn look(&self, look: Look, base: &mut Option<KnownListings>) -> Result<bool, StoreError> {
        let started = Instant::now();
        // Taken until the snapshot is swapped: a run that refreshes has a time limit, and may be cancelled here.
        let Some(mut known) = base.take() else { return Ok(false) };
        let read = match look {
            Look::AtTimes => self.store.read_catalogue_changes(&mut known).await,
            Look::AtContents => self.store.check_listings(&mut known).await,
        };
        match read {
            Ok(Some(changes)) => self.swap(changes, started).await,
            Ok(None) => return Ok(false),
            Err(error) => {
                *base = Some(known);
                return Err(error);
            }
        }
        *base = Some(known);
        Ok(true)
    }

    /// Makes a snapshot with the changes the current one, if there are any.
    async fn swap(&self, changes: CatalogueChanges, started: Instant) {
        let current = self.current();
        if changes.version == current.version() {
            return;
        }
        let (changed, deleted) = (changes.changed.len(), changes.deleted.len());
        let next = build(move || current.with_changes(changes.version, &changes.changed, &changes.deleted));
        let next = next.await;
        tracing::info!(
            catalogue_version = next.version().0,
            listings = next.len(),
            changed,
            deleted,
            took = ?started.elapsed(),
            "catalogue refreshed"
        );
        self.current.store(Arc::new(next));
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
            build(move || builder.finish(version).with_changes(version, &changed, &deleted)).await;
        tracing::info!(
            catalogue_version = version.0,
            listings = catalogue.len(),
            memory_bytes = catalogue.memory_bytes(),
            took = ?started.elapsed(),
            "catalogue read"
        );
        return Ok((catalogue, Base { known: Some(known), loaded: Instant::now() }));
    }
    Err(StoreError::conflict("the listings changed each time they were read"))
}

/// Builds on a blocking thread: it keeps a processor busy, and request threads must stay free.
async fn build(build: impl FnOnce() -> Catalogue + Send + 'static) -> Catalogue {
    tokio::task::spawn_blocking(build).await.expect("building a catalogue does not panic")
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use async_trait::async_trait;
    use futures::FutureExt;

    use super::*;
    use crate::domain::{CatalogueVersion, JobListing, ListingId};
    use crate::storage::ListingRecord;

    /// Tells each change once, as a store does whose reader has applied it.
    #[derive(Default)]
    struct Listings {
        all: Mutex<Vec<JobListing>>,
        untold: Mutex<Vec<JobListing>>,
    }

    impl Listings {
        fn add(&self, id: i64) {
            let listing = JobListing {
                id: ListingId(id),
                title: "title".into(),
                company: String::new(),
                description: String::new(),
                experience: String::new(),
                tech_stack: String::new(),
                required_skills: String::new(),
                crawled_at: None,
            };
            self.all.lock().unwrap().push(listing.clone());
            self.untold.lock().unwrap().push(listing);
        }

        fn changes(&self, changed: Vec<JobListing>) -> CatalogueChanges {
            let version = CatalogueVersion(self.all.lock().unwrap().len() as i64);
            CatalogueChanges { version, changed, deleted: Vec::new() }
        }
    }

    #[async_trait]
    impl ListingStore for Listings {
        async fn read_catalogue(
            &self,
            sink: &mut (dyn FnMut(JobListing) + Send),
        ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
            self.untold.lock().unwrap().clear();
            self.all.lock().unwrap().iter().cloned().for_each(sink);
            Ok(Some((KnownListings::default(), self.changes(Vec::new()))))
        }

        async fn read_catalogue_changes(
            &self,
            _: &mut KnownListings,
        ) -> Result<Option<CatalogueChanges>, StoreError> {
            let untold = std::mem::take(&mut *self.untold.lock().unwrap());
            Ok(Some(self.changes(untold)))
        }

        async fn check_listings(
            &self,
            _: &mut KnownListings,
        ) -> Result<Option<CatalogueChanges>, StoreError> {
            Ok(Some(self.changes(Vec::new())))
        }

        async fn import_listings(&self, _: &[ListingRecord]) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn changes_that_a_cancelled_refresh_has_read_are_not_lost() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (store, vocabulary) = (Arc::new(Listings::default()), Arc::new(Vocabulary::builtin()));
            let catalogue = CurrentCatalogue::load(store.clone(), vocabulary, Duration::MAX).await.unwrap();
            store.add(1);
            // The only blocking thread is busy: the refresh reads the change, and waits to build the snapshot.
            let (finish, busy) = mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || busy.recv());
            assert!(catalogue.refresh().now_or_never().is_none(), "cancelled");
            drop(finish);
            catalogue.refresh().await.unwrap();
            assert_eq!(catalogue.current().len(), 1);
        });
    }
}
