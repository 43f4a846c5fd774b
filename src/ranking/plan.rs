//! A career made ready for searching: its phrases as weighted tokens.

use super::phrase::{PhrasePart, PhraseText, phrase_text, spellings};
use super::text::Token;
use super::vocabulary::Vocabulary;

/// Tokens per group: one bit each.
const GROUP_TOKENS: usize = 64;

/// What a synonym is worth beside the career's own name, in 1/100.
const SYNONYM: u16 = 85;
const OWN_NAME: u16 = 100;

/// What a token's weight is multiplied by, endings such as `발자` in `개발자` and all others.
const ENDING_WEIGHT: u32 = 3;
const FULL_WEIGHT: u32 = 4;

/// A career with everything that its title component depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The career's field of work, where the vocabulary knows it.
    pub field: Option<String>,
    /// Groups of phrases, with at most 64 tokens each.
    pub groups: Vec<Group>,
}

/// Phrases that share one numbering of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub tokens: Vec<PlanToken>,
    pub phrases: Vec<Phrase>,
}

/// One token of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanToken {
    /// A listing has the token when it has any of these.
    pub spellings: Vec<Token>,
    /// How much it says, see [`super::rarity`].
    pub weight: u32,
}

/// A phrase of a career.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrase {
    pub text: String,
    /// p in 1/100.
    pub worth: u16,
    /// The bits of its tokens.
    pub mask: u64,
    /// Those of them that only name a role; see [`PhrasePart`].
    pub role: u64,
    /// The bits of its joints, which are no part of the mask.
    pub joints: u64,
    /// The weights of its tokens together.
    pub weight: u32,
    /// Its words and the bits of each word's tokens, in order.
    pub words: Vec<(String, Vec<u8>)>,
}

impl Plan {
    /// Looks a career up and weighs its tokens with `weigh`.
    pub fn new(career: &str, vocabulary: &Vocabulary, mut weigh: impl FnMut(&[Token]) -> u32) -> Self {
        let own = spellings(career);
        let entry = vocabulary.find(career).or_else(|| own.iter().find_map(|text| vocabulary.find(text)));
        let mut texts: Vec<(String, u16)> = own.into_iter().map(|text| (text, OWN_NAME)).collect();
        for other in entry.iter().flat_map(|entry| &entry.phrases) {
            texts.extend(spellings(other).into_iter().map(|text| (text, SYNONYM)));
        }
        let mut plan = Self { field: entry.map(|entry| entry.field.clone()), groups: vec![Group::default()] };
        let mut seen: Vec<PhraseText> = Vec::new();
        for (text, worth) in texts {
            let parts = phrase_text(&text);
            if !parts.words.is_empty() && !seen.contains(&parts) {
                plan.add(text, worth, &parts, &mut weigh);
                seen.push(parts);
            }
        }
        plan
    }

    fn add(&mut self, text: String, worth: u16, parts: &PhraseText, weigh: &mut impl FnMut(&[Token]) -> u32) {
        let tokens: usize = parts.words.iter().map(|(_, tokens)| tokens.len()).sum();
        let needed = tokens + parts.joints.len();
        let last = self.groups.last_mut().filter(|group| group.tokens.len() + needed <= GROUP_TOKENS);
        if last.is_none() {
            self.groups.push(Group::default());
        }
        let Some(group) = self.groups.last_mut() else { return };
        let mut phrase = Phrase { text, worth, ..Phrase::default() };
        for (word, tokens) in &parts.words {
            let mut bits = Vec::with_capacity(tokens.len());
            for token in tokens {
                let share = if token.part == PhrasePart::Ending { ENDING_WEIGHT } else { FULL_WEIGHT };
                let Some(bit) = group.bit(&token.spellings, share * weigh(&token.spellings)) else {
                    continue;
                };
                phrase.mask |= 1 << bit;
                if token.part != PhrasePart::Subject {
                    phrase.role |= 1 << bit;
                }
                bits.push(bit);
            }
            phrase.words.push((word.clone(), bits));
        }
        for joint in &parts.joints {
            phrase.joints |= group.bit(joint, 0).map_or(0, |bit| 1 << bit);
        }
        phrase.weight = group.weight_of(phrase.mask);
        group.phrases.push(phrase);
    }

    /// The phrase with a number as counted over all groups, and its group's number.
    pub fn phrase(&self, number: u16) -> Option<(usize, &Phrase)> {
        let groups = self.groups.iter().enumerate();
        groups
            .flat_map(|(at, group)| group.phrases.iter().map(move |phrase| (at, phrase)))
            .nth(usize::from(number))
    }
}

impl Phrase {
    /// Whether it is the career's own name.
    pub fn is_own_name(&self) -> bool {
        self.worth == OWN_NAME
    }
}

impl Group {
    /// The bit of a token; `None` only for a phrase of more than 64 tokens, whose rest is ignored.
    fn bit(&mut self, spellings: &[Token], weight: u32) -> Option<u8> {
        let is_known = |known: &PlanToken| known.spellings == spellings && known.weight == weight;
        if let Some(at) = self.tokens.iter().position(is_known) {
            return Some(at as u8);
        }
        if self.tokens.len() == GROUP_TOKENS {
            return None;
        }
        self.tokens.push(PlanToken { spellings: spellings.to_vec(), weight });
        Some(self.tokens.len() as u8 - 1)
    }

    /// The weights of the tokens in `mask` together.
    pub fn weight_of(&self, mut mask: u64) -> u32 {
        let mut sum = 0;
        while mask != 0 {
            sum += self.tokens[mask.trailing_zeros() as usize].weight;
            mask &= mask - 1;
        }
        sum
    }
}
