//! How many of a user's terms each listing names.

use std::sync::Arc;

use crate::ranking::index::listing_set::{ListingSet, SET_BLOCK};
use crate::ranking::score::{INTERESTS_ASKED, SKILLS_ASKED};

/// Terms are counted up to this number; more make no difference to a score.
pub const MOST_TERMS: usize = 3;
const _: () = assert!(SKILLS_ASKED <= MOST_TERMS && INTERESTS_ASKED <= MOST_TERMS);

/// How many of a user's terms each listing of a segment names, up to [`MOST_TERMS`].
pub struct TermCounts(Vec<CountPlanes>);

/// The counts of 512 listings in two bits each, the ones and the twos. Adding a term to all of them takes a few wide
/// instructions, which keeps a user's answer fast.
#[derive(Clone, Copy, Default)]
struct CountPlanes {
    ones: [u64; SET_BLOCK],
    twos: [u64; SET_BLOCK],
}

impl TermCounts {
    /// Counts for a segment of `listings` listings, from the sets of those that name each term.
    pub fn new(listings: usize, terms: &[Arc<ListingSet>]) -> Self {
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
    /// Adds one to the counts of the listings in `naming`, up to three.
    #[inline]
    fn add(&mut self, naming: &[u64; SET_BLOCK]) {
        for ((ones, twos), naming) in self.ones.iter_mut().zip(&mut self.twos).zip(naming) {
            let carry = *ones & naming;
            *ones = (*ones ^ naming) | (carry & *twos);
            *twos |= carry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_counted_up_to_three() {
        // Listing n names the first n of seven skills.
        let naming: Vec<Arc<ListingSet>> = (0..7)
            .map(|skill| {
                let mut naming = ListingSet::empty(70);
                (skill + 1..70).for_each(|listing| naming.insert(listing));
                Arc::new(naming)
            })
            .collect();
        let counts = TermCounts::new(70, &naming);
        let counted: Vec<_> = (0..8).chain([69]).map(|listing| counts.count(listing)).collect();
        assert_eq!(counted, [0, 1, 2, 3, 3, 3, 3, 3, 3]);
    }
}
