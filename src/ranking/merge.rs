//! Joins segments into one, leaving out dead listings, without the listings' texts.
//!
//! Every refresh adds a segment; joining the small ones keeps their number logarithmic, so that a catalogue
//! that is refreshed every minute stays as quick as one built at once.

use super::catalogue::Part;
use super::segment::{FIELDS, Facts, SEGMENT_LISTINGS, Segment};
use super::text::Token;

/// Joins small and half-dead parts until each is at least twice the next, or full.
pub(super) fn tidy(parts: &mut Vec<Part>, most: usize) {
    parts.retain(|part| part.live() > 0);
    for part in parts.iter_mut().filter(|part| part.live() * 2 < part.segment.len()) {
        *part = join(std::slice::from_ref(part));
    }
    while let [.., before, last] = parts.as_slice() {
        let together = before.live() + last.live();
        if together > most.min(SEGMENT_LISTINGS) || before.live() >= 2 * last.live() {
            break;
        }
        let joined = join(&parts[parts.len() - 2..]);
        parts.truncate(parts.len() - 2);
        parts.push(joined);
    }
}

/// One part with the live listings of all.
fn join(parts: &[Part]) -> Part {
    let mut live: Vec<(Facts, usize, usize)> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let facts = part.segment.facts().iter().enumerate();
        live.extend(facts.filter(|(at, _)| part.is_live(*at as u16)).map(|(at, facts)| (*facts, number, at)));
    }
    live.sort_unstable_by_key(|(facts, _, _)| facts.id);
    let mut renumbered: Vec<Vec<Option<u16>>> =
        parts.iter().map(|part| vec![None; part.segment.len()]).collect();
    for (new, &(_, part, old)) in live.iter().enumerate() {
        renumbered[part][old] = Some(new as u16);
    }
    let (tokens, starts, postings) = join_postings(parts, &renumbered);
    let facts = live.into_iter().map(|(facts, _, _)| facts).collect();
    Part::new(Segment::new(facts, tokens, starts, postings))
}

fn join_postings(parts: &[Part], renumbered: &[Vec<Option<u16>>]) -> (Vec<Token>, Vec<u32>, Vec<u16>) {
    let mut all: Vec<Token> = parts.iter().flat_map(|part| part.segment.tokens()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let (mut tokens, mut starts, mut postings) = (Vec::with_capacity(all.len()), vec![0], Vec::new());
    for token in all {
        let before = postings.len();
        let of_parts: Vec<_> = parts.iter().map(|part| part.segment.postings(token)).collect();
        let mut ends = [0; FIELDS];
        for (field, end) in ends.iter_mut().enumerate() {
            let from = postings.len();
            for (lists, numbers) in of_parts.iter().zip(renumbered) {
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
