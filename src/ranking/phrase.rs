//! How a career's phrase is read: its spellings, its words, their tokens.

use super::text::{Lexeme, Token, hangul_tokens, is_stop_word, lexemes, normalise, stem};

/// The words of a phrase with their tokens.
pub type PhraseText = Vec<(String, Vec<PhraseToken>)>;

/// A token of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseToken {
    /// A listing has the token when it has any of these.
    pub spellings: Vec<Token>,
    /// It is nothing but the ending that makes a person of an activity (`발자` in `개발자`).
    pub is_ending: bool,
}

/// Syllables that make a person of an activity.
const PERSON_ENDINGS: &str = "원사공자가수";

/// Words and tokens of a phrase.
pub fn phrase_parts(phrase: &str) -> PhraseText {
    let phrase = normalise(phrase);
    let mut parts = PhraseText::new();
    for lexeme in lexemes(&phrase) {
        let tokens = match lexeme {
            Lexeme::Hangul(run) => hangul_phrase_tokens(run),
            Lexeme::Word(word) if is_stop_word(word) => continue,
            Lexeme::Word(word) => vec![PhraseToken { spellings: word_spellings(word), is_ending: false }],
        };
        parts.push((lexeme.as_str().to_owned(), tokens));
    }
    parts
}

fn hangul_phrase_tokens(run: &str) -> Vec<PhraseToken> {
    let mut tokens: Vec<_> =
        hangul_tokens(run).map(|token| PhraseToken { spellings: vec![token], is_ending: false }).collect();
    let names_a_person = run.ends_with(|c| PERSON_ENDINGS.contains(c));
    if let [_, .., last] = tokens.as_mut_slice() {
        last.is_ending = names_a_person;
    }
    tokens
}

/// A word is found in its inflected forms: listings hold a word's stem beside it where the two differ.
fn word_spellings(word: &str) -> Vec<Token> {
    match stem(word) {
        Some(stem) => vec![Token::stem(&stem), Token::word(&stem)],
        None => vec![Token::word(word)],
    }
}

/// The ways to read a name with an abbreviation in parentheses: `상품기획자(MD)` is `상품기획자` and `MD`;
/// `가상현실(VR) 콘텐츠 개발자` is `가상현실 콘텐츠 개발자` and `VR 콘텐츠 개발자`. Anything else in parentheses
/// is a remark (`간호사(요양병원)`) and no name of the job.
pub fn spellings(name: &str) -> Vec<String> {
    let split = name.split_once('(').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once(')')?;
        Some((before.trim_end(), inside.trim(), after))
    });
    let Some((before, inside, after)) = split.filter(|(before, _, _)| !before.is_empty()) else {
        return vec![name.trim().to_owned()];
    };
    if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_uppercase()) {
        return vec![format!("{before}{after}").trim().to_owned()];
    }
    let head = before.rsplit_once(char::is_whitespace).map_or("", |(head, _)| head);
    let without = format!("{before}{after}");
    let swapped = format!("{head} {inside}{after}");
    vec![without.trim().to_owned(), swapped.trim().to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parenthesis_is_another_spelling() {
        assert_eq!(spellings("상품기획자(MD)"), ["상품기획자", "MD"]);
        assert_eq!(spellings("가상현실(VR) 콘텐츠 개발자"), ["가상현실 콘텐츠 개발자", "VR 콘텐츠 개발자"]);
        assert_eq!(spellings("QA 엔지니어"), ["QA 엔지니어"]);
        assert_eq!(spellings("간호사(요양병원)"), ["간호사"]);
        assert_eq!(spellings("(주)"), ["(주)"]);
    }
}
