//! A segment in the course of refreshes.

use std::sync::Arc;

use super::inverted_index::Field;
use super::listing_set::ListingSet;
use super::segment::{Facts, Segment};
use crate::ranking::text::token::Token;

/// A segment, with tombstones for the listings that a refresh has replaced or deleted. Versions of a catalogue
/// share the segment; each has its own tombstones.
#[derive(Clone, Debug)]
pub struct LiveSegment {
    /// All listings, deleted ones included.
    pub segment: Arc<Segment>,
    tombstones: Option<Arc<ListingSet>>,
}

impl LiveSegment {
    /// A segment without deleted listings.
    pub fn new(segment: Segment) -> Self {
        Self { segment: Arc::new(segment), tombstones: None }
    }

    /// Deletes the listings with these ids, which ascend; ids of other segments are ignored.
    pub fn delete(&mut self, ids: &[i64]) {
        let facts = self.segment.facts();
        let (Some(first), Some(last)) = (facts.first(), facts.last()) else { return };
        let from = ids.partition_point(|&id| id < first.id);
        let to = ids.partition_point(|&id| id <= last.id);
        let found: Vec<u16> = ids[from..to].iter().filter_map(|&id| self.segment.find(id)).collect();
        if found.is_empty() {
            return;
        }
        let tombstones = self.tombstones.get_or_insert_with(|| Arc::new(ListingSet::empty(facts.len())));
        let tombstones = Arc::make_mut(tombstones);
        found.into_iter().for_each(|listing| tombstones.insert(listing));
    }

    /// Whether a listing is not deleted.
    pub fn is_live(&self, listing: u16) -> bool {
        self.tombstones.as_ref().is_none_or(|tombstones| !tombstones.contains(listing))
    }

    /// Number of listings without the deleted ones.
    pub fn len(&self) -> usize {
        self.segment.len() - self.tombstones.as_ref().map_or(0, |tombstones| tombstones.len())
    }

    /// The facts about the listings that are not deleted, with their numbers, which ascend.
    pub fn facts(&self) -> impl Iterator<Item = (u16, &Facts)> {
        let facts = self.segment.facts().iter().enumerate().map(|(at, facts)| (at as u16, facts));
        facts.filter(|(listing, _)| self.is_live(*listing))
    }

    /// The day on which the newest listing was seen; `None` without listings.
    pub fn newest_day(&self) -> Option<u16> {
        self.facts().map(|(_, facts)| facts.brief.day).max()
    }

    /// How often a token occurs: a listing counts once for every field that has it.
    pub fn occurrences(&self, token: Token) -> usize {
        let postings = self.segment.index().postings(token).into_iter();
        match self.tombstones {
            Some(_) => postings.flatten().filter(|&&listing| self.is_live(listing)).count(),
            None => postings.map(<[u16]>::len).sum(),
        }
    }

    /// Whether any listing has a token in a field.
    pub fn contains(&self, field: Field, token: Token) -> bool {
        let postings = self.segment.index().postings(token)[field as usize];
        postings.iter().any(|&listing| self.is_live(listing))
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        let tombstones = self.tombstones.as_ref().map_or(0, |tombstones| tombstones.memory_bytes());
        self.segment.memory_bytes() + tombstones
    }
}
