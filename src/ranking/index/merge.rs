//! Merges segments into one without their deleted listings and without the listings' texts.
//!
//! Every refresh adds a segment. Merging small ones keeps their number logarithmic, so that a catalogue that is
//! refreshed every minute stays as fast as one that was built at once.

use super::inverted_index::{FIELDS, InvertedIndex};
use super::live_segment::LiveSegment;
use super::segment::{Facts, SEGMENT_LISTINGS, Segment};
use crate::ranking::text::token::Token;

/// A segment is rewritten once one in so many of its listings is deleted. Without that, memory would grow by half before
/// it shrinks again.
const ONE_DELETED_IN: usize = 8;

/// Drops empty segments, rewrites those with more deleted listings than others and the worst of the rest, and merges the
/// last ones until each is at least twice as large as the next, or two together would have more than `most` listings.
pub fn merge_small(segments: &mut Vec<LiveSegment>, most: usize) {
    segments.retain(|live| live.len() > 0);
    for live in segments.iter_mut().filter(|live| live.len() < deleted(live)) {
        *live = merge(std::slice::from_ref(live));
    }
    // Only one: changes that are spread over all listings would have all segments rewritten by the same refresh.
    if let Some(worst) = segments.iter_mut().max_by_key(|live| deleted(live))
        && deleted(worst) * ONE_DELETED_IN >= worst.segment.len()
    {
        *worst = merge(std::slice::from_ref(worst));
    }
    while let [.., before, last] = segments.as_slice() {
        let together = before.len() + last.len();
        if together > most.min(SEGMENT_LISTINGS) || before.len() >= 2 * last.len() {
            break;
        }
        let merged = merge(&segments[segments.len() - 2..]);
        segments.truncate(segments.len() - 2);
        segments.push(merged);
    }
}

fn deleted(live: &LiveSegment) -> usize {
    live.segment.len() - live.len()
}

fn merge(segments: &[LiveSegment]) -> LiveSegment {
    let mut listings: Vec<(Facts, usize, u16)> = Vec::new();
    for (position, live) in segments.iter().enumerate() {
        listings.extend(live.facts().map(|(listing, facts)| (*facts, position, listing)));
    }
    listings.sort_unstable_by_key(|(facts, _, _)| facts.id);
    let mut renumbered: Vec<Vec<Option<u16>>> =
        segments.iter().map(|live| vec![None; live.segment.len()]).collect();
    for (new, &(_, position, old)) in listings.iter().enumerate() {
        renumbered[position][usize::from(old)] = Some(new as u16);
    }
    let facts = listings.into_iter().map(|(facts, _, _)| facts).collect();
    LiveSegment::new(Segment::new(facts, merge_indexes(segments, &renumbered)))
}

/// The index of all segments; `renumbered` has the new number of each listing that is not deleted.
fn merge_indexes(segments: &[LiveSegment], renumbered: &[Vec<Option<u16>>]) -> InvertedIndex {
    let mut all: Vec<Token> =
        segments.iter().flat_map(|live| live.segment.index().tokens()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let (mut tokens, mut starts, mut postings) = (Vec::with_capacity(all.len()), vec![0], Vec::new());
    for token in all {
        let before = postings.len();
        let lists: Vec<_> = segments.iter().map(|live| live.segment.index().postings(token)).collect();
        let mut ends = [0; FIELDS];
        for (field, end) in ends.iter_mut().enumerate() {
            let from = postings.len();
            for (lists, numbers) in lists.iter().zip(renumbered) {
                postings.extend(lists[field].iter().filter_map(|&old| numbers[usize::from(old)]));
            }
            postings[from..].sort_unstable();
            *end = postings.len() as u32;
        }
        // A token of deleted listings only is dropped, as in a segment built from the remaining listings.
        if postings.len() > before {
            tokens.push(token);
            starts.extend(ends);
        }
    }
    postings.shrink_to_fit();
    InvertedIndex::new(tokens, starts, postings)
}
