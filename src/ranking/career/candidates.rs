//! The listings of a segment that show something of a career's name, best first.

use rustc_hash::FxHashMap;

use super::fit::{Masks, Match, Shown, best_evidence, best_phrase};
use super::group::Group;
use super::plan::Plan;
use crate::ranking::index::inverted_index::{FIELDS, Field, InvertedIndex};
use crate::ranking::index::segment::{Brief, Segment, TitleForm};
use crate::ranking::text::experience::AskedYears;

/// Candidates kept per career and segment: a sixteenth of a full segment. For a common career, the listings with the
/// very best fit alone are more than half a per cent of all.
pub const KEPT: usize = 4_096;

/// Listings whose facts are read together.
const READ_AT_ONCE: usize = 256;

/// A listing that shows something of the career, with the facts that its score needs: reading them in order is
/// several times faster than looking them up by listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How well the listing fits the career, 1 to [`FULL`](crate::ranking::score::FULL).
    pub fit: u16,
    /// The listing's number in its segment.
    pub listing: u16,
    /// The evidence for the fit.
    pub shown: Shown,
    /// As [`Brief::day`].
    pub day: u16,
    /// As [`Brief::years`].
    pub years: Option<AskedYears>,
}

// A user's search scans tens of thousands of candidates, so their size decides its speed.
const _: () = assert!(size_of::<Candidate>() == 12);

/// The candidates of one career in one segment.
#[derive(Debug)]
pub struct Candidates {
    /// The best ones: by fit, then day, both descending, then listing number.
    pub best: Vec<Candidate>,
    /// The highest possible fit of a listing that was dropped; `None` if none was.
    pub dropped_fit: Option<u16>,
    /// The ordinals of the plan's tokens in the segment, by group.
    pub ordinals: Vec<GroupOrdinals>,
}

/// The ordinals of a group's tokens in a segment's index, a list of alternatives for each token.
pub type GroupOrdinals = Vec<Vec<usize>>;

impl Candidates {
    /// The best `keep` of the listings that show evidence of the career.
    pub fn find(segment: &Segment, plan: &Plan, keep: usize) -> Self {
        let ordinals = all_ordinals(segment, plan);
        let mut found = vec![Match::default(); segment.len()];
        for (group, ordinals, first_phrase) in groups(plan, &ordinals) {
            match_evidence(segment, group, ordinals, first_phrase, &mut found);
        }
        Self::best_of(segment, &found, keep, ordinals)
    }

    /// All listings that show anything of the career, for measuring.
    pub fn find_all(segment: &Segment, plan: &Plan) -> Self {
        let ordinals = all_ordinals(segment, plan);
        let mut found = vec![Match::default(); segment.len()];
        let mut of_first_group = None;
        for (group, ordinals, first_phrase) in groups(plan, &ordinals) {
            let masks = all_masks(segment, group, ordinals);
            match_titles(segment, group, &masks, first_phrase, &mut found);
            match_texts(group, &masks, first_phrase, &mut found);
            of_first_group.get_or_insert((group, masks));
        }
        if let Some((group, masks)) = of_first_group {
            match_sectors(group, &masks[Field::Title as usize], &mut found);
        }
        Self::best_of(segment, &found, usize::MAX, ordinals)
    }

    fn best_of(segment: &Segment, found: &[Match], keep: usize, ordinals: Vec<GroupOrdinals>) -> Self {
        let shows_some = select_indices(found.len(), |at| found[at].fit > 0);
        let candidates = shows_some.map(|listing| {
            let Brief { day, years, .. } = segment.briefs()[listing];
            let Match { fit, shown } = found[listing];
            Candidate { fit, listing: listing as u16, shown, day, years }
        });
        let mut best: Vec<Candidate> = candidates.collect();
        let mut dropped_fit = None;
        if best.len() > keep {
            best.select_nth_unstable_by_key(keep, order);
            dropped_fit = Some(best[keep].fit);
            best.truncate(keep);
        }
        best.sort_unstable_by_key(order);
        best.shrink_to_fit();
        Self { best, dropped_fit, ordinals }
    }

    /// Heap use.
    pub fn memory_bytes(&self) -> usize {
        self.best.capacity() * size_of::<Candidate>()
    }
}

/// The sort key of [`Candidates::best`].
fn order(candidate: &Candidate) -> (u16, u16, u16) {
    (u16::MAX - candidate.fit, u16::MAX - candidate.day, candidate.listing)
}

/// The ordinals of all groups of a plan.
fn all_ordinals(segment: &Segment, plan: &Plan) -> Vec<GroupOrdinals> {
    plan.groups.iter().map(|group| ordinals(segment.index(), group)).collect()
}

/// The groups of a plan with their ordinals and the numbers of their first phrases.
fn groups<'p>(
    plan: &'p Plan,
    ordinals: &'p [GroupOrdinals],
) -> impl Iterator<Item = (&'p Group, &'p GroupOrdinals, u16)> {
    let mut next_phrase = 0;
    plan.groups.iter().zip(ordinals).map(move |(group, ordinals)| {
        let first_phrase = next_phrase;
        next_phrase += group.phrases.len() as u16;
        (group, ordinals, first_phrase)
    })
}

