//! A career made ready for searching: its phrases as weighted tokens.

use std::sync::Arc;

use super::group::{GROUP_TOKENS, Group, Phrase, SENSE_TOKENS};
use crate::ranking::text::phrase::{PhraseText, PhraseToken, PhraseTokenKind, phrase_text, readings};
use crate::ranking::text::token::Token;
use crate::ranking::vocabulary::{Nearness, Vocabulary};

/// p of the career's own name, in 1/100.
pub const OWN_NAME: u16 = 100;
/// p of a synonym, in 1/100.
const SYNONYM: u16 = 91;
/// p of the names of a career that differs in the role, in 1/100.
pub const OTHER_ROLE: u16 = 90;
/// p of a synonym that has other meanings as well, in 1/100.
const BROAD: u16 = 67;
/// p of the names of other careers that suit, in 1/100.
const NEAR: u16 = 82;
/// p of the names of the careers of a family, in 1/100.
const KIN: u16 = 67;
/// p of the names of a career that is only a part of the name, in 1/100.
const INSIDE: u16 = 75;

/// A career as phrases with everything that a listing's fit depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The career's sector, if the vocabulary has the career.
    pub sector: Option<Arc<str>>,
    /// The phrases, in groups of at most 64 tokens.
    pub groups: Vec<Group>,
}

/// A phrase of a career, cut but not yet weighed.
pub struct CutPhrase {
    /// As the vocabulary or the profile spells it.
    pub text: String,
    /// p, in 1/100.
    pub worth: u16,
    /// Its words and tokens.
    pub cut: PhraseText,
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
        let names = entry.iter().flat_map(|entry| entry.phrases.iter().map(|name| (name, &entry.broad)));
        for (name, broad) in names {
            let worth =
                if broad.iter().any(|broad| broad == name.as_str()) { worth.min(BROAD) } else { worth };
            texts.extend(readings(name).into_iter().map(|text| (text, worth)));
        }
        let near = entry.iter().flat_map(|entry| &entry.near);
        texts.extend(near.map(|other| (other.clone(), worth.min(NEAR))));
        let kin = entry.iter().flat_map(|entry| &entry.kin);
        texts.extend(kin.map(|other| (other.to_string(), worth.min(KIN))));
        let modifiers =
            resolved.as_ref().map(|resolved| phrase_text(&resolved.modifiers)).unwrap_or_default();
        let phrases = cut_phrases(texts);
        let mut plan = Self { sector: entry.map(|entry| entry.sector.clone()), groups: Vec::new() };
        for phrase in &phrases {
            let modifiers = if phrase.worth == INSIDE { modifiers.words.as_slice() } else { &[] };
            plan.add(phrase, &core(phrase, &phrases), modifiers, &mut weigh);
            let words = phrase.cut.words.iter().map(|(word, _)| word.as_str());
            let homonym = entry.and_then(|entry| vocabulary.homonym(&entry.sector, words));
            if let (Some(homonym), Some(group)) = (homonym, plan.groups.last_mut()) {
                group.add_senses(&homonym.own, &homonym.other);
            }
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
        let needed = tokens + phrase.cut.joints.len() + SENSE_TOKENS;
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
