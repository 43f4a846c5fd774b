//! The listings that a process has read, as a hash and a checksum each: enough to find out cheaply what has changed
//! since. The hash tells versions of a listing apart; the checksum is one that the database computes as well.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::Xxh3;

use super::checksum;
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

/// Known listings per [`Span`].
const SPAN: usize = 4096;
/// In so many refreshes, all spans are checked.
const REFRESHES_PER_PASS: usize = 5;

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
    /// Changed listings that a check has found and left to be read with the next changes.
    pub(super) left: Vec<ListingId>,
}

impl KnownListings {
    /// Whether a check of contents has met many changes that `updated_at` shows, and left them to be read as such: a
    /// writer has committed since the changes were read.
    pub fn is_behind(&self) -> bool {
        !self.left.is_empty()
    }
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

impl CatalogueChanges {
    /// No changes since this version.
    pub fn none(version: CatalogueVersion) -> Self {
        Self { version, changed: Vec::new(), deleted: Vec::new() }
    }
}

/// A listing as it was read.
#[derive(Clone, Debug)]
pub(super) struct ReadListing {
    pub listing: JobListing,
    pub updated_at: Option<DateTime<Utc>>,
    /// See [`checksum::of_listing`].
    pub checksum: u32,
}

/// Neighbouring listings. However sparse their ids are, a span holds [`SPAN`] of them; the ids of all spans are all ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub ids: RangeInclusive<i64>,
    /// The number of listings that are known.
    pub count: i64,
    /// The sum of their [`checksum::weighted`] checksums.
    pub sum: i64,
}

/// A hash of each listing.
#[derive(Debug, Default)]
pub(super) struct ListingHashes {
    listings: BTreeMap<ListingId, Known>,
    /// The sum of all hashes. It depends on the listings alone, not on the order in which they were read.
    sum: u64,
    newest_update: Option<DateTime<Utc>>,
    /// The database's clock when the listings were last read.
    read_at: Option<DateTime<Utc>>,
    /// The first id that the next check looks at. `None`: the smallest of all.
    check_from: Option<i64>,
}

/// The checksum costs no memory: a hash and a time alone have the same size.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    updated_at: Option<DateTime<Utc>>,
    checksum: u32,
}

impl From<&ReadListing> for Known {
    fn from(read: &ReadListing) -> Self {
        Self { hash: hash(&read.listing), updated_at: read.updated_at, checksum: read.checksum }
    }
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
    pub(super) fn insert(&mut self, read: &ReadListing) {
        let known = Known::from(read);
        if let Some(old) = self.listings.insert(read.listing.id, known) {
            self.sum = self.sum.wrapping_sub(old.hash);
        }
        self.sum = self.sum.wrapping_add(known.hash);
        self.newest_update = self.newest_update.max(read.updated_at);
    }

    /// The number of listings.
    pub(super) fn len(&self) -> usize {
        self.listings.len()
    }

    /// The spans whose turn it is to be checked: all of them, once in [`REFRESHES_PER_PASS`] calls, unless
    /// [`ListingHashes::end_turn`] ends a turn early.
    pub(super) fn next_spans(&mut self) -> Vec<Span> {
        let spans = self.listings.len().div_ceil(SPAN).div_ceil(REFRESHES_PER_PASS).max(1);
        let spans = self.spans(self.check_from.unwrap_or(i64::MIN), spans);
        if let Some(last) = spans.last() {
            self.end_turn(last);
        }
        spans
    }

    /// The next turn begins behind this span.
    pub(super) fn end_turn(&mut self, last: &Span) {
        self.check_from = last.ids.end().checked_add(1);
    }

    /// All spans.
    pub(super) fn all_spans(&self) -> Vec<Span> {
        self.spans(i64::MIN, usize::MAX)
    }

    /// At most so many spans from an id on.
    fn spans(&self, mut first: i64, most: usize) -> Vec<Span> {
        let mut listings = self.listings.range(ListingId(first)..).peekable();
        let mut spans = Vec::new();
        while spans.len() < most {
            let mut span = Span { ids: first..=i64::MAX, count: 0, sum: 0 };
            let mut last = first;
            for (id, known) in listings.by_ref().take(SPAN) {
                span.count += 1;
                span.sum = span.sum.wrapping_add(checksum::weighted(*id, known.checksum));
                last = id.0;
            }
            if listings.peek().is_none() {
                spans.push(span);
                break;
            }
            span.ids = first..=last;
            spans.push(span);
            first = last + 1;
        }
        spans
    }

    /// Whether a row of the table has the checksum that it had when it was read.
    pub(super) fn has_checksum(&self, id: ListingId, checksum: u32) -> bool {
        self.listings.get(&id).is_some_and(|known| known.checksum == checksum)
    }

