//! Skills: those that listings list, and which listings name a given one.

use crate::ranking::index::segment::{Field, ListingSet, SET_BLOCK, Segment};
use crate::ranking::score::{INTERESTS_ASKED, SKILLS_ASKED};
use crate::ranking::text::compact;
use crate::ranking::text::token::Token;

/// The listings of a segment that name a term, that is, have all of its tokens, wherever.
pub fn naming(segment: &Segment, tokens: &[Token]) -> ListingSet {
    let having = tokens.iter().map(|&token| {
        let mut having = ListingSet::empty(segment.len());
        segment.postings(token).into_iter().flatten().for_each(|&listing| having.insert(listing));
        having
    });
    let in_all = having.reduce(|mut found, having| {
        found.intersect(&having);
        found
    });
    in_all.unwrap_or_else(|| ListingSet::empty(segment.len()))
}

/// More terms than this are not counted, as they make no difference to a score.
pub const MOST_TERMS: usize = 3;
const _: () = assert!(SKILLS_ASKED <= MOST_TERMS && INTERESTS_ASKED <= MOST_TERMS);

/// How many of a user's terms each listing of a segment names, up to [`MOST_TERMS`].
pub struct TermCounts(Vec<CountPlanes>);

/// Counts of 512 listings in two bits each, the ones and the twos. Adding a term to so many at once takes a few
/// wide instructions, which is what lets a user be answered at once.
#[derive(Clone, Copy, Default)]
struct CountPlanes {
    ones: [u64; SET_BLOCK],
    twos: [u64; SET_BLOCK],
}

impl TermCounts {
    /// Counts over a segment of `listings` listings.
    pub fn new(listings: usize, terms: &[&ListingSet]) -> Self {
        let terms: Vec<&[[u64; SET_BLOCK]]> = terms.iter().map(|naming| naming.blocks()).collect();
        let blocks = 0..listings.div_ceil(64 * SET_BLOCK);
        let count = |block| {
            let mut planes = CountPlanes::default();
            for naming in &terms {
                planes.add(&naming[block]);
            }
            planes
        };
        Self(blocks.map(count).collect())
    }

    /// The number of terms that a listing names.
    pub fn count(&self, listing: u16) -> usize {
        let word = usize::from(listing >> 6);
        let planes = &self.0[word / SET_BLOCK];
        let bit = |plane: &[u64; SET_BLOCK]| (plane[word % SET_BLOCK] >> (listing & 63) & 1) as usize;
        2 * bit(&planes.twos) + bit(&planes.ones)
    }
}

impl CountPlanes {
    /// One more for those in `naming`; three stay three.
    #[inline]
    fn add(&mut self, naming: &[u64; SET_BLOCK]) {
        for ((ones, twos), naming) in self.ones.iter_mut().zip(&mut self.twos).zip(naming) {
            let carry = *ones & naming;
            *ones = (*ones ^ naming) | (carry & *twos);
            *twos |= carry;
        }
    }
}

/// Whether a listing of the segment that is not in `dead` lists this very term as a skill.
pub fn is_listed(segment: &Segment, tombstones: Option<&ListingSet>, term: &str) -> bool {
    let postings = segment.postings(Token::listed_skill(&compact(term)))[Field::Skills as usize];
    postings.iter().any(|&listing| tombstones.is_none_or(|tombstones| !tombstones.contains(listing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_three_terms() {
        // Listing n names the first n of seven skills.
        let naming: Vec<ListingSet> = (0..7)
            .map(|skill| {
                let mut naming = ListingSet::empty(70);
                (skill + 1..70).for_each(|listing| naming.insert(listing));
                naming
            })
            .collect();
        let counts = TermCounts::new(70, &naming.iter().collect::<Vec<_>>());
        let counted: Vec<_> = (0..8).chain([69]).map(|listing| counts.count(listing)).collect();
        assert_eq!(counted, [0, 1, 2, 3, 3, 3, 3, 3, 3]);
    }
}
