//! Text as ranking sees it: one spelling per word, and tokens that are whole Latin words or pairs of
//! Hangul syllables.
//!
//! Korean is cut into overlapping syllable pairs (`백엔드` is `백엔`, `엔드`): on postings they find as much
//! as a morphological analyser, on compounds more, and they need no dictionary.

pub mod experience;
pub mod phrase;
pub mod title;

use std::borrow::Cow;
use std::hash::Hasher;

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHasher;
use unicode_normalization::UnicodeNormalization;

/// HTML entities decoded, NFKC, lower case.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let decoded =
        if text.contains('&') { html_escape::decode_html_entities(text) } else { Cow::Borrowed(text) };
    if decoded.chars().all(is_plain) {
        return if decoded.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(decoded.to_ascii_lowercase())
        } else {
            decoded
        };
    }
    Cow::Owned(decoded.nfkc().collect::<String>().to_lowercase())
}

/// ASCII and precomposed Hangul are in NFKC already, except that jamo which follow a syllable would join it;
/// a jamo is not plain, so such a text takes the slow way.
fn is_plain(c: char) -> bool {
    c.is_ascii() || is_hangul(c) || c == '·' || c == '•'
}

/// The spelling by which careers and skills are looked up: normalised, without spaces and hyphens.
pub fn compact(text: &str) -> String {
    normalise(text).chars().filter(|&c| !c.is_whitespace() && c != '-').collect()
}

/// A precomposed Hangul syllable.
pub fn is_hangul(c: char) -> bool {
    ('\u{ac00}'..='\u{d7a3}').contains(&c)
}

/// What a text is made of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lexeme<'a> {
    /// An unbroken run of Hangul syllables.
    Hangul(&'a str),
    /// A run of other letters and digits. `c++`, `c#`, `.net` and `node.js` are one word each.
    Word(&'a str),
}

impl<'a> Lexeme<'a> {
    /// The characters of this lexeme.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Hangul(text) | Self::Word(text) => text,
        }
    }
}

/// Cuts a normalised text into lexemes.
pub fn lexemes(text: &str) -> impl Iterator<Item = Lexeme<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            if is_hangul(first) {
                let end = rest.find(|c| !is_hangul(c)).unwrap_or(rest.len());
                return Some(Lexeme::Hangul(split_off(&mut rest, end)));
            }
            if is_word_char(first) || starts_with_dot_net(rest) {
                let end = word_end(rest);
                return Some(Lexeme::Word(split_off(&mut rest, end)));
            }
            rest = &rest[first.len_utf8()..];
        }
    })
}

fn split_off<'a>(rest: &mut &'a str, end: usize) -> &'a str {
    let (head, tail) = rest.split_at(end);
    *rest = tail;
    head
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric() && !is_hangul(c))
}

fn starts_with_dot_net(text: &str) -> bool {
    text.strip_prefix(".net").is_some_and(|tail| !tail.starts_with(is_word_char))
}

/// Where the word at the start of `text` ends, in bytes.
fn word_end(text: &str) -> usize {
    let start = usize::from(text.starts_with('.'));
    let mut end = text[start..].find(|c| !is_word_char(c)).map_or(text.len(), |at| at + start);
    for suffix in [".js", ".net", "++", "#"] {
        let follows = text[end..].strip_prefix(suffix);
        if follows.is_some_and(|tail| !tail.starts_with(is_word_char)) {
            end += suffix.len();
            break;
        }
    }
    if end <= LONGEST_INITIALS && text[end..].starts_with('&') {
        let tail = &text[end + 1..];
        let len = tail.find(|c| !is_word_char(c)).unwrap_or(tail.len());
        if (1..=LONGEST_INITIALS).contains(&len) {
            return end + 1 + len;
        }
    }
    end
}

/// Initials around an `&` make one word (`r&d`, `fp&a`).
const LONGEST_INITIALS: usize = 2;

/// One searchable unit. Equal tokens stand for equal words; different words differ but for a 62-bit hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

