//! Sets of listings of one segment.

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

    /// Adds a listing.
    pub fn insert(&mut self, listing: u16) {
        self.0[usize::from(listing >> 6)] |= 1 << (listing & 63);
    }

    /// Whether a listing is in the set.
    pub fn contains(&self, listing: u16) -> bool {
        self.0[usize::from(listing >> 6)] >> (listing & 63) & 1 == 1
    }

    /// Removes the listings that are not in `other`, a set for the same segment.
    pub fn intersect(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Number of listings in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The bits of the set, 512 listings a block.
    pub fn blocks(&self) -> &[[u64; SET_BLOCK]] {
        self.0.as_chunks().0
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
