//! Building a catalogue from all listings.

use std::sync::Arc;

use super::{Caches, Catalogue, Sizes};
use crate::domain::{CatalogueVersion, JobListing};
use crate::ranking::index::builder::SegmentBuilder;
use crate::ranking::index::live_segment::LiveSegment;
use crate::ranking::vocabulary::Vocabulary;

/// Collects listings for a [`Catalogue`].
pub struct CatalogueBuilder {
    vocabulary: Arc<Vocabulary>,
    sizes: Sizes,
    segments: Vec<LiveSegment>,
    open: SegmentBuilder,
}

impl CatalogueBuilder {
    /// A builder without listings.
    pub fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self::with_sizes(vocabulary, Sizes::PRODUCTION)
    }

    /// For tests, which have too few listings to fill segments of the production size.
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
        self.segments.iter_mut().for_each(|live| live.delete(&ids));
        self.segments.push(LiveSegment::new(segment));
    }

    /// The segments of everything pushed.
    pub(super) fn into_segments(mut self) -> Vec<LiveSegment> {
        self.close_segment();
        self.segments
    }

    /// The catalogue of everything pushed.
    pub fn finish(self, version: CatalogueVersion) -> Catalogue {
        let (vocabulary, sizes) = (Arc::clone(&self.vocabulary), self.sizes);
        Catalogue::new(version, vocabulary, sizes, self.into_segments(), Caches::default())
    }
}
