//! The listings of a segment that show something of a career's name, best first.

use rustc_hash::FxHashMap;

use crate::ranking::career::coverage::{Masks, Match, Shown, best_phrase, text_only_bound};
use crate::ranking::career::plan::{Group, Phrase, Plan};
use crate::ranking::index::segment::{Brief, FIELDS, Field, Segment};
use crate::ranking::score::FULL;
use crate::ranking::text::experience::AskedYears;

/// Candidates kept per career and segment; a sixteenth of the segment, as the best tier alone of a common
/// career is more than half a per cent of all listings.
pub const KEPT: usize = 4_096;

/// A listing that shows something of the career, with what scoring it further needs: reading these in order
/// is several times faster than looking them up by listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The fit.
    pub fit: u16,
    /// The listing's number in its segment.
    pub listing: u16,
    pub shown: Shown,
    /// See [`Brief::day`].
    pub day: u16,
    /// Asked years of experience.
    pub years: Option<AskedYears>,
}

// Scanned by the ten thousand for every user: it must not grow unnoticed.
const _: () = assert!(size_of::<Candidate>() == 12);

/// Candidates of one career in one segment.
#[derive(Debug)]
pub struct Candidates {
    /// By fit, then day, both descending, then listing number.
    pub best: Vec<Candidate>,
    /// No listing that was not kept has a higher fit; `None` when all were.
    pub dropped_fit: Option<u16>,
    /// Where the segment has the plan's tokens.
    pub ordinals: Vec<GroupOrdinals>,
}

/// The positions of a group's tokens in [`Segment::tokens`], one list of alternatives a token.
pub type GroupOrdinals = Vec<Vec<usize>>;

impl Candidates {
    /// The best `keep` candidates.
    pub fn find(segment: &Segment, plan: &Plan, keep: usize) -> Self {
        let ordinals: Vec<GroupOrdinals> = plan.groups.iter().map(|group| ordinals(segment, group)).collect();
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

fn order(candidate: &Candidate) -> (u16, u16, u16) {
    (u16::MAX - candidate.fit, u16::MAX - candidate.day, candidate.listing)
}

/// A fit that at least `keep` listings reach, or 1: sorting the others would be wasted.
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

/// What every listing shows of the plan's phrases. Where more than `keep` listings show more in their titles
/// and skills than a text alone could, texts alone are not looked at; then the most that they could be worth
/// is returned too.
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

/// Looks at the listings whose titles or skills show something. Many listings show the same, so what a
/// combination of tokens is worth is computed once.
fn match_titles(segment: &Segment, group: &Group, masks: &FieldMasks, first_phrase: u16, best: &mut [Match]) {
    let mut known: FxHashMap<(Masks, u8), Match> = FxHashMap::default();
    let [titles, skills, texts] = masks;
    let names = group.names();
    let core = group.core();
    let shows_some = |at: usize| {
        ((titles[at] & names) | skills[at] != 0) & ((titles[at] | skills[at] | texts[at]) & core != 0)
    };
    for listing in select_indices(segment.len(), shows_some) {
        let masks = [titles[listing], skills[listing], texts[listing]];
        let title_tokens = segment.briefs()[listing].title_tokens;
        let found = known.entry((masks, title_tokens));
        improve(
            &mut best[listing],
            *found.or_insert_with(|| best_phrase(group, masks, title_tokens, first_phrase)),
        );
    }
}

/// Looks at the others.
fn match_texts(group: &Group, masks: &FieldMasks, first_phrase: u16, best: &mut [Match]) {
    let mut known: FxHashMap<(u64, u64), Match> = FxHashMap::default();
    let [titles, skills, texts] = masks;
    let names = group.names();
    let core = group.core();
    let shows_some = |at: usize| ((titles[at] & names) | skills[at] == 0) & (texts[at] & core != 0);
    for listing in select_indices(best.len(), shows_some) {
        let masks = [titles[listing], 0, texts[listing]];
        let found = known.entry((titles[listing], texts[listing]));
        improve(&mut best[listing], *found.or_insert_with(|| best_phrase(group, masks, 0, first_phrase)));
    }
}

/// What is left are titles of the same sector.
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

/// The positions below `count` that satisfy a condition. No branch depends on it: for the processor it is as
/// good as random, and guessing wrong would cost more than all the rest.
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
    if found.fit > best.fit || (found.fit == best.fit && found.shown < best.shown) {
        *best = found;
    }
}

fn ordinals(segment: &Segment, group: &Group) -> GroupOrdinals {
    let ordinals = group
        .tokens
        .iter()
        .map(|token| token.alternatives.iter().filter_map(|&token| segment.ordinal(token)));
    ordinals.map(Iterator::collect).collect()
}

/// The masks of all listings, field by field: one field's fit the processor's cache while they are filled.
type FieldMasks = [Vec<u64>; FIELDS];

fn collect_masks(segment: &Segment, group: &Group, ordinals: &GroupOrdinals) -> FieldMasks {
    std::array::from_fn(|field| {
        let mut masks = vec![0; segment.len()];
        // Joints weigh nothing and matter in titles alone.
        let matters = |bit: usize| field == Field::Title as usize || group.tokens[bit].weight > 0;
        for (bit, ordinals) in ordinals.iter().enumerate().filter(|&(bit, _)| matters(bit)) {
            for &ordinal in ordinals {
                for &listing in segment.postings_at(ordinal)[field] {
                    masks[usize::from(listing)] |= 1 << bit;
                }
            }
        }
        masks
    })
}

/// Where a listing has the tokens of one phrase, each in its best field.
pub fn phrase_masks(segment: &Segment, ordinals: &GroupOrdinals, phrase: &Phrase, listing: u16) -> Masks {
    let mut masks = [0; FIELDS];
    for (bit, ordinals) in ordinals.iter().enumerate().filter(|(bit, _)| phrase.mask >> bit & 1 == 1) {
        let field = ordinals.iter().filter_map(|&ordinal| segment.field_of(ordinal, listing)).min();
        if let Some(field) = field {
            masks[field as usize] |= 1 << bit;
        }
    }
    masks
}
