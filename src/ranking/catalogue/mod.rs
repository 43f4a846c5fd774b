//! The immutable snapshot of all listings that recommendations are computed from.

mod cache;

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::domain::{JobListing, ListingId};
use crate::ranking::career::candidates::{Candidates, KEPT};
use crate::ranking::career::plan::Plan;
use crate::ranking::career::rarity;
use crate::ranking::catalogue::cache::Cache;
use crate::ranking::index::builder::SegmentBuilder;
use crate::ranking::index::merge::merge_small;
use crate::ranking::index::segment::{ListingSet, SEGMENT_LISTINGS, Segment};
use crate::ranking::index::terms::{is_listed, naming};
use crate::ranking::text::skills::term_tokens;
use crate::ranking::text::token::Token;
use crate::ranking::vocabulary::Vocabulary;

/// Careers whose candidates are kept; at a million listings one takes about half a megabyte.
const CACHED_CAREERS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// Skills and interests whose listings are kept; at a million listings one takes a quarter of a megabyte.
const CACHED_TERMS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// All listings of one version, searchable. Share it by `Arc`; a refresh makes a new one.
#[derive(Debug)]
pub struct Catalogue {
    version: i64,
    vocabulary: Arc<Vocabulary>,
    sizes: Sizes,
    segments: Vec<LiveSegment>,
    /// Number of listings without the deleted ones.
    len: usize,
    /// The newest day on which a listing was seen; the "today" of freshness.
    newest_day: u16,
    caches: Caches,
}

/// What has been computed for careers and terms so far.
#[derive(Debug)]
struct Caches {
    careers: Cache<CareerIndex>,
    terms: Cache<TermIndex>,
}

impl Default for Caches {
    fn default() -> Self {
        Self { careers: Cache::new(CACHED_CAREERS), terms: Cache::new(CACHED_TERMS) }
    }
}

/// A segment and those of its listings that a refresh has replaced or deleted.
#[derive(Clone, Debug)]
pub(in crate::ranking) struct LiveSegment {
    pub segment: Arc<Segment>,
    pub tombstones: Option<Arc<ListingSet>>,
}

impl LiveSegment {
    /// All of a segment.
    pub fn new(segment: Segment) -> Self {
        Self { segment: Arc::new(segment), tombstones: None }
    }

    /// Whether a listing still stands.
    pub fn is_live(&self, listing: u16) -> bool {
        self.tombstones.as_ref().is_none_or(|tombstones| !tombstones.contains(listing))
    }

    /// Number of listings that still stand.
    pub fn live(&self) -> usize {
        self.segment.len() - self.tombstones.as_ref().map_or(0, |tombstones| tombstones.len())
    }
}

/// A career's candidates in every segment, and the plan they were found by.
#[derive(Debug)]
pub(in crate::ranking) struct CareerIndex {
    pub plan: Plan,
    /// One per segment of the catalogue, with the segment's number.
    pub segments: Vec<(u64, Arc<Candidates>)>,
}

/// The listings that name a term, in every segment.
#[derive(Debug)]
pub(in crate::ranking) struct TermIndex {
    pub segments: Vec<(u64, Arc<ListingSet>)>,
}

/// Sizes that change speed and memory, never a result.
#[derive(Clone, Copy, Debug)]
pub(in crate::ranking) struct Sizes {
    /// Listings per segment.
    pub segment: usize,
    /// Candidates kept per career and segment.
    pub kept: usize,
}

const SIZES: Sizes = Sizes { segment: SEGMENT_LISTINGS, kept: KEPT };

/// Collects listings for a [`Catalogue`].
pub struct CatalogueBuilder {
    vocabulary: Arc<Vocabulary>,
    sizes: Sizes,
    segments: Vec<LiveSegment>,
    open: SegmentBuilder,
}

impl CatalogueBuilder {
    /// An empty catalogue to be.
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self::with_sizes(vocabulary, SIZES)
    }

    /// For tests, which have no million listings to fill large segments with.
    pub(in crate::ranking) fn with_sizes(vocabulary: Arc<Vocabulary>, sizes: Sizes) -> Self {
        let open = SegmentBuilder::new(Arc::clone(&vocabulary));
        Self { vocabulary, sizes, segments: Vec::new(), open }
    }

    /// Adds a listing, in any order. Of two listings with one id the later counts.
    pub fn push(&mut self, listing: &JobListing) {
        self.open.push(listing);
        if self.open.len() == self.sizes.segment {
            self.close_segment();
        }
    }

    fn close_segment(&mut self) {
        if self.open.len() == 0 {
            return;
        }
        let next = SegmentBuilder::new(Arc::clone(&self.vocabulary));
        let segment = std::mem::replace(&mut self.open, next).finish();
        let ids: Vec<i64> = segment.facts().iter().map(|facts| facts.id).collect();
        delete(&mut self.segments, &ids);
        self.segments.push(LiveSegment::new(segment));
    }

    /// The catalogue of everything pushed.
    pub fn finish(mut self, version: i64) -> Catalogue {
        self.close_segment();
        Catalogue::new(version, self.vocabulary, self.sizes, self.segments, Caches::default())
    }
}

