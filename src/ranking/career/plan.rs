//! A career made ready for searching: its phrases as weighted tokens.

use crate::ranking::text::function::Functions;
use crate::ranking::text::phrase::{PhraseText, PhraseToken, PhraseTokenKind, phrase_text, readings};
use crate::ranking::text::token::Token;
use crate::ranking::vocabulary::{Nearness, Vocabulary};

/// Most tokens of a group: one bit each.
const GROUP_TOKENS: usize = 64;

/// p of the career's own name, in 1/100.
const OWN_NAME: u16 = 100;
/// p of a synonym, in 1/100.
const SYNONYM: u16 = 91;
/// p of the names of a career that differs in the role, in 1/100.
const OTHER_ROLE: u16 = 90;
/// p of the names of other careers that suit, in 1/100.
const NEAR: u16 = 82;
/// p of the names of the careers of a family, in 1/100.
const KIN: u16 = 60;
/// p of the names of a career that is only a part of the name, in 1/100.
const INSIDE: u16 = 75;

/// Factor of the weight of an ending such as `발자` in `개발자`.
const ENDING_WEIGHT: u32 = 3;
/// Factor of the weight of any other token.
const FULL_WEIGHT: u32 = 4;

/// A career as phrases with everything that a listing's fit depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The career's sector, if the vocabulary has the career.
    pub sector: Option<String>,
    /// The phrases, in groups of at most 64 tokens.
    pub groups: Vec<Group>,
}

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
    /// The bits of each word that the career's own name has besides the phrase, which are not in the mask.
    pub modifiers: Vec<u64>,
    /// The sum of the weights of its tokens.
    pub weight: u32,
    /// Its words and the bits of each word's tokens, in order.
    pub words: Vec<(String, Vec<u8>)>,
}

/// A phrase of a career, cut but not yet weighed.
struct CutPhrase {
    text: String,
    worth: u16,
    cut: PhraseText,
}

impl Plan {
    /// Looks up a career's other names, and weighs their tokens with `weigh`, which gets a token's alternatives.
    pub fn new(career: &str, vocabulary: &Vocabulary, mut weigh: impl FnMut(&[Token]) -> u32) -> Self {
        let resolved = vocabulary.resolve(career);
        let entry = resolved.as_ref().map(|resolved| resolved.entry);
        let is_other_career = |reading: &String| {
            let other = vocabulary.resolve(reading);
            other.is_some_and(|other| entry.is_some_and(|entry| entry.sector != other.entry.sector))
        };
        let own = readings(career).into_iter().filter(|reading| !is_other_career(reading));
        let mut texts: Vec<(String, u16)> = own.map(|text| (text, OWN_NAME)).collect();
        let nearness = resolved.as_ref().map_or(Nearness::Same, |resolved| resolved.nearness);
        let worth = match nearness {
            Nearness::Same => SYNONYM,
            Nearness::OtherRole => OTHER_ROLE,
            Nearness::Inside => INSIDE,
        };
        for other in entry.iter().flat_map(|entry| &entry.phrases) {
            texts.extend(readings(other).into_iter().map(|text| (text, worth)));
        }
        let near = entry.iter().flat_map(|entry| &entry.near);
        texts.extend(near.map(|other| (other.clone(), worth.min(NEAR))));
        let kin = entry.iter().flat_map(|entry| &entry.kin);
        texts.extend(kin.map(|other| (other.clone(), worth.min(KIN))));
        let modifiers =
            resolved.as_ref().map(|resolved| phrase_text(&resolved.modifiers)).unwrap_or_default();
        let phrases = cut_phrases(texts);
        let mut plan = Self { sector: entry.map(|entry| entry.sector.clone()), groups: Vec::new() };
        for phrase in &phrases {
            let modifiers = if phrase.worth == INSIDE { modifiers.words.as_slice() } else { &[] };
            plan.add(phrase, &core(phrase, &phrases), modifiers, &mut weigh);
        }
        plan
    }

