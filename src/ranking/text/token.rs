//! Tokens: what listings are indexed by and careers are searched with.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// One searchable unit, in 64 bits: three for the kind, 61 for the content. Equal tokens mean the same; two
/// tokens that mean different things differ, unless two texts of one kind have the same 61-bit hash.
///
/// | kind | content | made by |
/// |---|---|---|
/// | 0 word | hash of a Latin word | [`Token::word`] |
/// | 1 syllable | one Hangul syllable | [`Token::syllable`] |
/// | 2 pair | two neighbouring Hangul syllables | [`Token::pair`] |
/// | 3 ending | the last two syllables of a Hangul word | [`Token::ending`] |
/// | 4 stem | hash of an English word's stem | [`Token::stem`] |
/// | 5 listed skill | hash of a whole entry of a list of skills | [`Token::listed_skill`] |
/// | 6 sector | hash of a sector's name, 0 for any sector | [`Token::sector`], [`Token::any_sector`] |
/// | 7 sector word | hash of a sector's name | [`Token::sector_word`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

#[derive(Clone, Copy)]
enum Kind {
    Word,
    Syllable,
    Pair,
    Ending,
    Stem,
    ListedSkill,
    Sector,
    SectorWord,
}

/// Bits of a token that hold its content.
const CONTENT_BITS: u32 = 61;

impl Token {
    /// A Latin word as written. `node.js` and `nodejs` are the same word.
    pub fn word(word: &str) -> Self {
        match word.strip_suffix("js").map(|base| base.trim_end_matches('.')) {
            Some(base) if base.len() >= 2 => Self::hashed(Kind::Word, &[base, "js"]),
            _ => Self::hashed(Kind::Word, &[word, ""]),
        }
    }

    /// A Hangul word of one syllable, or the first syllable of a title's word.
    pub fn syllable(only: char) -> Self {
        Self::new(Kind::Syllable, u64::from(only))
    }

    /// Two neighbouring Hangul syllables.
    pub fn pair(first: char, second: char) -> Self {
        Self::new(Kind::Pair, two(first, second))
    }

    /// The last two syllables of a Hangul word: `변호사` ends so, `변호사회` does not.
    pub fn ending(first: char, second: char) -> Self {
        Self::new(Kind::Ending, two(first, second))
    }

    /// The common part of the inflected forms of an English word.
    pub fn stem(stem: &str) -> Self {
        Self::hashed(Kind::Stem, &[stem])
    }

    /// A whole entry of a listing's list of skills, in the form of [`compact`](super::compact).
    pub fn listed_skill(compact: &str) -> Self {
        Self::hashed(Kind::ListedSkill, &[compact])
    }

    /// The title names a job of this sector.
    pub fn sector(name: &str) -> Self {
        Self::hashed(Kind::Sector, &[name])
    }

    /// The title names a job of some known sector.
    pub fn any_sector() -> Self {
        Self::new(Kind::Sector, 0)
    }

    /// The title has a word of this sector, whichever job it names.
    pub fn sector_word(name: &str) -> Self {
        Self::hashed(Kind::SectorWord, &[name])
    }

    fn hashed(kind: Kind, text: &[&str]) -> Self {
        Self::new(kind, hash(text) >> (u64::BITS - CONTENT_BITS))
    }

    fn new(kind: Kind, content: u64) -> Self {
        Self((kind as u64) << CONTENT_BITS | content)
    }
}

fn two(first: char, second: char) -> u64 {
    u64::from(first) << 24 | u64::from(second)
}

/// A hash of several texts, the same in every process; `["ab", "c"]` and `["a", "bc"]` differ.
pub fn hash(texts: &[&str]) -> u64 {
    let mut hasher = FxHasher::default();
    for text in texts {
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hasher.write_u64(u64::from_le_bytes(word));
        }
        hasher.write_usize(text.len());
    }
    // Mixes the product's high half into the low one, which a caller may cut off.
    let hash = hasher.finish();
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_is_not_javascript() {
        assert_ne!(Token::word("java"), Token::word("javascript"));
        assert_eq!(Token::word("node.js"), Token::word("nodejs"));
    }

    #[test]
    fn one_text_gives_a_token_of_each_kind() {
        let tokens = [
            Token::word("go"),
            Token::syllable('가'),
            Token::pair('가', '나'),
            Token::ending('가', '나'),
            Token::stem("go"),
            Token::listed_skill("go"),
            Token::sector("go"),
            Token::any_sector(),
            Token::sector_word("go"),
        ];
        let distinct: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
    }
}