/// Matches the listings whose titles show evidence of a phrase of the group. Many listings have the same tokens, so the
/// match of each combination is computed once.
fn match_evidence(
    segment: &Segment,
    group: &Group,
    ordinals: &GroupOrdinals,
    first_phrase: u16,
    best: &mut [Match],
) {
    let titles = collect_masks(segment, group, ordinals, Field::Title);
    let subject_words = group.subject_words();
    let skills = collect_masks(segment, group, ordinals, Field::Skills);
    let texts = collect_masks(segment, group, ordinals, Field::Text);
    let shows_word: Vec<usize> =
        select_indices(segment.len(), |at| titles[at] & subject_words != 0).collect();
    let mut known: FxHashMap<(Masks, TitleForm), Match> = FxHashMap::default();
    for listings in shows_word.chunks(READ_AT_ONCE) {
        // All of them are read before the first is used, so that the processor waits for the memory once, not for each.
        let shown =
            listings.iter().map(|&at| ([titles[at], skills[at], texts[at]], segment.briefs()[at].title));
        let shown: Vec<(Masks, TitleForm)> = shown.collect();
        for (&listing, (masks, title)) in listings.iter().zip(shown) {
            let found = known.entry((masks, title));
            let found = found.or_insert_with(|| best_evidence(group, masks, title, first_phrase));
            improve(&mut best[listing], *found);
        }
    }
}

/// Matches the listings whose titles or skills have tokens of the group.
fn match_titles(segment: &Segment, group: &Group, masks: &FieldMasks, first_phrase: u16, best: &mut [Match]) {
    let mut known: FxHashMap<(Masks, TitleForm), Match> = FxHashMap::default();
    let [titles, skills, texts] = masks;
    let names = group.names();
    let core = group.core();
    let shows_some = |at: usize| {
        ((titles[at] | skills[at]) & names != 0) & ((titles[at] | skills[at] | texts[at]) & core != 0)
    };
    for listing in select_indices(segment.len(), shows_some) {
        let masks = [titles[listing], skills[listing], texts[listing]];
        let title = segment.briefs()[listing].title;
        let found = known.entry((masks, title));
        improve(&mut best[listing], *found.or_insert_with(|| best_phrase(group, masks, title, first_phrase)));
    }
}

/// Matches the listings of which only the texts have tokens of the group.
fn match_texts(group: &Group, masks: &FieldMasks, first_phrase: u16, best: &mut [Match]) {
    let mut known: FxHashMap<(u64, u64), Match> = FxHashMap::default();
    let [titles, skills, texts] = masks;
    let names = group.names();
    let core = group.core();
    let shows_some = |at: usize| ((titles[at] | skills[at]) & names == 0) & (texts[at] & core != 0);
    for listing in select_indices(best.len(), shows_some) {
        let masks = [titles[listing], 0, texts[listing]];
        let found = known.entry((titles[listing], texts[listing]));
        improve(
            &mut best[listing],
            *found.or_insert_with(|| best_phrase(group, masks, TitleForm::default(), first_phrase)),
        );
    }
}

/// Matches titles of the career's sector, where this is better than any phrase.
fn match_sectors(group: &Group, titles: &[u64], best: &mut [Match]) {
    for (best, title) in best.iter_mut().zip(titles) {
        let found = if title & group.sector != 0 {
            Match::sector_job()
        } else if title & group.sector_word != 0 {
            Match::sector_word()
        } else {
            continue;
        };
        if found.fit > best.fit {
            *best = found;
        }
    }
}

/// The indices below `count` that satisfy a condition. No branch depends on the condition: the processor cannot predict
/// it, and mispredicted branches would cost more than the rest of the search.
#[inline]
fn select_indices(count: usize, condition: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
    let mut found = vec![0_u32; count + 1];
    let mut len = 0;
    for at in 0..count {
        found[len] = at as u32;
        len += usize::from(condition(at));
    }
    found.truncate(len);
    found.into_iter().map(|at| at as usize)
}

fn improve(best: &mut Match, found: Match) {
    let comes_first = found.fit == best.fit && found.shown.order() < best.shown.order();
    if found.is_better_than(*best) || comes_first && !best.is_better_than(found) {
        *best = found;
    }
}

fn ordinals(index: &InvertedIndex, group: &Group) -> GroupOrdinals {
    let ordinals =
        group.tokens.iter().map(|token| token.alternatives.iter().filter_map(|&token| index.ordinal(token)));
    ordinals.map(Iterator::collect).collect()
}

/// The masks of all listings, field by field, so that the masks being filled stay in the processor's cache.
type FieldMasks = [Vec<u64>; FIELDS];

fn all_masks(segment: &Segment, group: &Group, ordinals: &GroupOrdinals) -> FieldMasks {
    [Field::Title, Field::Skills, Field::Text].map(|field| collect_masks(segment, group, ordinals, field))
}

/// The masks of one field, so that the masks being filled stay in the processor's cache.
fn collect_masks(segment: &Segment, group: &Group, ordinals: &GroupOrdinals, field: Field) -> Vec<u64> {
    let mut masks = vec![0; segment.len()];
    // Joints have no weight and matter in titles only.
    let matters = |bit: usize| field == Field::Title || group.tokens[bit].weight > 0;
    for (bit, ordinals) in ordinals.iter().enumerate().filter(|&(bit, _)| matters(bit)) {
        for &ordinal in ordinals {
            for &listing in segment.index().postings_at(ordinal)[field as usize] {
                masks[usize::from(listing)] |= 1 << bit;
            }
        }
    }
    masks
}
