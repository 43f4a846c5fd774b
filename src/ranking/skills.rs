//! Skills: those that listings list, and which listings name a given one.

use super::segment::{Field, ListingSet, Segment};
use super::text::{Lexeme, Token, compact, hangul_tokens, lexemes, normalise};

/// A longer entry is a sentence, not a skill.
const LONGEST_SKILL: usize = 40;

/// The entries of a skill column, which is a comma- or line-separated list or a JSON array of texts;
/// spelled as by [`compact`].
pub fn listed_skills(column: &str) -> Vec<String> {
    let from_json = column.trim_start().starts_with('[').then(|| serde_json::from_str::<Vec<String>>(column));
    let entries: Vec<String> = match from_json {
        Some(Ok(entries)) => entries.iter().map(|entry| compact(entry)).collect(),
        _ => column.split([',', '\n', ';', '|']).map(compact).collect(),
    };
    entries.into_iter().filter(|entry| !entry.is_empty() && entry.len() <= LONGEST_SKILL).collect()
}

/// The tokens that a listing must contain to name a skill or an interest.
pub fn term_tokens(term: &str) -> Vec<Token> {
    let term = normalise(term);
    let mut tokens = Vec::new();
    for lexeme in lexemes(&term) {
        match lexeme {
            Lexeme::Hangul(run) => tokens.extend(hangul_tokens(run)),
            Lexeme::Word(word) => tokens.push(Token::word(word)),
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// The listings of a segment that name a term.
#[derive(Debug)]
pub struct TermHits {
    /// In title or skill list.
    pub strong: ListingSet,
    /// Anywhere.
    pub any: ListingSet,
}

impl TermHits {
    /// The listings of `segment` that have all of `tokens`.
    pub fn find(segment: &Segment, tokens: &[Token]) -> Self {
        let none = || ListingSet::empty(segment.len());
        let mut found: Option<Self> = None;
        for &token in tokens {
            let [title, skills, text] = segment.postings(token);
            let mut strong = none();
            for &listing in title.iter().chain(skills) {
                strong.insert(listing);
            }
            let mut any = strong.clone();
            for &listing in text {
                any.insert(listing);
            }
            match &mut found {
                Some(found) => {
                    found.strong.intersect(&strong);
                    found.any.intersect(&any);
                }
                None => found = Some(Self { strong, any }),
            }
        }
        found.unwrap_or_else(|| Self { strong: none(), any: none() })
    }

    /// What a hit is worth, in 1/10,000: a skill that only the text mentions counts less.
    pub fn value(&self, listing: u16) -> u32 {
        match () {
            () if self.strong.contains(listing) => STRONG_HIT,
            () if self.any.contains(listing) => TEXT_HIT,
            () => 0,
        }
    }

    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.strong.words()) + size_of_val(self.any.words())
    }
}

const STRONG_HIT: u32 = 10_000;
const TEXT_HIT: u32 = 8_000;

/// Whether a listing of the segment that is not in `dead` lists this very term as a skill.
pub fn is_listed(segment: &Segment, dead: Option<&ListingSet>, term: &str) -> bool {
    let postings = segment.postings(Token::listed_skill(&compact(term)))[Field::Skills as usize];
    postings.iter().any(|&listing| dead.is_none_or(|dead| !dead.contains(listing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_json() {
        assert_eq!(listed_skills("Java, Spring Boot\nC++"), ["java", "springboot", "c++"]);
        assert_eq!(listed_skills(r#"["React", "프로젝트 관리"]"#), ["react", "프로젝트관리"]);
        assert_eq!(listed_skills("[not json"), ["[notjson"]);
        assert_eq!(listed_skills(&"가".repeat(30)), Vec::<String>::new());
    }
}
