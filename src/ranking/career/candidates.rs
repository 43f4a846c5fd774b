//! The listings of a segment that show something of a career's name, best first.

use rustc_hash::FxHashMap;

use super::fit::{Masks, Match, Shown, best_phrase, text_only_bound};
use super::group::Group;
use super::plan::Plan;
use crate::ranking::index::inverted_index::{FIELDS, Field, InvertedIndex};
use crate::ranking::index::segment::{Brief, Segment, TitleForm};
use crate::ranking::score::FULL;
use crate::ranking::text::experience::AskedYears;

/// Candidates kept per career and segment: a sixteenth of a full segment. For a common career, the listings with the
/// very best fit alone are more than half a per cent of all.
pub const KEPT: usize = 4_096;

/// A listing that shows something of the career, with the facts that its score needs: reading them in order is
/// several times faster than looking them up by listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How well the listing fits the career, 1 to [`FULL`].
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
    /// The best `keep` candidates.
    pub fn find(segment: &Segment, plan: &Plan, keep: usize) -> Self {
        let ordinals: Vec<GroupOrdinals> =
            plan.groups.iter().map(|group| ordinals(segment.index(), group)).collect();
        let (found, mut dropped_fit) = match_all(segment, plan, &ordinals, keep);
        let least = least_fit(&found, keep);
        let mut best = Vec::with_capacity(keep.min(segment.len()));
        let below = found.iter().map(|found| if found.fit < least { found.fit } else { 0 }).max();
        dropped_fit = dropped_fit.max(below.filter(|&fit| fit > 0));
        for listing in select_indices(found.len(), |at| found[at].fit >= least) {
            let Brief { day, years, .. } = segment.briefs()[listing];
            let Match { fit, shown } = found[listing];
            best.push(Candidate { fit, listing: listing as u16, shown, day, years });
        }
        if best.len() > keep {
            best.select_nth_unstable_by_key(keep, order);
            dropped_fit = dropped_fit.max(Some(best[keep].fit));
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

/// A fit that at least `keep` listings reach, or 1; listings with a lower one need no sorting.
fn least_fit(found: &[Match], keep: usize) -> u16 {
    let mut having = vec![0_u32; usize::from(FULL) + 1];
    found.iter().for_each(|found| having[usize::from(found.fit)] += 1);
    let mut reached = 0;
    for (fit, count) in having.iter().enumerate().skip(1).rev() {
        reached += *count as usize;
        if reached >= keep {
            return fit as u16;
        }
    }
    1
}

/// The best match of every listing. If `keep` listings show more in their titles and skills than a listing could show in
/// its text alone, matches in texts alone are not computed, and their highest possible fit is returned too.
fn match_all(
    segment: &Segment,
    plan: &Plan,
    ordinals: &[GroupOrdinals],
    keep: usize,
) -> (Vec<Match>, Option<u16>) {
    let mut best = vec![Match::default(); segment.len()];
    let mut first_phrase = 0;
    let mut texts = Vec::with_capacity(plan.groups.len());
    for (group, ordinals) in plan.groups.iter().zip(ordinals) {
        let masks = collect_masks(segment, group, ordinals);
        match_titles(segment, group, &masks, first_phrase, &mut best);
        texts.push((group, masks, first_phrase));
        first_phrase += group.phrases.len() as u16;
    }
    let bound = text_only_bound();
    if best.iter().filter(|found| found.fit > bound).count() >= keep {
        return (best, Some(bound));
    }
    for (group, masks, first_phrase) in &texts {
        match_texts(group, masks, *first_phrase, &mut best);
    }
    if let Some((group, masks, _)) = texts.first() {
        match_sectors(group, &masks[Field::Title as usize], &mut best);
    }
    (best, None)
}

/// Matches the listings whose titles or skills have tokens of the group. Many listings have the same tokens, so the
/// match of each combination is computed once.
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

fn collect_masks(segment: &Segment, group: &Group, ordinals: &GroupOrdinals) -> FieldMasks {
    std::array::from_fn(|field| {
        let mut masks = vec![0; segment.len()];
        // Joints have no weight and matter in titles only.
        let matters = |bit: usize| field == Field::Title as usize || group.tokens[bit].weight > 0;
        for (bit, ordinals) in ordinals.iter().enumerate().filter(|&(bit, _)| matters(bit)) {
            for &ordinal in ordinals {
                for &listing in segment.index().postings_at(ordinal)[field] {
                    masks[usize::from(listing)] |= 1 << bit;
                }
            }
        }
        masks
    })
}
