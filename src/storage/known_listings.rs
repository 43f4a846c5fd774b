//! The listings that a process has read, as one hash each: enough to find out cheaply what has changed since.

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::Xxh3;

use crate::domain::{CatalogueVersion, JobListing, ListingId};

/// `updated_at` is set when a statement runs and becomes visible when its transaction commits: changes are
/// read again from this far back.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Columns that keep whole seconds show one `updated_at` for several changes. A row that was changed this
/// shortly before it was read may have changed again.
const UNSETTLED: TimeDelta = TimeDelta::seconds(2);

/// Ids per block: counting the table block by block shows where listings are missing, without reading all
/// ids.
pub(super) const BLOCK: i64 = 4096;

/// The number of the block of an id, as SQL's `id DIV 4096` gives it.
fn block_of(id: ListingId) -> i64 {
    id.0 / BLOCK
}

/// The listings that a process has read, and the version under which all instances know them. The default is
/// none.
#[derive(Debug, Default)]
pub struct KnownListings {
    pub(super) version: CatalogueVersion,
    pub(super) hashes: ListingHashes,
    /// The optional columns that the table of another service lacked; `None` if there was no table.
    pub(super) absent: Option<Vec<&'static str>>,
}

/// The changes since the listings were last read.
#[derive(Debug)]
pub struct CatalogueChanges {
    /// The version of the listings with these changes.
    pub version: CatalogueVersion,
    /// New listings, and those with another text or time than before.
    pub changed: Vec<JobListing>,
    /// Listings that are gone, by ascending id.
    pub deleted: Vec<ListingId>,
}

/// A hash of each listing.
#[derive(Debug, Default)]
pub(super) struct ListingHashes {
    listings: FxHashMap<ListingId, Known>,
    /// The sum of all hashes. It depends on the listings alone, not on the order in which they were read.
    sum: u64,
    newest_update: Option<DateTime<Utc>>,
    /// The database's clock when the listings were last read.
    read_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    updated_at: Option<DateTime<Utc>>,
}

/// Changes that have not been applied yet.
#[derive(Debug, Default)]
pub(super) struct Delta {
    changed: Vec<JobListing>,
    /// Each row that was read, changed or not.
    read: Vec<(ListingId, Known)>,
    deleted: Vec<ListingId>,
    sum: u64,
    len: usize,
    newest_update: Option<DateTime<Utc>>,
    read_at: Option<DateTime<Utc>>,
}

impl ListingHashes {
    /// No listings, to be filled by a full read that starts at `now`.
    pub(super) fn starting(now: DateTime<Utc>) -> Self {
        Self { read_at: Some(now), ..Self::default() }
    }

    /// Adds a listing of a full read.
    pub(super) fn insert(&mut self, listing: &JobListing, updated_at: Option<DateTime<Utc>>) {
        let hash = hash(listing);
        if let Some(old) = self.listings.insert(listing.id, Known { hash, updated_at }) {
            self.sum = self.sum.wrapping_sub(old.hash);
        }
        self.sum = self.sum.wrapping_add(hash);
        self.newest_update = self.newest_update.max(updated_at);
    }

    /// Changes before this moment have been read. `None`: there are no listings with a time.
    pub(super) fn changed_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A crawler's clock may be ahead; one row of the year 2099 must not hide all others.
        self.newest_update.map(|newest| newest.min(now) - OVERLAP)
    }

    /// Whether a listing with this `updated_at` may differ from the listing that was read.
    pub(super) fn may_have_changed(&self, id: ListingId, updated_at: DateTime<Utc>) -> bool {
        let settled = self.read_at.is_some_and(|read_at| updated_at < read_at - UNSETTLED);
        !settled || self.listings.get(&id).is_none_or(|known| known.updated_at != Some(updated_at))
    }

    /// A delta without changes, read at `now`.
    pub(super) fn delta(&self, now: Option<DateTime<Utc>>) -> Delta {
        Delta {
            read_at: now,
            sum: self.sum,
            len: self.listings.len(),
            newest_update: self.newest_update,
            ..Delta::default()
        }
    }

    /// Adds a row to the delta; it is a change if its hash is new.
    pub(super) fn compare(&self, delta: &mut Delta, listing: JobListing, updated_at: Option<DateTime<Utc>>) {
        delta.newest_update = delta.newest_update.max(updated_at);
        let (id, hash) = (listing.id, hash(&listing));
        let old = self.listings.get(&id).map(|known| known.hash);
        delta.read.push((id, Known { hash, updated_at }));
        if old != Some(hash) {
            delta.len += usize::from(old.is_none());
            delta.sum = delta.sum.wrapping_sub(old.unwrap_or_default()).wrapping_add(hash);
            delta.changed.push(listing);
        }
    }

    /// Blocks of ids in which these listings, with the changes of the delta, are not as many as in the table.
    pub(super) fn blocks_that_differ(&self, delta: &Delta, in_table: &FxHashMap<i64, i64>) -> FxHashSet<i64> {
        let mut held = FxHashMap::<i64, i64>::default();
        let new = delta.changed.iter().map(|listing| &listing.id);
        for id in self.listings.keys().chain(new.filter(|id| !self.listings.contains_key(id))) {
            *held.entry(block_of(*id)).or_default() += 1;
        }
        held.retain(|block, count| in_table.get(block) != Some(count));
        held.into_keys().collect()
    }

    /// Completes the delta with the listings of these blocks that are gone: `ids` are all ids that the blocks
    /// hold now.
    pub(super) fn delete_missing(
        &self,
        delta: &mut Delta,
        blocks: &FxHashSet<i64>,
        ids: &FxHashSet<ListingId>,
    ) {
        let in_blocks = self.listings.keys().filter(|id| blocks.contains(&block_of(**id)));
        self.delete(delta, in_blocks.filter(|id| !ids.contains(id)).copied());
    }

    /// Completes the delta with deleted listings. Ids that are not known are ignored.
    pub(super) fn delete(&self, delta: &mut Delta, ids: impl IntoIterator<Item = ListingId>) {
        for id in ids {
            if let Some(known) = self.listings.get(&id) {
                delta.sum = delta.sum.wrapping_sub(known.hash);
                delta.len -= 1;
                delta.deleted.push(id);
            }
        }
        delta.deleted.sort_unstable();
    }

    /// Applies the changes, which make the listings those of `version`.
    pub(super) fn apply(&mut self, delta: Delta, version: CatalogueVersion) -> CatalogueChanges {
        for id in &delta.deleted {
            self.listings.remove(id);
        }
        self.listings.extend(delta.read);
        self.sum = delta.sum;
        self.newest_update = delta.newest_update;
        self.read_at = delta.read_at;
        CatalogueChanges { version, changed: delta.changed, deleted: delta.deleted }
    }
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    /// The number of listings with the changes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Equal for equal listings, on every instance and in every release.
    pub(super) fn fingerprint(&self) -> String {
        format!("{}-{:016x}", self.len, self.sum)
    }
}

