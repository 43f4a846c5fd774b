//! The ground floor: a text becomes words, words become tokens.
//!
//! Text is normalised to one spelling per word and cut into lexemes. A Latin word is a token as a whole. Korean
//! is cut into overlapping pairs of syllables (`백엔드` is `백엔`, `엔드`): on job postings they find as much as a
//! morphological analyser does, on compounds more, and they need no dictionary.

pub mod audience;
pub mod english;
pub mod experience;
pub mod function;
pub mod hangul;
pub mod licence;
pub mod phrase;
pub mod place;
pub mod roles;
pub mod sketch;
pub mod skills;
pub mod title;
pub mod token;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use self::hangul::is_hangul;

/// Decodes HTML entities, applies NFKC and converts to lower case.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let decoded =
        if text.contains('&') { html_escape::decode_html_entities(text) } else { Cow::Borrowed(text) };
    if is_surely_plain(&decoded) || decoded.chars().all(is_plain) {
        let has_capitals = decoded.bytes().fold(false, |has, byte| has | byte.is_ascii_uppercase());
        return if has_capitals { Cow::Owned(decoded.to_ascii_lowercase()) } else { decoded };
    }
    Cow::Owned(decoded.nfkc().collect::<String>().to_lowercase())
}

/// Whether a text has nothing but ASCII and syllables before `히`: true only if all its characters are plain. Half of an
/// index's time is reading texts, and this reads sixteen bytes at once where `chars` reads one.
fn is_surely_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    !pairs.fold(false, |doubtful, (&first, &second)| {
        let begins_syllable = ((first == 0xea) & (second >= 0xb0))
            | (first == 0xeb)
            | (first == 0xec)
            | ((first == 0xed) & (second < 0x9e));
        doubtful | ((first >= 0xc0) & !begins_syllable)
    })
}

/// Whether a text of such characters only is in NFKC already. ASCII and precomposed Hangul are, unless a jamo
/// follows a syllable and would be composed with it; jamo are not plain, so such a text is normalised in full.
fn is_plain(c: char) -> bool {
    c.is_ascii() || is_hangul(c) || c == '·' || c == '•'
}

/// The form in which careers and skills are compared: normalised, without spaces and hyphens.
pub fn compact(text: &str) -> String {
    normalise(text).chars().filter(|&c| !c.is_whitespace() && c != '-').collect()
}

/// A piece of a text: a word, or a part of one where the script changes.
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

/// Cuts a normalised text into lexemes, in order.
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

/// The end, in bytes, of the word at the start of `text`.
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

/// Two short words joined by `&` are one word (`r&d`, `fp&a`); short is up to this many letters.
const LONGEST_INITIALS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_that_is_surely_plain_is_plain(text in "[가-힣ᄀ-ᇿ豈-龎ힰ-ퟻa-zA-Z &·•\u{0}-\u{ffff}]{0,40}") {
            prop_assert!(!is_surely_plain(&text) || text.chars().all(is_plain));
        }
    }

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
    fn entities_width_and_case_do_not_matter() {
        assert_eq!(normalise("R&amp;D ＡＩ Engineer"), "r&d ai engineer");
        assert_eq!(compact(" 백엔드 개발자 "), "백엔드개발자");
        assert_eq!(compact("Back-end Developer"), compact("backend developer"));
        assert_eq!(normalise("\u{1100}\u{1161}"), "가");
        assert_eq!(normalise("가\u{11a8}"), "각");
    }
}
