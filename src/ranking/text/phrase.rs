//! A career's name cut for searching: its readings, their words, and the tokens of these.

use super::english::{is_stop_word, stem};
use super::function::Functions;
use super::hangul::{ending, hangul_tokens, is_hangul, names_a_person};
use super::roles::{ACTIVITIES, ROLES};
use super::title::is_boilerplate;
use super::token::Token;
use super::{Lexeme, lexemes, normalise};

/// A phrase cut for searching.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhraseText {
    /// Its words with their tokens, in order.
    pub words: Vec<(String, Vec<PhraseToken>)>,
    /// For each two neighbouring words, the alternative tokens that a title has if they are neighbours in it too.
    pub joints: Vec<Joint>,
    /// The functions that its words name.
    pub functions: Functions,
    /// The functions that its roles name; none if these exist in any function (`담당자`).
    pub role_functions: Functions,
    /// Whether its subject is the name of a function and nothing else (`상담 전문가`).
    pub is_function: bool,
    /// Whether its subject could stand in any title (`채용 담당자`).
    pub is_boilerplate: bool,
    /// Whether a word of its subject could (`채용 브랜딩 담당자`).
    pub has_boilerplate: bool,
    /// Whether it names a profession that needs a licence or a degree (`회계사`): its activity alone is another job.
    pub is_profession: bool,
}

/// Two neighbouring words of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    /// The alternative tokens that a title has if the words are neighbours in it too.
    pub alternatives: Vec<Token>,
    /// Whether the second word tells the subject, not the role.
    pub in_subject: bool,
}

/// A token of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseToken {
    /// A listing has the token if it has any of these.
    pub alternatives: Vec<Token>,
    /// Its part in the phrase.
    pub kind: PhraseTokenKind,
}

/// The part that a token plays in a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhraseTokenKind {
    /// Tells the subject of the work.
    Subject,
    /// Names a role that exists in any kind of work (`담당자`, `engineer`).
    Role,
    /// Only the ending that turns an activity into a person (`발자` in `개발자`).
    Ending,
}

/// Cuts a phrase into words and tokens.
pub fn phrase_text(phrase: &str) -> PhraseText {
    let phrase = normalise(phrase);
    let mut text = PhraseText::default();
    let mut before: Option<Lexeme<'_>> = None;
    let mut functions = Vec::new();
    for lexeme in lexemes(&phrase).flat_map(split_role) {
        let tokens = match lexeme {
            Lexeme::Hangul(run) => hangul_phrase_tokens(run),
            Lexeme::Word(word) if is_stop_word(word) => continue,
            Lexeme::Word(word) => {
                let kind =
                    if ROLES.contains(&word) { PhraseTokenKind::Role } else { PhraseTokenKind::Subject };
                vec![PhraseToken { alternatives: word_alternatives(word), kind }]
            }
        };
        let own = Functions::of_word(lexeme);
        text.is_profession |= names_a_profession(lexeme);
        let in_subject = tokens.iter().any(|token| token.kind == PhraseTokenKind::Subject);
        if tokens.iter().any(|token| token.kind != PhraseTokenKind::Subject) {
            text.role_functions = text.role_functions.union(own);
        }
        functions.push((lexeme, own));
        text.words.push((lexeme.as_str().to_owned(), tokens));
        let alternatives = before.and_then(|before| joint(before, lexeme));
        text.joints.extend(alternatives.map(|alternatives| Joint { alternatives, in_subject }));
        before = Some(lexeme);
    }
    let subject = text
        .words
        .iter()
        .zip(&functions)
        .filter(|((_, tokens), _)| tokens.iter().any(|token| token.kind == PhraseTokenKind::Subject));
    let subject: Vec<Lexeme<'_>> = subject.map(|(_, (lexeme, _))| *lexeme).collect();
    text.is_function = matches!(subject.as_slice(), [only] if Functions::is_name(*only));
    text.has_boilerplate = subject.iter().any(|word| is_boilerplate(*word));
    text.is_boilerplate = !subject.is_empty() && subject.iter().all(|word| is_boilerplate(*word));
    text.functions = Functions::of_words(functions);
    if let [(word, tokens)] = text.words.as_mut_slice()
        && let [token] = tokens.as_mut_slice()
        && let Some(end) = ending(word).filter(|_| word.starts_with(is_hangul))
    {
        // Too many other words contain a name of two syllables (`배우자` contains `배우`).
        token.alternatives = vec![end];
    }
    text
}