/// A hash of all columns that ranking reads. XXH3 is specified: releases that run side by side agree on it.
fn hash(listing: &JobListing) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&listing.id.0.to_le_bytes());
    hash.update(&listing.crawled_at.map_or(i64::MIN, |time| time.timestamp_micros()).to_le_bytes());
    let texts = [
        &listing.title,
        &listing.company,
        &listing.description,
        &listing.experience,
        &listing.tech_stack,
        &listing.required_skills,
    ];
    for text in texts {
        // Lengths keep neighbouring texts apart.
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listing(id: i64, title: u8) -> JobListing {
        JobListing {
            id: ListingId(id),
            title: format!("title {title}"),
            company: String::new(),
            description: String::new(),
            experience: String::new(),
            tech_stack: String::new(),
            required_skills: String::new(),
            crawled_at: None,
        }
    }

    #[test]
    fn only_rows_that_were_changed_shortly_before_they_were_read_are_read_again() {
        let read_at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let (old, fresh) = (read_at - TimeDelta::days(1), read_at - TimeDelta::seconds(1));
        let mut hashes = ListingHashes::starting(read_at);
        hashes.insert(&listing(1, 1), Some(old));
        hashes.insert(&listing(2, 1), Some(fresh));
        assert!(!hashes.may_have_changed(ListingId(1), old));
        assert!(hashes.may_have_changed(ListingId(1), fresh), "a new time");
        assert!(hashes.may_have_changed(ListingId(2), fresh), "perhaps again in the same second");
        assert!(hashes.may_have_changed(ListingId(3), old), "not known");
    }

    proptest! {
        #[test]
        fn changes_lead_to_the_same_fingerprint_as_a_full_read(
            old in proptest::collection::btree_map(0..20i64, 0..3u8, 0..15),
            new in proptest::collection::btree_map(0..20i64, 0..3u8, 0..15),
        ) {
            let (mut hashes, mut full) = (ListingHashes::default(), ListingHashes::default());
            old.iter().for_each(|(&id, &title)| hashes.insert(&listing(id, title), None));
            new.iter().for_each(|(&id, &title)| full.insert(&listing(id, title), None));
            let mut delta = hashes.delta(None);
            new.iter().for_each(|(&id, &title)| hashes.compare(&mut delta, listing(id, title), None));
            let ids: FxHashSet<_> = new.keys().map(|&id| ListingId(id)).collect();
            let counts = FxHashMap::from_iter([(0, new.len() as i64)]);
            let blocks = hashes.blocks_that_differ(&delta, &counts);
            prop_assert_eq!(blocks.is_empty(), old.keys().all(|id| new.contains_key(id)));
            hashes.delete_missing(&mut delta, &blocks, &ids);
            prop_assert_eq!(delta.len(), new.len());
            prop_assert_eq!(delta.fingerprint(), full.delta(None).fingerprint());
            prop_assert_eq!(delta.is_empty(), old == new);
            let changes = hashes.apply(delta, CatalogueVersion(1));
            prop_assert!(changes.changed.iter().all(|row| old.get(&row.id.0) != new.get(&row.id.0)));
            prop_assert_eq!(hashes.delta(None).fingerprint(), full.delta(None).fingerprint());
        }
    }
}
