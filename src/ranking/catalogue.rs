//! The immutable snapshot of all listings that recommendations are computed from.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::cache::Cache;
use super::candidates::{Candidates, KEPT};
use super::merge::tidy;
use super::plan::Plan;
use super::rarity;
use super::segment::{ListingSet, SEGMENT_LISTINGS, Segment};
use super::segment_builder::SegmentBuilder;
use super::skills::{is_listed, naming, term_tokens};
use super::text::Token;
use super::vocabulary::Vocabulary;
use crate::domain::{JobListing, ListingId};

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
    parts: Vec<Part>,
    /// Listings that are not dead.
    live: usize,
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
pub(super) struct Part {
    pub segment: Arc<Segment>,
    pub dead: Option<Arc<ListingSet>>,
}

impl Part {
    /// All of a segment.
    pub fn new(segment: Segment) -> Self {
        Self { segment: Arc::new(segment), dead: None }
    }

    /// Whether a listing still stands.
    pub fn is_live(&self, listing: u16) -> bool {
        self.dead.as_ref().is_none_or(|dead| !dead.contains(listing))
    }

    /// Number of listings that still stand.
    pub fn live(&self) -> usize {
        self.segment.len() - self.dead.as_ref().map_or(0, |dead| dead.len())
    }
}

/// A career's candidates in every part, and the plan they were found by.
#[derive(Debug)]
pub(super) struct CareerIndex {
    pub plan: Plan,
    /// One per part of the catalogue, with the segment's number.
    pub parts: Vec<(u64, Arc<Candidates>)>,
}

/// The listings that name a term, in every part.
#[derive(Debug)]
pub(super) struct TermIndex {
    pub parts: Vec<(u64, Arc<ListingSet>)>,
}

/// Sizes that change speed and memory, never a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
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
    parts: Vec<Part>,
    open: SegmentBuilder,
}

impl CatalogueBuilder {
    /// An empty catalogue to be.
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self::with_sizes(vocabulary, SIZES)
    }

    /// For tests, which have no million listings to fill large segments with.
    pub(super) fn with_sizes(vocabulary: Arc<Vocabulary>, sizes: Sizes) -> Self {
        let open = SegmentBuilder::new(Arc::clone(&vocabulary));
        Self { vocabulary, sizes, parts: Vec::new(), open }
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
        bury(&mut self.parts, &ids);
        self.parts.push(Part::new(segment));
    }

    /// The catalogue of everything pushed.
    pub fn finish(mut self, version: i64) -> Catalogue {
        self.close_segment();
        Catalogue::new(version, self.vocabulary, self.sizes, self.parts, Caches::default())
    }
}

/// Marks the listings with these ids (ascending) as dead.
fn bury(parts: &mut [Part], ids: &[i64]) {
    for part in parts {
        let (Some(first), Some(last)) = (part.segment.facts().first(), part.segment.facts().last()) else {
            continue;
        };
        let from = ids.partition_point(|&id| id < first.id);
        let to = ids.partition_point(|&id| id <= last.id);
        let found: Vec<u16> = ids[from..to].iter().filter_map(|&id| part.segment.find(id)).collect();
        if !found.is_empty() {
            let listings = part.segment.len();
            let dead = part.dead.get_or_insert_with(|| Arc::new(ListingSet::empty(listings)));
            let dead = Arc::make_mut(dead);
            for listing in found {
                dead.insert(listing);
            }
        }
    }
}

impl Catalogue {
    fn new(
        version: i64,
        vocabulary: Arc<Vocabulary>,
        sizes: Sizes,
        parts: Vec<Part>,
        caches: Caches,
    ) -> Self {
        let live = parts.iter().map(Part::live).sum();
        let newest_day = parts.iter().filter_map(newest_day).max().unwrap_or(0);
        Self { version, vocabulary, sizes, parts, live, newest_day, caches }
    }

