//! A career made ready for searching: its phrases as weighted tokens.

use super::phrase::{PhraseText, PhraseToken, phrase_parts, spellings};
use super::text::Token;
use super::vocabulary::Vocabulary;

/// Tokens per group: one bit each.
const GROUP_TOKENS: usize = 64;

/// What a synonym is worth beside the career's own name, in 1/100.
const SYNONYM: u16 = 90;
const OWN_NAME: u16 = 100;

/// What a token's weight is multiplied by, endings such as `발자` in `개발자` and all others.
const ENDING_WEIGHT: u32 = 2;
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
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    pub text: String,
    /// p in 1/100.
    pub worth: u16,
    /// The bits of its tokens.
    pub mask: u64,
    /// Their weights together.
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
            let parts = phrase_parts(&text);
            if !parts.is_empty() && !seen.contains(&parts) {
                plan.add(text, worth, &parts, &mut weigh);
                seen.push(parts);
            }
        }
        plan
    }

    fn add(&mut self, text: String, worth: u16, parts: &PhraseText, weigh: &mut impl FnMut(&[Token]) -> u32) {
        let needed: usize = parts.iter().map(|(_, tokens)| tokens.len()).sum();
        let last = self.groups.last_mut().filter(|group| group.tokens.len() + needed <= GROUP_TOKENS);
        if last.is_none() {
            self.groups.push(Group::default());
        }
        let Some(group) = self.groups.last_mut() else { return };
        let mut phrase = Phrase { text, worth, mask: 0, weight: 0, words: Vec::new() };
        for (word, tokens) in parts {
            let bits = tokens.iter().filter_map(|token| group.bit(token, weigh)).collect::<Vec<_>>();
            phrase.mask |= bits.iter().fold(0, |mask, bit| mask | 1 << bit);
            phrase.words.push((word.clone(), bits));
        }
        phrase.weight = group.weight_of(phrase.mask);
        group.phrases.push(phrase);
    }

    /// The phrase with a number as counted over all groups, and its group.
    pub fn phrase(&self, number: u16) -> Option<(&Group, &Phrase)> {
        let mut number = usize::from(number);
        for group in &self.groups {
            match group.phrases.get(number) {
                Some(phrase) => return Some((group, phrase)),
                None => number -= group.phrases.len(),
            }
        }
        None
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
    fn bit(&mut self, token: &PhraseToken, weigh: &mut impl FnMut(&[Token]) -> u32) -> Option<u8> {
        let share = if token.is_ending { ENDING_WEIGHT } else { FULL_WEIGHT };
        let weight = weigh(&token.spellings) * share;
        let known = self.tokens.iter().position(|known| known.spellings == token.spellings && known.weight == weight);
        if let Some(at) = known {
            return Some(at as u8);
        }
        if self.tokens.len() == GROUP_TOKENS {
            return None;
        }
        self.tokens.push(PlanToken { spellings: token.spellings.clone(), weight });
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
