//! The listings of a segment that show something of a career's name, best first.

use rustc_hash::FxHashMap;

use super::plan::{Group, Phrase, Plan};
use super::score::FULL;
use super::segment::{FIELDS, Field, Segment};

/// Candidates kept per career and segment; a twentieth of the segment, as the best tier alone of a common
/// career is more than half a per cent of all listings.
pub const KEPT: usize = 4_096;

/// Of a phrase's token found in a field, in 1/100.
const FIELD_WORTH: [u32; FIELDS] = [100, 60, 45];

/// Share of the title component that depends on how little else stands in the title.
const PURITY_SHARE: f64 = 0.10;

/// Share of the title component that depends on how much of the phrase the rest of the listing confirms.
const SUPPORT_SHARE: f64 = 0.16;

/// A listing that shows something of the career, with what scoring it further needs: reading these in order
/// is several times faster than looking them up by listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The title component.
    pub title: u16,
    /// The listing's number in its segment.
    pub listing: u16,
    /// Number of the best phrase in the plan.
    pub phrase: u16,
    pub day: u16,
}

/// Candidates of one career in one segment.
#[derive(Debug)]
pub struct Candidates {
    /// By title component, then day, both descending, then listing number.
    pub best: Vec<Candidate>,
    /// The best title component among those that were not kept.
    pub dropped: Option<u16>,
}

impl Candidates {
    /// The best `keep` candidates.
    pub fn find(segment: &Segment, plan: &Plan, keep: usize) -> Self {
        let mut best = score_all(segment, plan);
        let mut dropped = None;
        if best.len() > keep {
            best.select_nth_unstable_by_key(keep, order);
            dropped = Some(best[keep].title);
            best.truncate(keep);
        }
        best.sort_unstable_by_key(order);
        best.shrink_to_fit();
        Self { best, dropped }
    }

    pub fn memory_bytes(&self) -> usize {
        self.best.capacity() * size_of::<Candidate>()
    }
}

fn order(candidate: &Candidate) -> (u16, u16, u16) {
    (u16::MAX - candidate.title, u16::MAX - candidate.day, candidate.listing)
}

/// Which tokens of a group a listing has, one mask per field.
type Masks = [u64; FIELDS];

fn score_all(segment: &Segment, plan: &Plan) -> Vec<Candidate> {
    let mut best: Vec<(u16, u16)> = vec![(0, 0); segment.len()];
    let mut first_phrase = 0;
    for group in &plan.groups {
        let masks = collect_masks(segment, group);
        let mut known: FxHashMap<(Masks, u8), (u16, u16)> = FxHashMap::default();
        for (listing, masks) in masks.iter().enumerate() {
            if *masks == [0; FIELDS] {
                continue;
            }
            let title_tokens = segment.facts()[listing].title_tokens;
            let found = *known
                .entry((*masks, title_tokens))
                .or_insert_with(|| best_phrase(group, *masks, title_tokens, first_phrase));
            if found.0 > best[listing].0 {
                best[listing] = found;
            }
        }
        first_phrase += group.phrases.len() as u16;
    }
    let scored = best.into_iter().enumerate().filter(|(_, (title, _))| *title > 0);
    scored
        .map(|(listing, (title, phrase))| Candidate {
            title,
            listing: listing as u16,
            phrase,
            day: segment.facts()[listing].day,
        })
        .collect()
}

fn collect_masks(segment: &Segment, group: &Group) -> Vec<Masks> {
    let mut masks = vec![[0; FIELDS]; segment.len()];
    for (bit, token) in group.tokens.iter().enumerate() {
        for &spelling in &token.spellings {
            for (field, postings) in segment.postings(spelling).into_iter().enumerate() {
                for &listing in postings {
                    masks[usize::from(listing)][field] |= 1 << bit;
                }
            }
        }
    }
    masks
}

/// The first phrase with the highest title component, and that component.
fn best_phrase(group: &Group, masks: Masks, title_tokens: u8, first_phrase: u16) -> (u16, u16) {
    let mut best = (0, 0);
    for (index, phrase) in group.phrases.iter().enumerate() {
        let title = title_component(group, phrase, masks, title_tokens);
        if title > best.0 {
            best = (title, first_phrase + index as u16);
        }
    }
    best
}

/// `p · coverage^1.5 · (0.88 + 0.12 · purity)`. Multiplication, division and square root are exact by
/// IEEE 754, a library's `powf` is not: that is why the exponent is 1.5.
pub fn title_component(group: &Group, phrase: &Phrase, masks: Masks, title_tokens: u8) -> u16 {
    let [title, skills, text] = split_masks(phrase, masks);
    let found = FIELD_WORTH[0] * group.weight_of(title)
        + FIELD_WORTH[1] * group.weight_of(skills)
        + FIELD_WORTH[2] * group.weight_of(text);
    if found == 0 {
        return 0;
    }
    let whole = f64::from(phrase.weight);
    let coverage = f64::from(found) / (f64::from(FIELD_WORTH[0]) * whole);
    let purity = (f64::from(title.count_ones()) / f64::from(title_tokens.max(1))).min(1.0);
    let elsewhere = (masks[Field::Skills as usize] | masks[Field::Text as usize]) & phrase.mask;
    let support = f64::from(group.weight_of(elsewhere)) / whole;
    let share = coverage
        * coverage.sqrt()
        * (1.0 - PURITY_SHARE - SUPPORT_SHARE + PURITY_SHARE * purity + SUPPORT_SHARE * support);
    let worth = f64::from(phrase.worth) / 100.0;
    (worth * share * f64::from(FULL)).round() as u16
}

/// The tokens of one phrase, each in its best field only.
fn split_masks(phrase: &Phrase, masks: Masks) -> Masks {
    let title = masks[Field::Title as usize] & phrase.mask;
    let skills = masks[Field::Skills as usize] & phrase.mask & !title;
    let text = masks[Field::Text as usize] & phrase.mask & !title & !skills;
    [title, skills, text]
}

/// Where a listing has the tokens of one phrase.
pub fn phrase_masks(segment: &Segment, group: &Group, phrase: &Phrase, listing: u16) -> Masks {
    let mut masks = [0; FIELDS];
    for (bit, token) in group.tokens.iter().enumerate().filter(|(bit, _)| phrase.mask >> bit & 1 == 1) {
        let field = token.spellings.iter().filter_map(|&spelling| segment.field_of(spelling, listing)).min();
        if let Some(field) = field {
            masks[field as usize] |= 1 << bit;
        }
    }
    masks
}
