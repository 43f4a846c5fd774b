//! The part of a career's phrase that a listing's title shows.

use crate::ranking::career::candidates::{Candidate, Candidates, GroupOrdinals};
use crate::ranking::career::fit::{Extent, Shown};
use crate::ranking::career::group::Phrase;
use crate::ranking::career::plan::Plan;
use crate::ranking::index::inverted_index::{Field, InvertedIndex};
use crate::ranking::search::query::SegmentQuery;

/// The part of a phrase that a title shows.
pub struct Evidence<'p> {
    /// The phrase.
    pub phrase: &'p Phrase,
    /// Whether the title shows the whole phrase.
    pub whole: bool,
    /// The phrase's words that the title shows, in the phrase's order.
    pub words: Vec<String>,
}

impl<'p> Evidence<'p> {
    /// The evidence for a candidate; `None` if the listing shows no phrase of the career.
    pub fn find(
        plan: &'p Plan,
        candidates: &Candidates,
        segment: &SegmentQuery<'_>,
        candidate: &Candidate,
    ) -> Option<Self> {
        let Shown::Phrase { number, extent } = candidate.shown else { return None };
        let whole = extent == Extent::Whole;
        let (group, phrase) = plan.phrase(number)?;
        let mask = if whole {
            phrase.mask
        } else {
            let index = segment.live.segment.index();
            title_mask(index, &candidates.ordinals[group], phrase, candidate.listing)
        };
        Some(Self { phrase, whole, words: found_words(phrase, mask) })
    }
}

/// The tokens of a phrase that a listing has in its title.
fn title_mask(index: &InvertedIndex, ordinals: &GroupOrdinals, phrase: &Phrase, listing: u16) -> u64 {
    let of_phrase = ordinals.iter().enumerate().filter(|(bit, _)| phrase.mask >> bit & 1 == 1);
    let in_title = of_phrase.filter(|(_, ordinals)| {
        ordinals.iter().any(|&ordinal| index.field_of(ordinal, listing) == Some(Field::Title))
    });
    in_title.fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// The phrase's words whose tokens are all in `mask`, or all but the ending that makes a person of an activity (`회계` of
/// `회계사`). Other parts of words are no evidence to show.
fn found_words(phrase: &Phrase, mask: u64) -> Vec<String> {
    let mut found = Vec::new();
    for (word, bits) in &phrase.words {
        let missing: Vec<usize> = (0..bits.len()).filter(|&at| mask >> bits[at] & 1 == 0).collect();
        match missing.as_slice() {
            _ if bits.is_empty() => {}
            [] => found.push(word.clone()),
            [last] if *last > 0 && last + 1 == bits.len() => {
                found.push(word.chars().take(last + 1).collect())
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_named() {
        let words = vec![("데이터".to_owned(), vec![0, 1]), ("analyst".to_owned(), vec![2])];
        let phrase = Phrase { mask: 0b111, words, ..Phrase::default() };
        assert_eq!(found_words(&phrase, 0b111), ["데이터", "analyst"]);
        assert_eq!(found_words(&phrase, 0b110), ["analyst"]);
        assert_eq!(found_words(&phrase, 0b001), ["데이"], "as 회계 of 회계사");
        assert_eq!(found_words(&phrase, 0b010), Vec::<String>::new());
    }
}