    /// The version it was built as; ordered.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Number of listings.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is nothing to recommend.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Estimated heap use, caches included.
    pub fn memory_bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| {
            let dead = part.dead.as_ref().map_or(0, |dead| dead.memory_bytes());
            part.segment.memory_bytes() + dead
        });
        let careers =
            self.caches.careers.total(|career| career.parts.iter().map(|(_, c)| c.memory_bytes()).sum());
        let terms =
            self.caches.terms.total(|term| term.parts.iter().map(|(_, hits)| hits.memory_bytes()).sum());
        parts.sum::<usize>() + careers + terms
    }

    /// The catalogue after some listings were added or changed and others deleted. Searches give what a
    /// catalogue built anew from the resulting listings would give.
    pub fn with_changes(&self, version: i64, changed: &[JobListing], deleted: &[ListingId]) -> Self {
        let mut gone: Vec<i64> = deleted.iter().map(|id| id.0).collect();
        gone.extend(changed.iter().map(|listing| listing.id.0));
        gone.sort_unstable();
        let mut parts = self.parts.clone();
        bury(&mut parts, &gone);
        let mut added = CatalogueBuilder::with_sizes(Arc::clone(&self.vocabulary), self.sizes);
        changed.iter().for_each(|listing| added.push(listing));
        added.close_segment();
        parts.extend(added.parts);
        tidy(&mut parts, self.sizes.segment);
        let caches =
            Caches { careers: self.caches.careers.successor(), terms: self.caches.terms.successor() };
        Self::new(version, Arc::clone(&self.vocabulary), self.sizes, parts, caches)
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn newest_day(&self) -> u16 {
        self.newest_day
    }

    /// The candidates of a career, from the cache where it has them.
    pub(super) fn career(&self, name: &str) -> Arc<CareerIndex> {
        // By the name as it is: its spaces decide its tokens.
        self.caches.careers.get(name, |older| {
            let plan = self.plan(name);
            let older = older.filter(|older| older.plan == plan);
            let parts = self.parts.iter().map(|part| {
                let number = part.segment.number();
                let known = older.and_then(|older| by_number(&older.parts, number));
                (
                    number,
                    known
                        .unwrap_or_else(|| Arc::new(Candidates::find(&part.segment, &plan, self.sizes.kept))),
                )
            });
            CareerIndex { parts: parts.collect(), plan }
        })
    }

    /// A career's phrases, weighed by how rare their tokens are in this catalogue's titles.
    pub(super) fn plan(&self, career: &str) -> Plan {
        Plan::new(career, &self.vocabulary, |spellings| {
            let having = spellings.iter().map(|&token| self.listings_with(token)).sum();
            rarity::weight(having, self.live)
        })
    }

    /// In how many fields of live listings a token occurs.
    fn listings_with(&self, token: Token) -> usize {
        let parts = self.parts.iter().map(|part| {
            let postings = part.segment.postings(token).into_iter();
            match part.dead {
                Some(_) => postings.flatten().filter(|&&listing| part.is_live(listing)).count(),
                None => postings.map(<[u16]>::len).sum(),
            }
        });
        parts.sum()
    }

    /// The listings that name a skill or an interest, from the cache where it has them.
    pub(super) fn term(&self, term: &str) -> Arc<TermIndex> {
        self.caches.terms.get(term, |older| {
            let tokens = term_tokens(term);
            let parts = self.parts.iter().map(|part| {
                let number = part.segment.number();
                let known = older.and_then(|older| by_number(&older.parts, number));
                (number, known.unwrap_or_else(|| Arc::new(naming(&part.segment, &tokens))))
            });
            TermIndex { parts: parts.collect() }
        })
    }

    /// Whether any listing lists this very term as a skill.
    pub(super) fn knows_skill(&self, term: &str) -> bool {
        self.parts.iter().any(|part| is_listed(&part.segment, part.dead.as_deref(), term))
    }
}

fn by_number<T>(parts: &[(u64, Arc<T>)], number: u64) -> Option<Arc<T>> {
    parts.iter().find(|(other, _)| *other == number).map(|(_, value)| Arc::clone(value))
}

fn newest_day(part: &Part) -> Option<u16> {
    let facts = part.segment.facts().iter().enumerate();
    facts.filter(|(listing, _)| part.is_live(*listing as u16)).map(|(_, facts)| facts.brief.day).max()
}