const KIND_SHIFT: u32 = 62;

impl Token {
    /// Two neighbouring Hangul syllables.
    pub fn pair(first: char, second: char) -> Self {
        Self((1 << KIND_SHIFT) | (u64::from(first) << 24) | u64::from(second))
    }

    /// A Hangul word of one syllable, or the first syllable of a title's word.
    pub fn single(only: char) -> Self {
        Self((1 << KIND_SHIFT) | u64::from(only))
    }

    /// The last two syllables of a Hangul word: `변호사` ends so, `변호사회` does not.
    pub fn ending(first: char, second: char) -> Self {
        Self((1 << KIND_SHIFT) | (1 << 48) | (u64::from(first) << 24) | u64::from(second))
    }

    /// The title of a job in a sector.
    pub fn sector(name: &str) -> Self {
        Self::hashed(3, name, "field")
    }

    /// The title of a job whose sector is known, whichever it is.
    pub fn any_sector() -> Self {
        Self::sector("")
    }

    /// A word of a sector in a title, whatever job it names.
    pub fn sector_word(name: &str) -> Self {
        Self::hashed(3, name, "field word")
    }

    /// A Latin word as written. `node.js` and `nodejs` are the same word.
    pub fn word(word: &str) -> Self {
        match word.strip_suffix("js").map(|base| base.trim_end_matches('.')) {
            Some(base) if base.len() >= 2 => Self::hashed(0, base, "js"),
            _ => Self::hashed(0, word, ""),
        }
    }

    /// What the inflected forms of an English word have in common.
    pub fn stem(stem: &str) -> Self {
        Self::hashed(2, stem, "")
    }

    /// A whole entry of a listing's list of skills, spelled as by [`compact`].
    pub fn listed_skill(compact: &str) -> Self {
        Self::hashed(3, compact, "")
    }

    fn hashed(kind: u64, text: &str, suffix: &str) -> Self {
        let hash = hash_parts(&[text, suffix]);
        Self((kind << KIND_SHIFT) | (hash >> 2))
    }
}

/// A hash of the joined parts, the same in every process.
pub fn hash_parts(parts: &[&str]) -> u64 {
    let mut hasher = FxHasher::default();
    for part in parts {
        for chunk in part.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hasher.write_u64(u64::from_le_bytes(word));
        }
        hasher.write_usize(part.len());
    }
    // The product's high half mixes into the low one, which the caller may cut off.
    let hash = hasher.finish();
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

/// The tokens of a Hangul run.
pub fn hangul_tokens(run: &str) -> impl Iterator<Item = Token> + '_ {
    let lone = (run.chars().nth(1).is_none()).then(|| run.chars().next().map(Token::single)).flatten();
    run.chars().zip(run.chars().skip(1)).map(|(a, b)| Token::pair(a, b)).chain(lone)
}

/// Whether a Hangul word ends as names of persons do (`간호사`, `개발자`).
pub fn names_a_person(word: &str) -> bool {
    matches!(word.chars().next_back(), Some('원' | '사' | '공' | '자' | '가' | '수'))
}

/// How the word of a Hangul run in a title ends: as it stands, and before a particle (`변호사를`).
pub fn title_endings(run: &str) -> impl Iterator<Item = Token> {
    [ending(run), without_particle(run).and_then(ending)].into_iter().flatten()
}

/// The same in a text, of which only what looks like a person is worth the room.
pub fn text_endings(run: &str) -> impl Iterator<Item = Token> {
    // 가 is hardly ever anything but a particle there.
    let own = (names_a_person(run) && !run.ends_with('가')).then_some(run);
    let bare = without_particle(run).filter(|bare| names_a_person(bare));
    [own.and_then(ending), bare.and_then(ending)].into_iter().flatten()
}

