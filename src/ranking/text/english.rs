//! English words: their stems, plainer names and stop words.

use rust_stemmers::{Algorithm, Stemmer};

use super::token::Token;

/// The tokens by which a word is found: as written, by its stem and by its plainer name.
pub fn word_tokens(word: &str) -> impl Iterator<Item = Token> {
    let stem = stem(word).filter(|stem| stem != word).map(|stem| Token::stem(&stem));
    [Some(Token::word(word)), stem, plain_name(word).map(Token::word)].into_iter().flatten()
}

/// The stem of an English word of at least four letters (`engineer`, `engineering` → `engin`); `None` for a
/// shorter word and for one that has other characters than letters.
pub fn stem(word: &str) -> Option<String> {
    let is_english = word.len() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase());
    // Their stems are those of product, intern, animation and each other.
    if ["production", "internal", "animal", "government", "governance"].contains(&word) {
        return Some(word.to_owned());
    }
    // An accountant is no account.
    let kept = ["ant", "ants"].iter().find(|end| word.ends_with(*end));
    if let Some(kept) = kept.filter(|_| is_english) {
        return kept.ends_with('s').then(|| word[..word.len() - 1].to_owned());
    }
    is_english.then(|| Stemmer::create(Algorithm::English).stem(word).into_owned())
}

/// The plainer name that a word contains: `react` for `react.js`, `html` for `html5`. A search for the plain name
/// finds these words too, but a search for `html5` does not find `html`.
pub fn plain_name(word: &str) -> Option<&str> {
    let base = match word.strip_suffix("js") {
        Some(base) => base.trim_end_matches('.'),
        None => word.trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    let is_name = base.len() >= 3 && base.len() < word.len() && base.bytes().all(|b| b.is_ascii_alphabetic());
    is_name.then_some(base)
}

/// Whether an English word says nothing about a job.
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

    #[test]
    fn a_word_with_a_suffix_has_a_plainer_name() {
        assert_eq!(plain_name("html5"), Some("html"));
        assert_eq!(plain_name("vue.js"), Some("vue"));
        assert_eq!(plain_name("h2"), None);
        assert_eq!(plain_name("java"), None);
    }

    #[test]
    fn inflected_forms_share_a_stem() {
        assert_eq!(stem("engineering"), stem("engineers"));
        assert_eq!(stem("c++"), None);
        assert_ne!(stem("production"), stem("product"));
        assert_ne!(stem("government"), stem("governance"));
    }
}
