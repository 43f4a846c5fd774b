//! Listings at the `Store` boundary: the version of all of them, their changes, and imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use job_agent::domain::{CatalogueVersion, JobListing, ListingId};
use job_agent::storage::{CatalogueChanges, KnownListings, ListingRecord, Store};

use crate::support::{TestDatabase, on_every_database};

on_every_database!(
    the_catalogue_version_moves_with_the_listings_and_never_back,
    importing_again_updates;
    servers:
        instances_that_see_different_changes_agree_in_the_end,
);

/// The listings that a process holds, kept fresh as the service does it.
pub struct Held {
    pub known: KnownListings,
    pub titles: BTreeMap<ListingId, String>,
}

impl Held {
    pub async fn read(store: &Arc<dyn Store>) -> (Self, CatalogueVersion) {
        let mut titles = BTreeMap::new();
        let sink = &mut |listing: JobListing| drop(titles.insert(listing.id, listing.title));
        let read = store.read_catalogue(sink).await.unwrap();
        let (known, changes) = read.expect("no listing is written during the read");
        let version = changes.version;
        let mut held = Self { known, titles };
        held.apply(changes);
        (held, version)
    }

    /// The version with what has changed; `None` if all must be read again.
    pub async fn refresh(&mut self, store: &Arc<dyn Store>) -> Option<CatalogueVersion> {
        let changes = store.read_catalogue_changes(&mut self.known).await.unwrap()?;
        self.apply(changes);
        let changes = store.check_listings(&mut self.known).await.unwrap()?;
        let version = changes.version;
        self.apply(changes);
        Some(version)
    }

    fn apply(&mut self, changes: CatalogueChanges) {
        for id in changes.deleted {
            assert!(self.titles.remove(&id).is_some());
        }
        self.titles.extend(changes.changed.into_iter().map(|listing| (listing.id, listing.title)));
    }
}

async fn the_catalogue_version_moves_with_the_listings_and_never_back(database: TestDatabase) {
    let (one, other) = (database.store(), database.store());
    let (mut held, first) = Held::read(&one).await;
    assert_eq!(held.titles.len(), 240);
    assert_eq!(held.refresh(&one).await, Some(first), "nothing has changed");
    let (mut others, version) = Held::read(&other).await;
    assert_eq!(version, first, "another instance, the same contents, the same version");
    let mut last = first;
    for change in [
        "UPDATE job_listings SET title = 'x' WHERE id = 1",
        "UPDATE job_listings SET company = NULL WHERE id = 2",
        "DELETE FROM job_listings WHERE id = 3",
        "INSERT INTO job_listings (site_name, job_id, title) VALUES ('s', 'j', 't')",
        "DELETE FROM job_listings WHERE id = 4 OR site_name = 's'",
    ] {
        database.execute(change).await;
        let next = held.refresh(&one).await.unwrap();
        assert!(next > last, "{change}");
        last = next;
        let (fresh, version) = Held::read(&other).await;
        assert_eq!((version, &fresh.titles), (last, &held.titles), "{change}");
    }
    // The other instance has slept through all of it.
    assert_eq!(others.refresh(&other).await, Some(last));
    assert_eq!(others.titles, held.titles);
}

async fn instances_that_see_different_changes_agree_in_the_end(database: TestDatabase) {
    let (one, other) = (database.store(), database.store());
    let (mut held, first) = Held::read(&one).await;
    // A writer that does not maintain updated_at.
    database.execute("UPDATE job_listings SET updated_at = '2020-01-01 00:00:00'").await;
    database
        .execute("UPDATE job_listings SET title = 'x', updated_at = '2020-01-01 00:00:00' WHERE id = 1")
        .await;
    let (mut others, version) = Held::read(&other).await;
    assert!(version > first);
    assert_eq!(held.refresh(&one).await, Some(version), "found by its checksum");
    assert_eq!(held.titles, others.titles);
    assert_eq!(
        others.refresh(&other).await,
        Some(version),
        "and the instances do not undo each other's changes"
    );
}

async fn importing_again_updates(database: TestDatabase) {
    let store = database.store();
    let listing = |title: &str, company: Option<&str>| ListingRecord {
        site_name: "site".into(),
        job_id: "1".into(),
        title: title.into(),
        company: company.map(Into::into),
        crawled_at: chrono::DateTime::from_timestamp(1_790_000_000, 0),
        ..ListingRecord::default()
    };
    store.import_listings(&[listing("처음 😀", Some("회사"))]).await.unwrap();
    let id = database.number("SELECT id FROM job_listings WHERE site_name = 'site'").await;
    store.import_listings(&[listing("다음 \\ ' \" 😀", None)]).await.unwrap();
    assert_eq!(
        database.number("SELECT id FROM job_listings WHERE site_name = 'site'").await,
        id,
        "the same row is updated"
    );
    let titles =
        database.texts("SELECT title FROM job_listings WHERE site_name = 'site' AND company IS NULL").await;
    assert_eq!(titles, ["다음 \\ ' \" 😀"]);
    let mut crawled_at = None;
    let sink = &mut |listing: JobListing| {
        if listing.id == ListingId(id) {
            crawled_at = listing.crawled_at;
        }
    };
    store.read_catalogue(sink).await.unwrap();
    assert_eq!(crawled_at.unwrap().timestamp(), 1_790_000_000);
}
