//! Joins segments into one, leaving out dead listings, without the listings' texts.
//!
//! Every refresh adds a segment; joining the small ones keeps their number logarithmic, so that a catalogue
//! that is refreshed every minute stays as quick as one built at once.

use crate::ranking::catalogue::LiveSegment;
use crate::ranking::index::segment::{FIELDS, Facts, SEGMENT_LISTINGS, Segment};
use crate::ranking::text::token::Token;

/// Joins small and half-dead segments until each is at least twice the next, or full.
pub(in crate::ranking) fn merge_small(segments: &mut Vec<LiveSegment>, most: usize) {
    segments.retain(|live| live.live() > 0);
    for live in segments.iter_mut().filter(|live| live.live() * 2 < live.segment.len()) {
        *live = join(std::slice::from_ref(live));
    }
    while let [.., before, last] = segments.as_slice() {
        let together = before.live() + last.live();
        if together > most.min(SEGMENT_LISTINGS) || before.live() >= 2 * last.live() {
            break;
        }
        let joined = join(&segments[segments.len() - 2..]);
        segments.truncate(segments.len() - 2);
        segments.push(joined);
    }
}

/// One segment with the live listings of all.
fn join(segments: &[LiveSegment]) -> LiveSegment {
    let mut listings: Vec<(Facts, usize, usize)> = Vec::new();
    for (number, live) in segments.iter().enumerate() {
        let facts = live.segment.facts().iter().enumerate();
        let facts = facts.filter(|(at, _)| live.is_live(*at as u16));
        listings.extend(facts.map(|(at, facts)| (*facts, number, at)));
    }
    listings.sort_unstable_by_key(|(facts, _, _)| facts.id);
    let mut renumbered: Vec<Vec<Option<u16>>> =
        segments.iter().map(|live| vec![None; live.segment.len()]).collect();
    for (new, &(_, segment, old)) in listings.iter().enumerate() {
        renumbered[segment][old] = Some(new as u16);
    }
    let (tokens, starts, postings) = join_postings(segments, &renumbered);
    let facts = listings.into_iter().map(|(facts, _, _)| facts).collect();
    LiveSegment::new(Segment::new(facts, tokens, starts, postings))
}

fn join_postings(
    segments: &[LiveSegment],
    renumbered: &[Vec<Option<u16>>],
) -> (Vec<Token>, Vec<u32>, Vec<u16>) {
    let mut all: Vec<Token> = segments.iter().flat_map(|live| live.segment.tokens()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let (mut tokens, mut starts, mut postings) = (Vec::with_capacity(all.len()), vec![0], Vec::new());
    for token in all {
        let before = postings.len();
        let of_segments: Vec<_> = segments.iter().map(|live| live.segment.postings(token)).collect();
        let mut ends = [0; FIELDS];
        for (field, end) in ends.iter_mut().enumerate() {
            let from = postings.len();
            for (lists, numbers) in of_segments.iter().zip(renumbered) {
                postings.extend(lists[field].iter().filter_map(|&old| numbers[usize::from(old)]));
            }
            postings[from..].sort_unstable();
            *end = postings.len() as u32;
        }
        // What only dead listings had is gone, as if they had never been.
        if postings.len() > before {
            tokens.push(token);
            starts.extend(ends);
        }
    }
    postings.shrink_to_fit();
    (tokens, starts, postings)
}
