//! The phrases of a career as bits of a mask, which a listing's tokens are compared with.

use super::plan::{CutPhrase, OTHER_ROLE, OWN_NAME};
use crate::ranking::text::function::Functions;
use crate::ranking::text::phrase::{PhraseToken, PhraseTokenKind};
use crate::ranking::text::token::Token;

/// Most tokens of a group: one bit each.
pub const GROUP_TOKENS: usize = 64;

/// Most tokens of a phrase that tell in which sense a listing uses its words.
pub const SENSE_TOKENS: usize = 2;

/// Factor of the weight of an ending such as `발자` in `개발자`.
const ENDING_WEIGHT: u32 = 3;
/// Factor of the weight of any other token.
const FULL_WEIGHT: u32 = 4;

/// Phrases that share one numbering of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The tokens; a token's position is its bit in all masks.
    pub tokens: Vec<PlanToken>,
    /// The phrases.
    pub phrases: Vec<Phrase>,
    /// The bit of [`Token::sector`] for the career's sector; no bit if the sector is unknown.
    pub sector: u64,
    /// The bit of [`Token::any_sector`]; no bit if the career's sector is unknown.
    pub any_sector: u64,
    /// The bit of [`Token::sector_word`] for the career's sector; no bit if the sector is unknown.
    pub sector_word: u64,
    /// The bits of the words that tell senses.
    senses: u64,
}

/// A token of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanToken {
    /// A listing has the token if it has any of these.
    pub alternatives: Vec<Token>,
    /// How much it says; see [`rarity`](super::rarity).
    pub weight: u32,
}

/// A phrase of a career.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrase {
    /// As the vocabulary or the profile spells it.
    pub text: String,
    /// p, the share of the fit that the whole phrase is worth, in 1/100.
    pub worth: u16,
    /// The bits of its tokens.
    pub mask: u64,
    /// The bits of those tokens that are no subject; see [`PhraseTokenKind`].
    pub role: u64,
    /// The bits of those tokens that are characteristic of the career: a listing without any of them shows nothing of it.
    pub core: u64,
    /// The bits of its joints, which are not in the mask.
    pub joints: u64,
    /// The bits of the joints between words that tell the subject.
    pub subject_joints: u64,
    /// The functions that its words name.
    pub functions: Functions,
    /// The functions that its roles name; none if these exist in any function.
    pub role_functions: Functions,
    /// The bits of each word that tells the subject; of each word, if the phrase only names a role.
    pub subject_words: Vec<u64>,
    /// Whether its subject is the name of a function and nothing else (`상담 전문가`).
    pub is_function: bool,
    /// Whether its subject could stand in any title (`채용 담당자`).
    pub is_boilerplate: bool,
    /// Whether a word of its subject could (`채용 브랜딩 담당자`).
    pub has_boilerplate: bool,
    /// Whether it names a profession that needs a licence or a degree (`회계사`).
    pub is_profession: bool,
    /// The bits of each word that the career's own name has besides the phrase, which are not in the mask.
    pub modifiers: Vec<u64>,
    /// The bit of the words by which a listing means the career, if the phrase has a homonym; see [`Self::is_other_sense`].
    pub own_sense: u64,
    /// The bit of the words by which a listing may mean something else.
    pub other_sense: u64,
    /// The sum of the weights of its tokens.
    pub weight: u32,
    /// Its words and the bits of each word's tokens, in order.
    pub words: Vec<(String, Vec<u8>)>,
}

impl Phrase {
    /// Whether it is a single token. Outside titles, such a token is more often a homonym than the job.
    pub fn is_lone(&self) -> bool {
        self.mask.is_power_of_two()
    }

    /// The bits of the tokens that tell the subject; all bits if it only names a role.
    pub fn subject(&self) -> u64 {
        if self.mask == self.role { self.mask } else { self.mask & !self.role }
    }

    /// Whether a listing with these tokens in its title, and these anywhere, uses a word of the phrase in another sense.
    pub fn is_other_sense(&self, in_title: u64, anywhere: u64) -> bool {
        let means_other = |mask: u64| mask & self.other_sense != 0 && mask & self.own_sense == 0;
        means_other(in_title) || means_other(anywhere)
    }

    /// Whether it is nothing but initials that name no function (`RN`).
    pub fn is_initials(&self) -> bool {
        const LONGEST: usize = 3;
        let is_short = self.text.len() <= LONGEST && self.text.bytes().all(|b| b.is_ascii_uppercase());
        is_short && self.functions.is_empty()
    }

    /// Whether it is a name of another career, which is only close to the user's.
    pub fn is_of_other_career(&self) -> bool {
        self.worth < OTHER_ROLE
    }

    /// Whether it is the career's own name.
    pub fn is_own_name(&self) -> bool {
        self.worth == OWN_NAME
    }
}

