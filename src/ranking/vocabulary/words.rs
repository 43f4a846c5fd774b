//! The names that share most of their words with another name, whatever the words' order.

use rustc_hash::{FxHashMap, FxHashSet};

use super::CareerEntry;
use super::common_words::{is_wide, tells_work};
use crate::ranking::text::Lexeme;
use crate::ranking::text::function::Functions;
use crate::ranking::text::hangul::is_hangul;
use crate::ranking::text::phrase::{phrase_text, subject_words};

/// Which names have which words.
#[derive(Debug)]
pub(super) struct WordIndex {
    /// Word → the names that have it, each as the positions of its career and of the name in it.
    names: FxHashMap<String, Vec<(u32, u16)>>,
    /// Words of which compounds are made.
    parts: FxHashSet<String>,
    /// Names in all.
    count: usize,
}

/// Least share of the words' weight that two names have in common, in 1/100.
const LEAST_SHARE: u32 = 52;

/// The same for names of different functions.
const LEAST_SHARE_OF_OTHERS: u32 = 65;

/// A word of more names than one in so many says too little to be the only common one.
const COMMON: usize = 150;

impl WordIndex {
    /// Indexes the names of careers.
    pub fn new(careers: &[CareerEntry]) -> Self {
        let mut words = Vec::new();
        for (career, entry) in careers.iter().enumerate() {
            for (at, phrase) in entry.phrases.iter().enumerate() {
                if let (Ok(career), Ok(at)) = (u32::try_from(career), u16::try_from(at)) {
                    words.push(((career, at), subject_words(phrase).collect::<Vec<_>>()));
                }
            }
        }
        let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
        for word in words.iter().flat_map(|(_, words)| words).filter(|word| is_part(word)) {
            *seen.entry(word).or_default() += 1;
        }
        let parts =
            seen.into_iter().filter(|(_, times)| *times > 1).map(|(word, _)| word.to_owned()).collect();
        let mut index = Self { names: FxHashMap::default(), parts, count: words.len() };
        for (name, words) in words {
            let pieces: Vec<String> = words.iter().flat_map(|word| index.pieces(word)).collect();
            for piece in pieces {
                index.names.entry(piece).or_default().push(name);
            }
        }
        index
    }

    /// The position of the career with the name that has most in common with `name`: a rare word at least, more than half of the
    /// words' weight, and no other function.
    pub fn closest(&self, name: &str, careers: &[CareerEntry]) -> Option<usize> {
        let words = self.words(name);
        // A single word is no part of a subject; the other rules know it.
        subject_words(name).nth(1)?;
        let first = words.first()?;
        let functions = phrase_text(name).role_functions;
        let rare = words.iter().filter_map(|word| self.names.get(word));
        let mut candidates: Vec<_> =
            rare.filter(|names| names.len() * COMMON <= self.count).flatten().collect();
        candidates.sort_unstable();
        candidates.dedup();
        let shares = candidates.into_iter().filter_map(|&(career, at)| {
            let phrase = &careers[career as usize].phrases[usize::from(at)];
            let other = phrase_text(phrase).role_functions;
            let others = self.words(phrase);
            let is_near = are_related(functions, other);
            let lacks_work = words.iter().any(|word| tells_work(word) && !others.contains(word));
            let is_about_the_same = others.contains(first) || others.iter().all(|word| words.contains(word));
            let share = self.share(&words, &others);
            let least = if functions == other { LEAST_SHARE } else { LEAST_SHARE_OF_OTHERS };
            let is_close = is_near && !lacks_work && !is_wide(phrase) && is_about_the_same && share >= least;
            is_close.then_some((share, functions == other, at == 0, career))
        });
        // Of several that are as close, the first.
        let best = shares
            .max_by_key(|&(share, is_same, is_own, career)| (share, is_same, is_own, u32::MAX - career))?;
        usize::try_from(best.3).ok()
    }

    /// The share of the weight of two names' words that both have, in 1/100.
    fn share(&self, name: &[String], other: &[String]) -> u32 {
        let weigh = |words: &[String]| words.iter().map(|word| self.weight(word)).sum::<u32>();
        let common: Vec<String> = name.iter().filter(|word| other.contains(word)).cloned().collect();
        200 * weigh(&common) / (weigh(name) + weigh(other)).max(1)
    }

    /// The rarer, the heavier.
    fn weight(&self, word: &str) -> u32 {
        let names = self.names.get(word).map_or(1, Vec::len);
        (self.count / names).max(1).ilog2()
    }

    /// The words of a name's subject, compounds of known words in pieces.
    fn words(&self, name: &str) -> Vec<String> {
        subject_words(name).flat_map(|word| self.pieces(&word)).collect()
    }

    fn pieces(&self, mut word: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        // The longest beginning each time.
        while let Some((first, rest)) = self.split(word) {
            pieces.push(first.to_owned());
            word = rest;
        }
        pieces.push(word.to_owned());
        pieces
    }

    fn split<'w>(&self, word: &'w str) -> Option<(&'w str, &'w str)> {
        let halves: Vec<_> = beginnings(word).map(|at| word.split_at(at)).collect();
        let is_split = |(first, rest): &(&str, &str)| self.parts.contains(*first) && self.is_of_parts(rest);
        halves.into_iter().rev().find(is_split)
    }

    /// Whether a word is a part, or several one after the other. The time grows with the length, not with the number of ways to
    /// divide it: a name may be of any length.
    fn is_of_parts(&self, word: &str) -> bool {
        let mut is_end = vec![false; word.len() + 1];
        is_end[0] = true;
        for (start, _) in word.char_indices() {
            if !is_end[start] {
                continue;
            }
            let rest = &word[start..];
            for end in beginnings(rest).chain([rest.len()]) {
                is_end[start + end] |= self.parts.contains(&rest[..end]);
            }
        }
        is_end[word.len()]
    }
}

/// Where the beginnings of a word end that may be a part, the shortest first.
fn beginnings(word: &str) -> impl Iterator<Item = usize> {
    word.char_indices().map(|(at, _)| at).skip(1).take(LONGEST_PART)
}

/// Whether the same people often have both functions for one subject. Those who teach or sell it are others, and research is no
/// management.
fn are_related(one: Functions, other: Functions) -> bool {
    let of = |words: &[&str]| {
        let functions = words.iter().map(|word| Functions::of_word(Lexeme::Hangul(word)));
        functions.fold(Functions::default(), Functions::union)
    };
    let (research, technical) = (of(&["연구"]), of(&["개발", "엔지니어", "분석"]));
    let usual = technical.union(of(&["설계", "기획", "컨설턴트"]));
    let is_technical =
        |functions: Functions| functions.meets(technical) && functions.without(technical).is_empty();
    one.meets(other)
        || one.without(usual).is_empty() && other.without(usual).is_empty()
        || one.meets(research) && is_technical(other)
        || other.meets(research) && is_technical(one)
}

/// Most syllables of a word that compounds are made of.
const LONGEST_PART: usize = 4;

fn is_part(word: &str) -> bool {
    (2..=LONGEST_PART).contains(&word.chars().count()) && word.starts_with(is_hangul)
}
