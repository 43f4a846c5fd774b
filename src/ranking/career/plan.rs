//! A career made ready for searching: its phrases as weighted tokens.

use crate::ranking::text::phrase::{PhraseText, PhraseToken, PhraseTokenKind, phrase_text, readings};
use crate::ranking::text::token::Token;
use crate::ranking::vocabulary::Vocabulary;

/// Tokens per group: one bit each.
const GROUP_TOKENS: usize = 64;

/// What a synonym is worth beside the career's own name, in 1/100.
const SYNONYM: u16 = 88;
const OWN_NAME: u16 = 100;

/// What a token's weight is multiplied by, endings such as `발자` in `개발자` and all others.
const ENDING_WEIGHT: u32 = 3;
const FULL_WEIGHT: u32 = 4;

/// A career with everything that a listing's fit depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The career's sector, where the vocabulary knows it.
    pub sector: Option<String>,
    /// Groups of phrases, with at most 64 tokens each.
    pub groups: Vec<Group>,
}

/// Phrases that share one numbering of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub tokens: Vec<PlanToken>,
    pub phrases: Vec<Phrase>,
    /// The bit of the token that titles of the career's sector have; none where that is unknown.
    pub sector: u64,
    /// The bit of the token of titles whose sector is known.
    pub any_sector: u64,
    /// The bit of the token of titles with a word of the career's sector.
    pub sector_word: u64,
}

/// One token of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanToken {
    /// A listing has the token when it has any of these.
    pub alternatives: Vec<Token>,
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
    /// Those of them that only name a role; see [`PhraseTokenKind`].
    pub role: u64,
    /// Those of them that make it a name of this career: a listing without any of them shows nothing of it.
    pub core: u64,
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
        let own = readings(career);
        let entry = vocabulary.find(career).or_else(|| own.iter().find_map(|text| vocabulary.find(text)));
        let mut texts: Vec<(String, u16)> = own.into_iter().map(|text| (text, OWN_NAME)).collect();
        for other in entry.iter().flat_map(|entry| &entry.phrases) {
            texts.extend(readings(other).into_iter().map(|text| (text, SYNONYM)));
        }
        let mut plan = Self { sector: entry.map(|entry| entry.sector.clone()), groups: Vec::new() };
        let mut phrases: Vec<(String, u16, PhraseText)> = Vec::new();
        for (text, worth) in texts {
            let cut = phrase_text(&text);
            if !cut.words.is_empty() && phrases.iter().all(|(_, _, other)| *other != cut) {
                phrases.push((text, worth, cut));
            }
        }
        for (text, worth, cut) in &phrases {
            let core = core(cut, phrases.iter().map(|(_, worth, other)| (other, *worth == OWN_NAME)));
            plan.add(text.clone(), *worth, cut, &core, &mut weigh);
        }
        plan
    }

    fn add(
        &mut self,
        text: String,
        worth: u16,
        cut: &PhraseText,
        core: &[&PhraseToken],
        weigh: &mut impl FnMut(&[Token]) -> u32,
    ) {
        let tokens: usize = cut.words.iter().map(|(_, tokens)| tokens.len()).sum();
        let needed = tokens + cut.joints.len();
        let last = self.groups.last_mut().filter(|group| group.tokens.len() + needed <= GROUP_TOKENS);
        if last.is_none() {
            let mut group = Group::default();
            if let Some(sector) = &self.sector {
                let mut bit = |token| group.bit(&[token], 1).map_or(0, |bit| 1 << bit);
                let [sector, any_sector, sector_word] =
                    [Token::sector(sector), Token::any_sector(), Token::sector_word(sector)].map(&mut bit);
                group = Group { sector, any_sector, sector_word, ..group };
            }
            self.groups.push(group);
        }
        let Some(group) = self.groups.last_mut() else { return };
        let mut phrase = Phrase { text, worth, ..Phrase::default() };
        for (word, tokens) in &cut.words {
            let mut bits = Vec::with_capacity(tokens.len());
            for token in tokens {
                let share = if token.kind == PhraseTokenKind::Ending { ENDING_WEIGHT } else { FULL_WEIGHT };
                let Some(bit) = group.bit(&token.alternatives, share * weigh(&token.alternatives)) else {
                    continue;
                };
                phrase.mask |= 1 << bit;
                if token.kind != PhraseTokenKind::Subject {
                    phrase.role |= 1 << bit;
                }
                if core.contains(&token) {
                    phrase.core |= 1 << bit;
                }
                bits.push(bit);
            }
            phrase.words.push((word.clone(), bits));
        }
        for joint in &cut.joints {
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

/// The tokens of a phrase that it shares with the career's own name or has from a shorter phrase of the career.
/// The others only narrow it down: `스포츠` of a `스포츠 기자` is no sign of a `기자`, `운영` of a `물류 운영 담당자`
/// none of a `물류 담당자`.
fn core<'p>(
    cut: &'p PhraseText,
    career: impl Iterator<Item = (&'p PhraseText, bool)>,
) -> Vec<&'p PhraseToken> {
    let subject = subject(cut);
    let mut core: Vec<&PhraseToken> = Vec::new();
    for (other, is_own_name) in career {
        let other = self::subject(other);
        let is_shorter = other.len() < subject.len() && other.iter().all(|token| subject.contains(token));
        if is_own_name || is_shorter {
            core.extend(other.into_iter().filter(|token| subject.contains(token)));
        }
    }
    if core.is_empty() { subject } else { core }
}

/// The tokens that say what the work is about; all of them where a phrase only names a role.
fn subject(cut: &PhraseText) -> Vec<&PhraseToken> {
    let all = || cut.words.iter().flat_map(|(_, tokens)| tokens);
    let subject: Vec<_> = all().filter(|token| token.kind == PhraseTokenKind::Subject).collect();
    if subject.is_empty() { all().collect() } else { subject }
}

impl Phrase {
    /// Whether it is a single token, which outside a title is another word's homonym more often than not.
    pub fn is_lone(&self) -> bool {
        self.mask.is_power_of_two()
    }

    /// Whether it is the career's own name.
    pub fn is_own_name(&self) -> bool {
        self.worth == OWN_NAME
    }
}

impl Group {
    /// The bit of a token; `None` only for a phrase of more than 64 tokens, whose rest is ignored.
    fn bit(&mut self, alternatives: &[Token], weight: u32) -> Option<u8> {
        let is_known = |known: &PlanToken| known.alternatives == alternatives && known.weight == weight;
        if let Some(at) = self.tokens.iter().position(is_known) {
            return Some(at as u8);
        }
        if self.tokens.len() == GROUP_TOKENS {
            return None;
        }
        self.tokens.push(PlanToken { alternatives: alternatives.to_vec(), weight });
        Some(self.tokens.len() as u8 - 1)
    }

    /// The tokens of names; the others only tell the sector.
    pub fn names(&self) -> u64 {
        !(self.sector | self.any_sector | self.sector_word)
    }

    /// The tokens of which a listing must have one to show anything of any phrase.
    pub fn core(&self) -> u64 {
        self.phrases.iter().fold(0, |core, phrase| core | phrase.core)
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