    /// Adds a phrase to the last group if this has room for the phrase's tokens, or else to a new one.
    fn add(
        &mut self,
        phrase: &CutPhrase,
        core: &[&PhraseToken],
        modifiers: &[(String, Vec<PhraseToken>)],
        weigh: &mut impl FnMut(&[Token]) -> u32,
    ) {
        let words = phrase.cut.words.iter().chain(modifiers);
        let tokens: usize = words.map(|(_, tokens)| tokens.len()).sum();
        let needed = tokens + phrase.cut.joints.len();
        let mut group = match self.groups.pop() {
            Some(last) if last.tokens.len() + needed <= GROUP_TOKENS => last,
            full => {
                self.groups.extend(full);
                Group::new(self.sector.as_deref())
            }
        };
        group.add(phrase, core, weigh);
        group.add_modifiers(modifiers, weigh);
        self.groups.push(group);
    }

    /// The phrase with a number, counted over all groups, and the position of its group.
    pub fn phrase(&self, number: u16) -> Option<(usize, &Phrase)> {
        let groups = self.groups.iter().enumerate();
        groups
            .flat_map(|(at, group)| group.phrases.iter().map(move |phrase| (at, phrase)))
            .nth(usize::from(number))
    }
}

/// Drops phrases without words, of phrases with the same tokens all but the first, and names of other careers that differ
/// from a phrase in the role only: a title that shows them shows that phrase as well.
fn cut_phrases(texts: Vec<(String, u16)>) -> Vec<CutPhrase> {
    let mut phrases: Vec<CutPhrase> = Vec::new();
    for (text, worth) in texts {
        let cut = phrase_text(&text);
        let is_known = |other: &CutPhrase| {
            other.cut == cut || worth < OTHER_ROLE && subject(&other.cut) == subject(&cut)
        };
        if !cut.words.is_empty() && !phrases.iter().any(is_known) {
            phrases.push(CutPhrase { text, worth, cut });
        }
    }
    phrases
}

/// The tokens of a phrase that are also in the career's own name or in a shorter phrase of the career. The other tokens
/// only narrow it down: `스포츠` in `스포츠 기자` is no sign of a `기자`, `운영` in `물류 운영 담당자` none of a `물류 담당자`.
fn core<'p>(phrase: &'p CutPhrase, career: &'p [CutPhrase]) -> Vec<&'p PhraseToken> {
    let own = subject(&phrase.cut);
    let mut core: Vec<&PhraseToken> = Vec::new();
    for other in career {
        let tokens = subject(&other.cut);
        let is_shorter = tokens.len() < own.len() && tokens.iter().all(|token| own.contains(token));
        if other.worth == OWN_NAME || is_shorter {
            core.extend(tokens.into_iter().filter(|token| own.contains(token)));
        }
    }
    if core.is_empty() { own } else { core }
}

/// The tokens that tell the subject of the work; all tokens if a phrase only names a role.
fn subject(cut: &PhraseText) -> Vec<&PhraseToken> {
    let all = || cut.words.iter().flat_map(|(_, tokens)| tokens);
    let subject: Vec<_> = all().filter(|token| token.kind == PhraseTokenKind::Subject).collect();
    if subject.is_empty() { all().collect() } else { subject }
}

impl Phrase {
    /// Whether it is a single token. Outside titles, such a token is more often a homonym than the job.
    pub fn is_lone(&self) -> bool {
        self.mask.is_power_of_two()
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
    fn new(sector: Option<&str>) -> Self {
        let mut group = Self::default();
        if let Some(sector) = sector {
            group.sector = group.mask_of(&[Token::sector(sector)], 1);
            group.any_sector = group.mask_of(&[Token::any_sector()], 1);
            group.sector_word = group.mask_of(&[Token::sector_word(sector)], 1);
        }
        group
    }

    /// Adds a phrase; `core` are those of its tokens that are characteristic of the career.
    fn add(&mut self, phrase: &CutPhrase, core: &[&PhraseToken], weigh: &mut impl FnMut(&[Token]) -> u32) {
        let mut added = Phrase {
            text: phrase.text.clone(),
            worth: phrase.worth,
            functions: phrase.cut.functions,
            role_functions: phrase.cut.role_functions,
            is_function: phrase.cut.is_function,
            is_boilerplate: phrase.cut.is_boilerplate,
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
    fn add_modifiers(
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

    /// The mask of all tokens but those of the sector.
    pub fn names(&self) -> u64 {
        !(self.sector | self.any_sector | self.sector_word)
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
