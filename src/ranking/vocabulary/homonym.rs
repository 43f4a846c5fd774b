//! Words that mean something else in other sectors.

use super::file;
use crate::ranking::text::hangul::is_hangul;
use crate::ranking::text::normalise;
use crate::ranking::text::token::Token;

/// Words of some careers' names that mean something else in other sectors.
#[derive(Debug)]
pub(in crate::ranking) struct Homonym {
    /// How a word of a name begins; of Latin letters, the whole word.
    words: Vec<String>,
    /// The sectors of the careers that are meant.
    pub sectors: Vec<String>,
    /// A name that has one of these says itself what it means.
    other_words: Vec<String>,
    /// A listing that has one of these means these careers.
    pub own: Vec<Token>,
    /// A listing that has one of these may mean something else.
    pub other: Vec<Token>,
}

impl Homonym {
    /// A homonym as the file has it.
    pub fn new(entry: &file::Homonym) -> Self {
        let tokens =
            |words: &[String]| words.iter().filter_map(|word| context_token(&normalise(word))).collect();
        Self {
            words: entry.words.iter().map(|word| normalise(word).into_owned()).collect(),
            other_words: entry.other.iter().map(|word| normalise(word).into_owned()).collect(),
            sectors: entry.sectors.clone(),
            own: tokens(&entry.own),
            other: tokens(&entry.other),
        }
    }

    /// Whether a name has one of its words and none of those that tell another meaning.
    pub fn is_in<'w>(&self, mut name: impl Iterator<Item = &'w str> + Clone) -> bool {
        let begins = |word: &str, homonym: &String| match homonym.starts_with(is_hangul) {
            true => word.starts_with(homonym),
            false => word == homonym,
        };
        let tells_other = |word: &str| self.other_words.iter().any(|other| word.contains(other));
        !name.clone().any(tells_other) && name.any(|word| self.words.iter().any(|own| begins(word, own)))
    }
}

/// The token of a word of two syllables or of Latin letters; `None` for any other.
pub(super) fn context_token(word: &str) -> Option<Token> {
    let mut syllables = word.chars();
    match (syllables.next()?, syllables.next(), syllables.next()) {
        (first, Some(second), None) if is_hangul(first) && is_hangul(second) => {
            Some(Token::pair(first, second))
        }
        (first, ..) if first.is_ascii_alphabetic() => Some(Token::word(word)),
        _ => None,
    }
}