fn without_particle(run: &str) -> Option<&str> {
    let tail = match run.chars().next_back()? {
        '은' | '는' | '이' | '가' | '을' | '를' | '의' | '와' | '과' | '도' | '만' | '에' | '들' | '님'
        | '직' | '급' => "",
        '로' if run.ends_with("으로") => "으로",
        '로' => "",
        '게' => "에게",
        '나' => "이나",
        '며' => "이며",
        '서' => "로서",
        '집' => "모집",
        '용' => "채용",
        '인' => "구인",
        '력' => "경력",
        '입' => "신입",
        _ => return None,
    };
    let bare = if tail.is_empty() { &run[..run.len() - '가'.len_utf8()] } else { run.strip_suffix(tail)? };
    Some(bare.trim_end_matches(['들', '님']))
}

/// The end of a Hangul word of at least two syllables.
pub fn ending(word: &str) -> Option<Token> {
    let mut syllables = word.chars().rev();
    let (second, first) = (syllables.next()?, syllables.next()?);
    Some(Token::ending(first, second))
}

/// The English stem of a word of at least four letters (`engineer`, `engineering` → `engin`).
pub fn stem(word: &str) -> Option<String> {
    let is_english = word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase());
    is_english.then(|| Stemmer::create(Algorithm::English).stem(word).into_owned())
}

/// The plainer name that a word contains: `react` for `react.js`, `html` for `html5`. Who looks for the
/// plain name finds these too, not the other way round.
pub fn plain_name(word: &str) -> Option<&str> {
    let base = match word.strip_suffix("js") {
        Some(base) => base.trim_end_matches('.'),
        None => word.trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    let is_name = base.len() >= 3 && base.len() < word.len() && base.bytes().all(|b| b.is_ascii_alphabetic());
    is_name.then_some(base)
}

/// English words that say nothing about a job.
pub fn is_stop_word(word: &str) -> bool {
    const LONGEST: usize = 4;
    word.len() <= LONGEST
        && matches!(
            word,
            "a" | "an"
                | "and"
                | "at"
                | "by"
                | "for"
                | "from"
                | "in"
                | "of"
                | "on"
                | "or"
                | "the"
                | "to"
                | "with"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        lexemes(&normalise(text)).map(|l| l.as_str().to_owned()).collect()
    }

    #[test]
    fn programming_names_stay_whole() {
        assert_eq!(
            words("C++/C#, .NET·Node.js ASP.NET C 언어"),
            ["c++", "c#", ".net", "node.js", "asp.net", "c", "언어"]
        );
        assert_eq!(
            words("React.js개발자 3.5년 a.network"),
            ["react.js", "개발자", "3", "5", "년", "a", "network"]
        );
    }

    #[test]
    fn java_is_not_javascript() {
        assert_ne!(Token::word("java"), Token::word("javascript"));
        assert_eq!(Token::word("node.js"), Token::word("nodejs"));
    }

    #[test]
    fn entities_width_and_case_do_not_matter() {
        assert_eq!(normalise("R&amp;D ＡＩ Engineer"), "r&d ai engineer");
        assert_eq!(compact(" 백엔드 개발자 "), "백엔드개발자");
        assert_eq!(compact("Back-end Developer"), compact("backend developer"));
        assert_eq!(normalise("\u{1100}\u{1161}"), "가");
        assert_eq!(normalise("가\u{11a8}"), "각");
    }

    #[test]
    fn hangul_becomes_syllable_pairs() {
        let tokens: Vec<_> = hangul_tokens("백엔드").collect();
        assert_eq!(tokens, [Token::pair('백', '엔'), Token::pair('엔', '드')]);
        assert_eq!(hangul_tokens("웹").collect::<Vec<_>>(), [Token::single('웹')]);
    }

    #[test]
    fn plainer_names() {
        assert_eq!(plain_name("html5"), Some("html"));
        assert_eq!(plain_name("vue.js"), Some("vue"));
        assert_eq!(plain_name("h2"), None);
        assert_eq!(plain_name("java"), None);
    }

    #[test]
    fn inflected_forms_share_a_stem() {
        assert_eq!(stem("engineering"), stem("engineers"));
        assert_eq!(stem("c++"), None);
    }
}
