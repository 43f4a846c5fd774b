//! Skills and interests: the entries of a listing's skill column, and the tokens of a user's term.

use super::hangul::hangul_tokens;
use super::token::Token;
use super::{Lexeme, compact, lexemes, normalise};

/// Longest entry in bytes; a longer one is a sentence, not a skill.
const LONGEST_SKILL: usize = 40;

/// The entries of a skill column, which is a comma- or line-separated list or a JSON array of texts; each in the
/// form of [`compact`].
pub fn listed_skills(column: &str) -> Vec<String> {
    let from_json = column.trim_start().starts_with('[').then(|| serde_json::from_str::<Vec<String>>(column));
    let entries: Vec<String> = match from_json {
        Some(Ok(entries)) => entries.iter().map(|entry| compact(entry)).collect(),
        // Entities first: the semicolon of `R&amp;D` separates nothing.
        _ => html_escape::decode_html_entities(column).split([',', '\n', ';', '|']).map(compact).collect(),
    };
    entries.into_iter().filter(|entry| !entry.is_empty() && entry.len() <= LONGEST_SKILL).collect()
}

/// The tokens of a skill or an interest; a listing names it when it has all of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_json() {
        assert_eq!(listed_skills("Java, Spring Boot\nC++"), ["java", "springboot", "c++"]);
        assert_eq!(listed_skills(r#"["React", "프로젝트 관리"]"#), ["react", "프로젝트관리"]);
        assert_eq!(listed_skills("R&amp;D; Java"), ["r&d", "java"]);
        assert_eq!(listed_skills("[not json"), ["[notjson"]);
        assert_eq!(listed_skills(&"가".repeat(30)), Vec::<String>::new());
    }
}