/// The words of a phrase that tell the subject of the work, except words of a single character.
pub fn subject_words(phrase: &str) -> impl Iterator<Item = String> {
    let phrase = normalise(phrase);
    let words = lexemes(&phrase).flat_map(split_role).map(|lexeme| lexeme.as_str());
    let is_subject =
        |word: &&str| !ROLES.contains(word) && !is_stop_word(word) && word.chars().nth(1).is_some();
    words.filter(is_subject).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The part that names of one occupation share: their words without a role that exists in any function, and an activity in place
/// of the person who does it. `영상 편집자`, `영상편집 담당자` and `영상 편집 전문가` are all `영상편집`.
pub fn subject_key(phrase: &str) -> String {
    let phrase = normalise(phrase);
    let mut words: Vec<Lexeme<'_>> = lexemes(&phrase).flat_map(split_role).collect();
    while words.last().is_some_and(|word| is_neutral_role(*word)) {
        words.pop();
    }
    let mut key: String = words.iter().map(|word| word.as_str()).collect();
    if let Some((person, activity)) = ACTIVITIES.iter().find(|(person, _)| key.ends_with(person)) {
        key.truncate(key.len() - person.len());
        key.push_str(activity);
    }
    // `기록물 관리자` has lost its 관리 with the role.
    let field = ["팀", "관리"].iter().find_map(|end| key.strip_suffix(end));
    if let Some(field) = field.filter(|field| field.chars().nth(1).is_some()) {
        key.truncate(field.len());
    }
    key
}

/// Whether a name says no more than a role (`엔지니어`).
pub fn is_bare_role(name: &str) -> bool {
    let name = normalise(name);
    lexemes(&name).flat_map(split_role).all(|word| ROLES.contains(&word.as_str()))
}

fn names_a_profession(lexeme: Lexeme<'_>) -> bool {
    let word = lexeme.as_str();
    word.ends_with('사') && word.chars().nth(2).is_some() && !ROLES.contains(&word)
}

/// Whether a name ends in a role or in the name of a function.
pub fn names_a_role(name: &str) -> bool {
    let name = normalise(name);
    let last = lexemes(&name).flat_map(split_role).last();
    last.is_some_and(|word| ROLES.contains(&word.as_str()) || !Functions::of_word(word).is_empty())
}

/// Whether a name ends in a role that exists in any function.
pub fn has_neutral_role(name: &str) -> bool {
    let name = normalise(name);
    lexemes(&name).flat_map(split_role).last().is_some_and(is_neutral_role)
}

fn is_neutral_role(word: Lexeme<'_>) -> bool {
    ROLES.contains(&word.as_str()) && Functions::of_word(word).is_empty()
}

/// Splits a role off the end of a Hangul word: `품질관리담당자` becomes `품질관리`, `담당자`.
fn split_role(lexeme: Lexeme<'_>) -> impl Iterator<Item = Lexeme<'_>> {
    let at = match lexeme {
        Lexeme::Hangul(run) => {
            let head = ROLES.iter().filter_map(|role| run.strip_suffix(role)).min_by_key(|head| head.len());
            head.map(str::len).filter(|&at| at >= 2 * '가'.len_utf8())
        }
        Lexeme::Word(_) => None,
    };
    let (head, role) = match (lexeme, at) {
        (Lexeme::Hangul(run), Some(at)) => (Lexeme::Hangul(&run[..at]), Some(Lexeme::Hangul(&run[at..]))),
        _ => (lexeme, None),
    };
    std::iter::once(head).chain(role)
}

/// The tokens by which a title shows two neighbouring words of one script as neighbours.
fn joint(before: Lexeme<'_>, lexeme: Lexeme<'_>) -> Option<Vec<Token>> {
    match (before, lexeme) {
        (Lexeme::Hangul(first), Lexeme::Hangul(second)) => {
            Some(vec![Token::pair(first.chars().next_back()?, second.chars().next()?)])
        }
        (Lexeme::Word(first), Lexeme::Word(second)) => Some(word_alternatives(&format!("{first}{second}"))),
        _ => None,
    }
}

fn hangul_phrase_tokens(run: &str) -> Vec<PhraseToken> {
    let role = ROLES.iter().filter_map(|role| run.strip_suffix(role)).map(|head| head.chars().count()).min();
    let tokens = hangul_tokens(run).enumerate().map(|(at, token)| {
        let kind = if role.is_some_and(|start| at >= start) {
            PhraseTokenKind::Role
        } else {
            PhraseTokenKind::Subject
        };
        PhraseToken { alternatives: vec![token], kind }
    });
    let mut tokens: Vec<_> = tokens.collect();
    if names_a_person(run)
        && let (Some(last), Some(end)) = (tokens.last_mut(), ending(run))
    {
        // By its ending, `약사` is not found in `계약사원`, nor `미용사` in `미용사업`.
        last.alternatives = vec![end];
        if run.chars().nth(2).is_some() {
            last.kind = PhraseTokenKind::Ending;
        }
    }
    tokens
}

/// A word is also found in its inflected forms: a listing's word is indexed with its stem if the two differ.
fn word_alternatives(word: &str) -> Vec<Token> {
    match stem(word) {
        Some(stem) => vec![Token::stem(&stem), Token::word(&stem)],
        None => vec![Token::word(word)],
    }
}

/// The names in a name with parentheses: `상품기획자(MD)` is `상품기획자` and `MD`, `가상현실(VR) 콘텐츠 개발자` is
/// `가상현실 콘텐츠 개발자` and `VR 콘텐츠 개발자`, `PO(Product Owner)` is `PO` and `Product Owner`. Any other text in
/// parentheses is a remark (`간호사(요양병원)`) and is dropped.
pub fn readings(name: &str) -> Vec<String> {
    let split = name.split_once('(').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once(')')?;
        Some((before.trim_end(), inside.trim(), after))
    });
    let Some((before, inside, after)) = split.filter(|(before, _, _)| !before.is_empty()) else {
        return vec![name.trim().to_owned()];
    };
    let without = format!("{before}{after}").trim().to_owned();
    let (head, last) = before.rsplit_once(char::is_whitespace).unwrap_or(("", before));
    let swapped = || format!("{head} {inside}{after}").trim().to_owned();
    let is_whole = after.trim().is_empty();
    match inside {
        "" => vec![without],
        _ if is_latin(inside) && is_whole && inside.contains(' ') => vec![without, inside.to_owned()],
        _ if inside.bytes().all(|b| b.is_ascii_uppercase()) => vec![without, swapped()],
        _ if is_latin(inside) && !is_whole && !is_latin(last) => vec![without, swapped()],
        _ if inside.chars().all(is_hangul) && is_latin(last) => vec![without, swapped()],
        _ => vec![without],
    }
}

fn is_latin(text: &str) -> bool {
    text.is_ascii() && text.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parenthesis_is_another_reading() {
        assert_eq!(readings("상품기획자(MD)"), ["상품기획자", "MD"]);
        assert_eq!(readings("가상현실(VR) 콘텐츠 개발자"), ["가상현실 콘텐츠 개발자", "VR 콘텐츠 개발자"]);
        assert_eq!(readings("QA 엔지니어"), ["QA 엔지니어"]);
        assert_eq!(readings("QA(품질보증) 엔지니어"), ["QA 엔지니어", "품질보증 엔지니어"]);
        assert_eq!(readings("PO(Product Owner)"), ["PO", "Product Owner"]);
        assert_eq!(readings("유러닝(U-Learning) 강사"), ["유러닝 강사", "U-Learning 강사"]);
        assert_eq!(readings("백엔드 개발자(Java)"), ["백엔드 개발자"]);
        assert_eq!(readings("간호사(요양병원)"), ["간호사"]);
        assert_eq!(readings("(주)"), ["(주)"]);
    }
}
