//! The postings of a segment, and the inverter that makes them.

use rustc_hash::FxHashMap;

use crate::ranking::text::token::Token;

/// Where in a listing a token was found, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The title.
    Title = 0,
    /// The columns that list skills.
    Skills = 1,
    /// The description.
    Text = 2,
}

/// Number of fields.
pub const FIELDS: usize = 3;

/// Token → the listings of one segment that have it, field by field.
///
/// Listing numbers fit 16 bits, so a posting takes two bytes without any compression.
#[derive(Debug)]
pub struct InvertedIndex {
    /// Ascending. A token's position here is its ordinal.
    tokens: Vec<Token>,
    /// `starts[ordinal * FIELDS + field]` is the start of the token's postings in that field.
    starts: Vec<u32>,
    postings: Vec<u16>,
}

impl InvertedIndex {
    /// From ascending tokens, the starts of their postings (one per token and field, and the end) and the postings.
    pub fn new(tokens: Vec<Token>, starts: Vec<u32>, postings: Vec<u16>) -> Self {
        debug_assert_eq!(starts.len(), tokens.len() * FIELDS + 1);
        Self { tokens, starts, postings }
    }

    /// All tokens, ascending.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// A token's position in [`tokens`](Self::tokens).
    pub fn ordinal(&self, token: Token) -> Option<usize> {
        self.tokens.binary_search(&token).ok()
    }

    /// The listings that have the token with this ordinal, field by field; ascending.
    pub fn postings_at(&self, ordinal: usize) -> [&[u16]; FIELDS] {
        let starts = &self.starts[ordinal * FIELDS..=(ordinal + 1) * FIELDS];
        std::array::from_fn(|field| &self.postings[starts[field] as usize..starts[field + 1] as usize])
    }

    /// The listings that have a token, field by field; ascending.
    pub fn postings(&self, token: Token) -> [&[u16]; FIELDS] {
        self.ordinal(token).map_or([&[]; FIELDS], |ordinal| self.postings_at(ordinal))
    }

    /// The best field in which a listing has the token with this ordinal.
    pub fn field_of(&self, ordinal: usize, listing: u16) -> Option<Field> {
        let postings = self.postings_at(ordinal);
        let fields = [Field::Title, Field::Skills, Field::Text];
        fields.into_iter().find(|&field| postings[field as usize].binary_search(&listing).is_ok())
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        self.tokens.capacity() * size_of::<Token>()
            + self.starts.capacity() * size_of::<u32>()
            + self.postings.capacity() * size_of::<u16>()
    }
}

/// Takes listings one after the other and inverts them.
#[derive(Default)]
pub struct Inverter {
    /// `number * FIELDS + field` of every distinct token of every field, listing by listing.
    occurrences: Vec<u32>,
    /// The end of each listing's occurrences.
    ends: Vec<usize>,
    numbers: FxHashMap<Token, u32>,
    tokens: Vec<NumberedToken>,
}

struct NumberedToken {
    token: Token,
    /// The last listing (counted from 1) that has the token, field by field.
    last_seen: [u32; FIELDS],
}

impl Inverter {
    /// The number of a token, by which [`add`](Self::add) takes it.
    pub fn number(&mut self, token: Token) -> u32 {
        *self.numbers.entry(token).or_insert_with(|| {
            self.tokens.push(NumberedToken { token, last_seen: [0; FIELDS] });
            self.tokens.len() as u32 - 1
        })
    }

    /// Adds a token to the current listing; false if the listing has it in this field already.
    pub fn add(&mut self, field: Field, number: u32) -> bool {
        let listing = self.ends.len() as u32 + 1;
        let last_seen = &mut self.tokens[number as usize].last_seen[field as usize];
        let is_new = *last_seen != listing;
        if is_new {
            *last_seen = listing;
            self.occurrences.push(number * FIELDS as u32 + field as u32);
        }
        is_new
    }

    /// Ends the current listing.
    pub fn end_listing(&mut self) {
        self.ends.push(self.occurrences.len());
    }

    /// The index of the listings at the positions `order`, which are numbered in that order.
    pub fn invert(&self, order: &[u32]) -> InvertedIndex {
        let mut by_token: Vec<u32> = (0..self.tokens.len() as u32).collect();
        by_token.sort_unstable_by_key(|&number| self.tokens[number as usize].token);
        let (starts, mut next) = self.starts(order, &by_token);
        let mut postings = vec![0_u16; starts.last().map_or(0, |&total| total as usize)];
        for (listing, &at) in order.iter().enumerate() {
            for &occurrence in self.occurrences_of(at) {
                let next = &mut next[occurrence as usize];
                postings[*next as usize] = listing as u16;
                *next += 1;
            }
        }
        let tokens = by_token.iter().map(|&number| self.tokens[number as usize].token).collect();
        InvertedIndex::new(tokens, starts, postings)
    }

    fn occurrences_of(&self, at: u32) -> &[u32] {
        let at = at as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.occurrences[start..self.ends[at]]
    }

    /// The starts of all tokens' postings in the order of `by_token`, and the place of the first posting of each
    /// occurrence value.
    fn starts(&self, order: &[u32], by_token: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut slots = vec![0_u32; self.tokens.len() * FIELDS];
        for &occurrence in order.iter().flat_map(|&at| self.occurrences_of(at)) {
            slots[occurrence as usize] += 1;
        }
        let mut starts = Vec::with_capacity(slots.len() + 1);
        let mut total = 0;
        starts.push(0);
        for &number in by_token {
            for slot in &mut slots[number as usize * FIELDS..][..FIELDS] {
                let count = std::mem::replace(slot, total);
                total += count;
                starts.push(total);
            }
        }
        (starts, slots)
    }
}
