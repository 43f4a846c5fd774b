//! Up to 65,536 listings with their inverted index, immutable once built.
//!
//! The limit keeps listing numbers in 16 bits, and the values that a search accumulates per listing in the
//! processor's cache.

use std::sync::atomic::{AtomicU64, Ordering};

use super::inverted_index::InvertedIndex;
use super::listing_set::ListingSet;
use crate::ranking::text::audience::Audience;
use crate::ranking::text::experience::AskedYears;
use crate::ranking::text::function::Functions;
use crate::ranking::text::licence::Licence;
use crate::ranking::text::sketch::Sketch;
use crate::ranking::text::token::Token;

/// Most listings of a segment.
pub const SEGMENT_LISTINGS: usize = 1 << 16;

/// The facts about a listing that scoring needs, apart from its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The listing's primary key.
    pub id: i64,
    /// When the listing was last seen, in seconds since 1970; `i64::MIN` is unknown.
    pub crawled_at: i64,
    /// Equal for postings that are copies of each other.
    pub duplicate_key: u64,
    /// Equal for listings of one company; 0 is unknown.
    pub company_key: u32,
    /// Of the description, to recognise copies.
    pub sketch: Sketch,
    /// The facts that the search for a career's candidates needs.
    pub brief: Brief,
}

/// The facts about a listing that the search for a career's candidates needs.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    /// [`Facts::crawled_at`] in whole days; 0 is unknown.
    pub day: u16,
    /// Years of experience that the listing asks for.
    pub years: Option<AskedYears>,
    /// The licence that the listing requires.
    pub licence: Option<Licence>,
    /// The form of the title.
    pub title: TitleForm,
    /// Whether the listing has a list of skills; of one without, the skills are unknown.
    pub lists_skills: bool,
}

/// The properties of a listing, apart from its tokens, on which fit depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TitleForm {
    /// The functions that the title names.
    pub functions: Functions,
    /// Distinct tokens of the title's core words, without those of another name in brackets.
    pub tokens: u8,
    /// For whom the posting is.
    pub audience: Audience,
    /// Whether the listing has a description or a list of skills; of one without, most is unknown.
    pub has_text: bool,
}

/// Identifies a segment within this process. Never part of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentId(u64);

/// Listings and their inverted index.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    /// Ascending by id; the position is the listing's number.
    facts: Vec<Facts>,
    /// [`Facts::brief`] of each listing, packed: the search for a career reads it for a large part of them.
    briefs: Vec<Brief>,
    /// The listings without a list of skills.
    silent: ListingSet,
    /// The listings that require a licence.
    licensed: ListingSet,
    index: InvertedIndex,
}

impl Segment {
    /// A segment of listings in the order of their ids, with the index of the listings in this order.
    pub fn new(facts: Vec<Facts>, index: InvertedIndex) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        debug_assert!(facts.len() <= SEGMENT_LISTINGS);
        debug_assert!(facts.is_sorted_by(|one, next| one.id < next.id));
        let id = SegmentId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let briefs = facts.iter().map(|facts| facts.brief).collect();
        let mut silent = ListingSet::empty(facts.len());
        let without_skills = facts.iter().enumerate().filter(|(_, facts)| !facts.brief.lists_skills);
        without_skills.for_each(|(listing, _)| silent.insert(listing as u16));
        let mut licensed = ListingSet::empty(facts.len());
        let with_licence = facts.iter().enumerate().filter(|(_, facts)| facts.brief.licence.is_some());
        with_licence.for_each(|(listing, _)| licensed.insert(listing as u16));
        Self { id, facts, briefs, silent, licensed, index }
    }

    /// The segment's identity.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Number of listings.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// The facts about all listings, by listing number.
    pub fn facts(&self) -> &[Facts] {
        &self.facts
    }

    /// [`Facts::brief`] of all listings, by listing number.
    pub fn briefs(&self) -> &[Brief] {
        &self.briefs
    }

    /// Whether a listing has no list of skills.
    pub fn is_silent(&self, listing: u16) -> bool {
        self.silent.contains(listing)
    }

    /// The licence that a listing requires.
    pub fn licence(&self, listing: u16) -> Option<Licence> {
        // Few listings require one, and the set stays in the processor's cache.
        self.licensed.contains(listing).then(|| self.briefs[usize::from(listing)].licence).flatten()
    }

    /// The inverted index of the listings.
    pub fn index(&self) -> &InvertedIndex {
        &self.index
    }

    /// The number of the listing with an id.
    pub fn find(&self, id: i64) -> Option<u16> {
        self.facts.binary_search_by_key(&id, |facts| facts.id).ok().map(|at| at as u16)
    }

    /// The listings that have all of some tokens, in any field; no listing if there are no tokens.
    pub fn with_all(&self, tokens: &[Token]) -> ListingSet {
        let with_token = tokens.iter().map(|&token| {
            let mut listings = ListingSet::empty(self.len());
            self.index.postings(token).into_iter().flatten().for_each(|&listing| listings.insert(listing));
            listings
        });
        let with_all = with_token.reduce(|mut all, listings| {
            all.intersect(&listings);
            all
        });
        with_all.unwrap_or_else(|| ListingSet::empty(self.len()))
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        self.facts.capacity() * size_of::<Facts>()
            + self.briefs.capacity() * size_of::<Brief>()
            + self.silent.memory_bytes()
            + self.licensed.memory_bytes()
            + self.index.memory_bytes()
    }
}