/// Marks the listings with these ids (ascending) as deleted.
fn delete(segments: &mut [LiveSegment], ids: &[i64]) {
    for live in segments {
        let (Some(first), Some(last)) = (live.segment.facts().first(), live.segment.facts().last()) else {
            continue;
        };
        let from = ids.partition_point(|&id| id < first.id);
        let to = ids.partition_point(|&id| id <= last.id);
        let found: Vec<u16> = ids[from..to].iter().filter_map(|&id| live.segment.find(id)).collect();
        if !found.is_empty() {
            let listings = live.segment.len();
            let tombstones = live.tombstones.get_or_insert_with(|| Arc::new(ListingSet::empty(listings)));
            let tombstones = Arc::make_mut(tombstones);
            for listing in found {
                tombstones.insert(listing);
            }
        }
    }
}

impl Catalogue {
    fn new(
        version: i64,
        vocabulary: Arc<Vocabulary>,
        sizes: Sizes,
        segments: Vec<LiveSegment>,
        caches: Caches,
    ) -> Self {
        let len = segments.iter().map(LiveSegment::live).sum();
        let newest_day = segments.iter().filter_map(newest_day).max().unwrap_or(0);
        Self { version, vocabulary, sizes, segments, len, newest_day, caches }
    }

    /// The version it was built as; ordered.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Number of listings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to recommend.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Estimated heap use, caches included.
    pub fn memory_bytes(&self) -> usize {
        let segments = self.segments.iter().map(|live| {
            let tombstones = live.tombstones.as_ref().map_or(0, |tombstones| tombstones.memory_bytes());
            live.segment.memory_bytes() + tombstones
        });
        let careers =
            self.caches.careers.total(|career| career.segments.iter().map(|(_, c)| c.memory_bytes()).sum());
        let terms =
            self.caches.terms.total(|term| term.segments.iter().map(|(_, hits)| hits.memory_bytes()).sum());
        segments.sum::<usize>() + careers + terms
    }

    /// The catalogue after some listings were added or changed and others deleted. Searches give what a
    /// catalogue built anew from the resulting listings would give.
    pub fn with_changes(&self, version: i64, changed: &[JobListing], deleted: &[ListingId]) -> Self {
        let mut gone: Vec<i64> = deleted.iter().map(|id| id.0).collect();
        gone.extend(changed.iter().map(|listing| listing.id.0));
        gone.sort_unstable();
        let mut segments = self.segments.clone();
        delete(&mut segments, &gone);
        let mut added = CatalogueBuilder::with_sizes(Arc::clone(&self.vocabulary), self.sizes);
        changed.iter().for_each(|listing| added.push(listing));
        added.close_segment();
        segments.extend(added.segments);
        merge_small(&mut segments, self.sizes.segment);
        let caches =
            Caches { careers: self.caches.careers.successor(), terms: self.caches.terms.successor() };
        Self::new(version, Arc::clone(&self.vocabulary), self.sizes, segments, caches)
    }

    pub(in crate::ranking) fn segments(&self) -> &[LiveSegment] {
        &self.segments
    }

    pub(in crate::ranking) fn newest_day(&self) -> u16 {
        self.newest_day
    }

    /// The candidates of a career, from the cache where it has them.
    pub(in crate::ranking) fn career(&self, name: &str) -> Arc<CareerIndex> {
        // By the name as it is: its spaces decide its tokens.
        self.caches.careers.get(name, |older| {
            let plan = self.plan(name);
            let older = older.filter(|older| older.plan == plan);
            let segments = self.segments.iter().map(|live| {
                let number = live.segment.number();
                let known = older.and_then(|older| by_number(&older.segments, number));
                (
                    number,
                    known
                        .unwrap_or_else(|| Arc::new(Candidates::find(&live.segment, &plan, self.sizes.kept))),
                )
            });
            CareerIndex { segments: segments.collect(), plan }
        })
    }

    /// A career's phrases, weighed by how rare their tokens are in this catalogue's titles.
    pub(in crate::ranking) fn plan(&self, career: &str) -> Plan {
        Plan::new(career, &self.vocabulary, |alternatives| {
            let having = alternatives.iter().map(|&token| self.listings_with(token)).sum();
            rarity::weight(having, self.len)
        })
    }

    /// In how many fields of live listings a token occurs.
    fn listings_with(&self, token: Token) -> usize {
        let segments = self.segments.iter().map(|live| {
            let postings = live.segment.postings(token).into_iter();
            match live.tombstones {
                Some(_) => postings.flatten().filter(|&&listing| live.is_live(listing)).count(),
                None => postings.map(<[u16]>::len).sum(),
            }
        });
        segments.sum()
    }

    /// The listings that name a skill or an interest, from the cache where it has them.
    pub(in crate::ranking) fn term(&self, term: &str) -> Arc<TermIndex> {
        self.caches.terms.get(term, |older| {
            let tokens = term_tokens(term);
            let segments = self.segments.iter().map(|live| {
                let number = live.segment.number();
                let known = older.and_then(|older| by_number(&older.segments, number));
                (number, known.unwrap_or_else(|| Arc::new(naming(&live.segment, &tokens))))
            });
            TermIndex { segments: segments.collect() }
        })
    }

    /// Whether any listing lists this very term as a skill.
    pub(in crate::ranking) fn knows_skill(&self, term: &str) -> bool {
        self.segments.iter().any(|live| is_listed(&live.segment, live.tombstones.as_deref(), term))
    }
}

fn by_number<T>(segments: &[(u64, Arc<T>)], number: u64) -> Option<Arc<T>> {
    segments.iter().find(|(other, _)| *other == number).map(|(_, value)| Arc::clone(value))
}

fn newest_day(live: &LiveSegment) -> Option<u16> {
    let facts = live.segment.facts().iter().enumerate();
    facts.filter(|(listing, _)| live.is_live(*listing as u16)).map(|(_, facts)| facts.brief.day).max()
}