    /// Whether this `updated_at` shows that the listing may have changed.
    pub(super) fn is_shown(&self, id: ListingId, updated_at: Option<DateTime<Utc>>) -> bool {
        let since = self.read_at.and_then(|read_at| self.changed_since(read_at));
        updated_at.is_some_and(|at| since.is_none_or(|since| at >= since) && self.may_have_changed(id, at))
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
    pub(super) fn compare(&self, delta: &mut Delta, read: ReadListing) {
        delta.newest_update = delta.newest_update.max(read.updated_at);
        let (id, known) = (read.listing.id, Known::from(&read));
        let old = self.listings.get(&id).map(|known| known.hash);
        delta.read.push((id, known));
        if old != Some(known.hash) {
            delta.len += usize::from(old.is_none());
            delta.sum = delta.sum.wrapping_sub(old.unwrap_or_default()).wrapping_add(known.hash);
            delta.changed.push(read.listing);
        }
    }

    /// Those of these ids that neither the listings nor the delta have.
    pub(super) fn unknown(&self, delta: &Delta, ids: &FxHashSet<ListingId>) -> Vec<ListingId> {
        let read: FxHashSet<ListingId> = delta.read.iter().map(|(id, _)| *id).collect();
        let is_unknown = |id: &&ListingId| !self.listings.contains_key(id) && !read.contains(id);
        ids.iter().filter(is_unknown).copied().collect()
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

    /// How many listings are new, changed or gone, and how many of them are gone.
    pub(super) fn change_counts(&self) -> (i64, i64) {
        let (changed, deleted) = (self.changed.len() as i64, self.deleted.len() as i64);
        (changed + deleted, deleted)
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

    fn listing(id: i64, title: u8, updated_at: Option<DateTime<Utc>>) -> ReadListing {
        let listing = JobListing {
            id: ListingId(id),
            title: format!("title {title}"),
            company: String::new(),
            description: String::new(),
            experience: String::new(),
            tech_stack: String::new(),
            required_skills: String::new(),
            crawled_at: None,
        };
        ReadListing { listing, updated_at, checksum: title.into() }
    }

    #[test]
    fn checksums_cost_no_memory() {
        assert_eq!(size_of::<Known>(), size_of::<(u64, Option<DateTime<Utc>>)>());
    }

    #[test]
    fn five_refreshes_check_all_ids_once_however_sparse_they_are() {
        for (count, distance) in [(0, 1), (1, 1), (4_096, 1), (4_097, 5_000), (60_000, 70_000)] {
            let mut hashes = ListingHashes::default();
            (1..=count).for_each(|n| hashes.insert(&listing(n * distance, 1, None)));
            let mut next = i64::MIN;
            let mut known = 0;
            for step in 0..=REFRESHES_PER_PASS {
                for span in hashes.next_spans() {
                    assert_eq!((*span.ids.start(), span.count <= SPAN as i64), (next, true));
                    next = span.ids.end().wrapping_add(1);
                    known += span.count;
                }
                if next == i64::MIN {
                    break;
                }
                assert!(step < REFRESHES_PER_PASS, "{count} listings");
            }
            assert_eq!((next, known), (i64::MIN, count), "all ids, up to the largest");
            assert_eq!(hashes.next_spans().first(), hashes.all_spans().first(), "the next pass");
        }
    }

    #[test]
    fn a_turn_that_ends_early_is_taken_up_where_it_ended() {
        let mut hashes = ListingHashes::default();
        (1..=20 * SPAN as i64).for_each(|n| hashes.insert(&listing(n, 1, None)));
        let turn = hashes.next_spans();
        assert!(turn.len() > 1);
        hashes.end_turn(&turn[0]);
        assert_eq!(hashes.next_spans().first(), Some(&turn[1]));
        // Of all spans there is no next one.
        hashes.end_turn(hashes.all_spans().last().unwrap());
        assert_eq!(hashes.next_spans(), turn);
    }

    #[test]
    fn two_listings_that_change_alike_do_not_cancel_each_other_out() {
        let sum = |checksums: [u32; 2]| {
            let mut hashes = ListingHashes::default();
            for (id, checksum) in (1..).zip(checksums) {
                hashes.insert(&ReadListing { checksum, ..listing(id, 1, None) });
            }
            hashes.all_spans()[0].sum
        };
        // The same bits of both checksums are inverted.
        assert_ne!(sum([0b1000, 0b0100]), sum([0b0100, 0b1000]));
    }

    #[test]
    fn only_rows_that_were_changed_shortly_before_they_were_read_are_read_again() {
        let read_at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let (old, fresh) = (read_at - TimeDelta::days(1), read_at - TimeDelta::seconds(1));
        let mut hashes = ListingHashes::starting(read_at);
        hashes.insert(&listing(1, 1, Some(old)));
        hashes.insert(&listing(2, 1, Some(fresh)));
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
            old.iter().for_each(|(&id, &title)| hashes.insert(&listing(id, title, None)));
            new.iter().for_each(|(&id, &title)| full.insert(&listing(id, title, None)));
            let mut delta = hashes.delta(None);
            new.iter().for_each(|(&id, &title)| hashes.compare(&mut delta, listing(id, title, None)));
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
