//! Values that are computed segment by segment.

use std::sync::Arc;

use crate::ranking::index::live_segment::LiveSegment;
use crate::ranking::index::segment::{Segment, SegmentId};

/// One value for every segment of a catalogue version, in the order of its segments. Values depend on the segment
/// and not on its deleted listings, so the next version takes them over for the segments that it still has.
#[derive(Debug)]
pub struct PerSegment<T>(Vec<(SegmentId, Arc<T>)>);

impl<T> PerSegment<T> {
    /// The values for `segments`: from `older` where it has them, else computed.
    pub fn new(older: Option<&Self>, segments: &[LiveSegment], compute: impl Fn(&Segment) -> T) -> Self {
        let values = segments.iter().map(|live| {
            let id = live.segment.id();
            let known = older.and_then(|older| older.find(id));
            (id, known.unwrap_or_else(|| Arc::new(compute(&live.segment))))
        });
        Self(values.collect())
    }

    fn find(&self, id: SegmentId) -> Option<Arc<T>> {
        self.0.iter().find(|(other, _)| *other == id).map(|(_, value)| Arc::clone(value))
    }

    /// The value for the segment at a position of the catalogue.
    pub fn get(&self, position: usize) -> &Arc<T> {
        &self.0[position].1
    }

    /// All values, in the order of the segments.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.iter().map(|(_, value)| value)
    }
}