impl Group {
    /// A group without phrases, with the tokens of the career's sector.
    pub fn new(sector: Option<&str>) -> Self {
        let mut group = Self::default();
        if let Some(sector) = sector {
            group.sector = group.mask_of(&[Token::sector(sector)], 1);
            group.any_sector = group.mask_of(&[Token::any_sector()], 1);
            group.sector_word = group.mask_of(&[Token::sector_word(sector)], 1);
        }
        group
    }

    /// Adds a phrase; `core` are those of its tokens that are characteristic of the career.
    pub fn add(
        &mut self,
        phrase: &CutPhrase,
        core: &[&PhraseToken],
        weigh: &mut impl FnMut(&[Token]) -> u32,
    ) {
        let mut added = Phrase {
            text: phrase.text.clone(),
            worth: phrase.worth,
            functions: phrase.cut.functions,
            role_functions: phrase.cut.role_functions,
            is_function: phrase.cut.is_function,
            is_boilerplate: phrase.cut.is_boilerplate,
            has_boilerplate: phrase.cut.has_boilerplate,
            is_profession: phrase.cut.is_profession,
            ..Phrase::default()
        };
        for (word, tokens) in &phrase.cut.words {
            let mut bits = Vec::with_capacity(tokens.len());
            for token in tokens {
                let is_ending = token.kind == PhraseTokenKind::Ending;
                let factor = if is_ending { ENDING_WEIGHT } else { FULL_WEIGHT };
                let Some(bit) = self.bit(&token.alternatives, factor * weigh(&token.alternatives)) else {
                    continue;
                };
                added.mask |= 1 << bit;
                if token.kind != PhraseTokenKind::Subject {
                    added.role |= 1 << bit;
                }
                if core.contains(&token) {
                    added.core |= 1 << bit;
                }
                bits.push(bit);
            }
            added.words.push((word.clone(), bits));
        }
        for joint in &phrase.cut.joints {
            let bit = self.mask_of(&joint.alternatives, 0);
            added.joints |= bit;
            added.subject_joints |= if joint.in_subject { bit } else { 0 };
        }
        let words = added.words.iter().map(|(_, bits)| bits.iter().fold(0, |mask, bit| mask | 1 << bit));
        let words: Vec<u64> = words.filter(|&word| word != 0).collect();
        let subjects = words.iter().copied().filter(|word| word & !added.role != 0).collect::<Vec<_>>();
        added.subject_words = if subjects.is_empty() { words } else { subjects };
        added.weight = self.weight_of(added.mask);
        self.phrases.push(added);
    }

    /// Adds the words that the last phrase lacks compared with the career's own name.
    pub fn add_modifiers(
        &mut self,
        words: &[(String, Vec<PhraseToken>)],
        weigh: &mut impl FnMut(&[Token]) -> u32,
    ) {
        let mut masks = Vec::with_capacity(words.len());
        for (_, tokens) in words {
            let weighed =
                tokens.iter().map(|token| self.mask_of(&token.alternatives, weigh(&token.alternatives)));
            masks.push(weighed.fold(0, |mask, bit| mask | bit));
        }
        if let Some(phrase) = self.phrases.last_mut() {
            phrase.modifiers = masks;
        }
    }

    /// Adds the words that tell in which sense a listing uses the words of the last phrase.
    pub fn add_senses(&mut self, own: &[Token], other: &[Token]) {
        // Without a weight, a token would count in titles only.
        let (own, other) = (self.mask_of(own, 1), self.mask_of(other, 1));
        self.senses |= own | other;
        if let Some(phrase) = self.phrases.last_mut() {
            (phrase.own_sense, phrase.other_sense) = (own, other);
        }
    }

    /// The bit of a token, as a mask.
    fn mask_of(&mut self, alternatives: &[Token], weight: u32) -> u64 {
        self.bit(alternatives, weight).map_or(0, |bit| 1 << bit)
    }

    /// The bit of a token, added if it is new; `None` only in a phrase of more than 64 tokens, whose other tokens are
    /// ignored.
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

    /// The mask of all tokens but those that tell the sector or a sense.
    pub fn names(&self) -> u64 {
        !(self.sector | self.any_sector | self.sector_word | self.senses)
    }

    /// The mask of the tokens of which a title must have one to show a whole word of any phrase's subject.
    pub fn subject_words(&self) -> u64 {
        self.phrases.iter().flat_map(|phrase| &phrase.subject_words).fold(0, |words, word| words | word)
    }

    /// The mask of the tokens of which a listing must have one to show anything of any phrase.
    pub fn core(&self) -> u64 {
        self.phrases.iter().fold(0, |core, phrase| core | phrase.core)
    }

    /// The sum of the weights of the tokens in `mask`.
    pub fn weight_of(&self, mut mask: u64) -> u32 {
        let mut sum = 0;
        while mask != 0 {
            sum += self.tokens[mask.trailing_zeros() as usize].weight;
            mask &= mask - 1;
        }
        sum
    }
}
