//! Up to 65,536 listings with their inverted index, immutable once built.
//!
//! Listing numbers inside a segment fit 16 bits, so a posting is two bytes without any compression, and what
//! a query accumulates per listing stays in the processor's cache.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ranking::text::experience::AskedYears;
use crate::ranking::text::token::Token;

/// Listings per segment.
pub const SEGMENT_LISTINGS: usize = 1 << 16;

/// Where in a listing a token was found, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Title = 0,
    Skills = 1,
    Text = 2,
}

/// Number of fields.
pub const FIELDS: usize = 3;

/// What scoring knows of a listing beside its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub id: i64,
    /// When the listing was last seen, in seconds since 1970; `i64::MIN` is unknown.
    pub crawled_at: i64,
    /// Equal for postings that are copies of each other.
    pub duplicate_key: u64,
    pub brief: Brief,
}

/// What finding a career's candidates needs to know of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    /// The whole days of [`Facts::crawled_at`]; 0 is unknown.
    pub day: u16,
    /// Asked years of experience.
    pub years: Option<AskedYears>,
    /// Distinct tokens of the title's core.
    pub title_tokens: u8,
}

/// An immutable part of the catalogue.
#[derive(Debug)]
pub struct Segment {
    number: u64,
    /// Ascending by id; the position is the listing's number.
    facts: Vec<Facts>,
    /// [`Facts::brief`] of each, packed: a career's search reads it for a great part of all listings.
    briefs: Vec<Brief>,
    /// Ascending.
    tokens: Vec<Token>,
    /// `starts[i * FIELDS + field]` is where the postings of token i in that field start.
    starts: Vec<u32>,
    postings: Vec<u16>,
}

impl Segment {
    /// Takes what the builder has inverted.
    pub(in crate::ranking) fn new(
        facts: Vec<Facts>,
        tokens: Vec<Token>,
        starts: Vec<u32>,
        postings: Vec<u16>,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        debug_assert!(facts.len() <= SEGMENT_LISTINGS);
        debug_assert_eq!(starts.len(), tokens.len() * FIELDS + 1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let briefs = facts.iter().map(|facts| facts.brief).collect();
        Self { number, facts, briefs, tokens, starts, postings }
    }

    /// Tells segments of one process apart; never part of a result.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    pub fn facts(&self) -> &[Facts] {
        &self.facts
    }

    pub fn briefs(&self) -> &[Brief] {
        &self.briefs
    }

    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The listings that contain a token, by the field they have it in; ascending.
    pub fn postings(&self, token: Token) -> [&[u16]; FIELDS] {
        self.ordinal(token).map_or([&[]; FIELDS], |ordinal| self.postings_at(ordinal))
    }

    /// The position of a token in [`Segment::tokens`].
    pub fn ordinal(&self, token: Token) -> Option<usize> {
        self.tokens.binary_search(&token).ok()
    }

    /// The postings of the token at a position of [`Segment::tokens`].
    pub fn postings_at(&self, ordinal: usize) -> [&[u16]; FIELDS] {
        let starts = &self.starts[ordinal * FIELDS..=(ordinal + 1) * FIELDS];
        std::array::from_fn(|field| &self.postings[starts[field] as usize..starts[field + 1] as usize])
    }

    /// The best field in which a listing has the token at a position of [`Segment::tokens`].
    pub fn field_of(&self, ordinal: usize, listing: u16) -> Option<Field> {
        let postings = self.postings_at(ordinal);
        let fields = [Field::Title, Field::Skills, Field::Text];
        fields.into_iter().find(|&field| postings[field as usize].binary_search(&listing).is_ok())
    }

    /// The number of the listing with an id.
    pub fn find(&self, id: i64) -> Option<u16> {
        self.facts.binary_search_by_key(&id, |facts| facts.id).ok().map(|at| at as u16)
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        self.facts.capacity() * size_of::<Facts>()
            + self.briefs.capacity() * size_of::<Brief>()
            + self.tokens.capacity() * size_of::<Token>()
            + self.starts.capacity() * size_of::<u32>()
            + self.postings.capacity() * size_of::<u16>()
    }
}

/// Words of a [`ListingSet`] that are worked on at once.
pub const SET_BLOCK: usize = 8;

/// A set of listing numbers of one segment, one bit each, in whole blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingSet(Box<[u64]>);

impl ListingSet {
    /// The empty set for a segment of `listings` listings.
    pub fn empty(listings: usize) -> Self {
        Self(vec![0; listings.div_ceil(64).next_multiple_of(SET_BLOCK)].into())
    }

    pub fn insert(&mut self, listing: u16) {
        self.0[usize::from(listing >> 6)] |= 1 << (listing & 63);
    }

    pub fn contains(&self, listing: u16) -> bool {
        self.0[usize::from(listing >> 6)] >> (listing & 63) & 1 == 1
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The bits of 512 listings each.
    pub fn blocks(&self) -> &[[u64; SET_BLOCK]] {
        self.0.as_chunks().0
    }

    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
