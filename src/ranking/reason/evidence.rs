//! The part of a career's phrase that a listing shows, and the field that shows it.

use crate::ranking::career::candidates::{Candidate, Candidates, GroupOrdinals};
use crate::ranking::career::fit::{Masks, Shown};
use crate::ranking::career::plan::{Phrase, Plan};
use crate::ranking::index::inverted_index::{FIELDS, Field, InvertedIndex};
use crate::ranking::search::query::SegmentQuery;

/// The part of a phrase that a listing shows.
pub struct Evidence<'p> {
    /// The phrase.
    pub phrase: &'p Phrase,
    /// The best field that shows any of it.
    pub field: Field,
    /// Whether the title alone shows the whole phrase.
    pub whole_in_title: bool,
    /// The phrase's words that this field shows, in the phrase's order.
    pub words: Vec<String>,
}

impl<'p> Evidence<'p> {
    /// The evidence for a candidate; `None` if the listing shows no phrase of the career but only its sector.
    pub fn find(
        plan: &'p Plan,
        candidates: &Candidates,
        segment: &SegmentQuery<'_>,
        candidate: &Candidate,
    ) -> Option<Self> {
        let Shown::Phrase { number, whole } = candidate.shown else { return None };
        let (group, phrase) = plan.phrase(number)?;
        if whole {
            let words = found_words(phrase, phrase.mask);
            return Some(Self { phrase, field: Field::Title, whole_in_title: true, words });
        }
        let index = segment.live.segment.index();
        let masks = phrase_masks(index, &candidates.ordinals[group], phrase, candidate.listing);
        let [title, skills, text] = masks;
        let (field, shown) = if title != 0 {
            (Field::Title, title)
        } else if skills != 0 {
            (Field::Skills, skills)
        } else {
            (Field::Text, text)
        };
        let words = found_words(phrase, shown);
        Some(Self { phrase, field, whole_in_title: title == phrase.mask, words })
    }
}

/// The tokens of a phrase that a listing has, each in its best field only.
fn phrase_masks(index: &InvertedIndex, ordinals: &GroupOrdinals, phrase: &Phrase, listing: u16) -> Masks {
    let mut masks = [0; FIELDS];
    for (bit, ordinals) in ordinals.iter().enumerate().filter(|(bit, _)| phrase.mask >> bit & 1 == 1) {
        let field = ordinals.iter().filter_map(|&ordinal| index.field_of(ordinal, listing)).min();
        if let Some(field) = field {
            masks[field as usize] |= 1 << bit;
        }
    }
    masks
}

/// The phrase's words whose tokens are in `mask`; of other words the unbroken pieces that are.
fn found_words(phrase: &Phrase, mask: u64) -> Vec<String> {
    let mut found = Vec::new();
    for (word, bits) in &phrase.words {
        // Most listings show whole words.
        if !bits.is_empty() && bits.iter().all(|bit| mask >> bit & 1 == 1) {
            found.push(word.clone());
            continue;
        }
        let syllables: Vec<char> = word.chars().collect();
        let mut piece = String::new();
        for (at, bit) in bits.iter().enumerate() {
            if mask >> bit & 1 == 0 {
                found.extend((!piece.is_empty()).then(|| std::mem::take(&mut piece)));
            } else {
                let from = if piece.is_empty() { at } else { at + 1 };
                piece.extend(&syllables[from..at + 2]);
            }
        }
        found.extend((!piece.is_empty()).then_some(piece));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_named_to_the_extent_that_they_were_found() {
        let words = vec![("데이터".to_owned(), vec![0, 1]), ("analyst".to_owned(), vec![2])];
        let phrase = Phrase { mask: 0b111, words, ..Phrase::default() };
        assert_eq!(found_words(&phrase, 0b111), ["데이터", "analyst"]);
        assert_eq!(found_words(&phrase, 0b101), ["데이", "analyst"]);
        assert_eq!(found_words(&phrase, 0b010), ["이터"]);
    }
}
