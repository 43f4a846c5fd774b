//! Titles of job postings: which of their words name the job, and which could stand in any title (bracket prefixes
//! such as `[회사명]`, years, 채용).

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::hangul::is_hangul;
use super::place::without_place;
use super::roles::ROLES;
use super::{Lexeme, lexemes};

/// Words that say that a job is open, for whom or on which contract, but not which job it is.
const BOILERPLATE: &[&str] = &[
    "채용",
    "모집",
    "구인",
    "공고",
    "신입",
    "경력",
    "경력직",
    "신입직",
    "정규직",
    "계약직",
    "파견직",
    "무관",
    "경력무관",
    "인턴",
    "채용공고",
    "수시채용",
    "상시채용",
    "공개채용",
    "경력채용",
    "신입채용",
    "각",
    "부문",
    "분야",
    "급구",
    "가능",
    "가능자",
    "우대",
    "이상",
    "이하",
    "년",
    "년차",
    "및",
    "등",
    "주니어",
    "시니어",
    "담당",
    "담당자",
    "팀원",
    "직원",
    "인재",
    "hiring",
    "urgent",
    "urgently",
    "wanted",
    "needed",
    "required",
    "junior",
    "senior",
    "sr",
    "jr",
    "full",
    "time",
    "part",
    "fulltime",
    "parttime",
    "permanent",
    "contract",
    "remote",
    "trainee",
    "intern",
    "internship",
    "experienced",
    "entry",
    "level",
    "ref",
];

/// Endings that are cut off a longer Hangul word (`개발자채용`).
const ENDINGS: &[&str] = &["모집", "채용", "구인"];

/// A word of a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TitleWord<'a> {
    /// The word itself.
    pub lexeme: Lexeme<'a>,
    /// Whether it is part of the job's name.
    pub core: bool,
    /// Whether it belongs to another name of the job, in brackets after the first: `CERT Engineer(침해대응 전문가)`.
    pub aside: bool,
}

/// The words of a normalised title, in order.
pub fn title_words(title: &str) -> impl Iterator<Item = TitleWord<'_>> {
    let (prefix, rest) = split_prefix(title);
    let prefix = lexemes(prefix).map(|lexeme| TitleWord { lexeme, core: false, aside: false });
    let core = pieces(rest).flat_map(|(piece, aside)| {
        lexemes(piece).map(move |lexeme| {
            let lexeme = without_ending(lexeme);
            TitleWord { lexeme, core: !is_boilerplate(lexeme), aside }
        })
    });
    prefix.chain(core)
}

/// Cuts a text at its brackets, and says which pieces are names of a job in brackets after another name. Any other text in
/// brackets is a part of the name or a remark.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut depth = 0_u32;
    let starts_inside = text.starts_with(is_opening);
    text.split_inclusive(|c| is_opening(c) || is_closing(c)).map(move |piece| {
        let aside = depth > 0 && !starts_inside && names_a_person_at_work(piece);
        match piece.chars().next_back() {
            Some(last) if is_opening(last) => depth += 1,
            Some(last) if is_closing(last) => depth = depth.saturating_sub(1),
            _ => {}
        }
        (piece, aside)
    })
}

fn names_a_person_at_work(text: &str) -> bool {
    let last = lexemes(text).last();
    last.is_some_and(|word| ROLES.iter().any(|role| word.as_str().ends_with(role)))
}

fn is_opening(c: char) -> bool {
    closing_bracket(c).is_some()
}

fn is_closing(c: char) -> bool {
    matches!(c, ']' | ')' | '>' | '}' | '】' | '〕' | '》' | '」')
}

/// Splits bracketed groups off the start of a title: `[회사] (급구) 개발자` is `[회사] (급구) ` and `개발자`.
fn split_prefix(title: &str) -> (&str, &str) {
    let mut rest = title.trim_start();
    while let Some(close) = rest.chars().next().and_then(closing_bracket) {
        match rest.find(close) {
            Some(end) => rest = rest[end + close.len_utf8()..].trim_start(),
            None => break,
        }
    }
    // A title that consists of brackets only is its own core.
    if rest.is_empty() { ("", title) } else { title.split_at(title.len() - rest.len()) }
}

fn closing_bracket(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '(' => Some(')'),
        '<' => Some('>'),
        '{' => Some('}'),
        '【' => Some('】'),
        '〔' => Some('〕'),
        '《' => Some('》'),
        '「' => Some('」'),
        _ => None,
    }
}

fn without_ending(lexeme: Lexeme<'_>) -> Lexeme<'_> {
    let Lexeme::Hangul(word) = lexeme else { return lexeme };
    let stem = ENDINGS.iter().find_map(|ending| word.strip_suffix(ending));
    stem.filter(|stem| stem.chars().count() >= 2).map_or(lexeme, Lexeme::Hangul)
}

/// Whether a word could stand in any title.
pub fn is_boilerplate(lexeme: Lexeme<'_>) -> bool {
    let word = lexeme.as_str();
    static WORDS: LazyLock<FxHashSet<&str>> = LazyLock::new(|| BOILERPLATE.iter().copied().collect());
    word.bytes().all(|b| b.is_ascii_digit()) || WORDS.contains(word)
}

/// The core words of a title without places, joined: equal for two copies of one posting, and for one job at two places.
pub fn title_key(words: &[TitleWord<'_>]) -> String {
    let core = words.iter().filter(|word| word.core).map(|word| word.lexeme.as_str());
    let key: String = core.clone().map(without_place).collect();
    // `세종` may be all that a title says.
    if key.is_empty() { core.collect() } else { key }
}

/// A company's name without its legal form, parentheses, spaces and punctuation: equal for its usual spellings.
pub fn company_key(normalised: &str) -> String {
    let mut name = String::with_capacity(normalised.len());
    let mut depth = 0_u32;
    for c in normalised.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && (is_hangul(c) || c.is_alphanumeric()) => name.push(c),
            _ => {}
        }
    }
    if !name.contains("회사") {
        return with_latin_initials(name);
    }
    let bare = name.replace("주식회사", "").replace("유한회사", "");
    with_latin_initials(if bare.is_empty() { name } else { bare })
}

/// A name with the Latin letters at its start that it spells in Korean: `씨제이` is `cj`. A single one is not read so: `이마트` is
/// no `e마트`.
fn with_latin_initials(name: String) -> String {
    let (mut rest, mut initials) = (name.as_str(), String::new());
    while let Some((spelled, letter)) = LETTERS.iter().find(|(spelled, _)| rest.starts_with(spelled)) {
        rest = &rest[spelled.len()..];
        initials.push(*letter);
    }
    if initials.len() < 2 { name } else { initials + rest }
}

/// Latin letters as Korean spells them, the longest first.
const LETTERS: &[(&str, char)] = &[
    ("더블유", 'w'),
    ("에이치", 'h'),
    ("에이", 'a'),
    ("에프", 'f'),
    ("제이", 'j'),
    ("케이", 'k'),
    ("에스", 's'),
    ("브이", 'v'),
    ("엑스", 'x'),
    ("와이", 'y'),
    ("제트", 'z'),
    ("비", 'b'),
    ("씨", 'c'),
    ("디", 'd'),
    ("이", 'e'),
    ("지", 'g'),
    ("아이", 'i'),
    ("엘", 'l'),
    ("엠", 'm'),
    ("엔", 'n'),
    ("오", 'o'),
    ("피", 'p'),
    ("큐", 'q'),
    ("알", 'r'),
    ("티", 't'),
    ("유", 'u'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::text::normalise;

    fn core(title: &str) -> Vec<String> {
        let title = normalise(title);
        title_words(&title).filter(|p| p.core).map(|p| p.lexeme.as_str().to_owned()).collect()
    }

    #[test]
    fn the_core_is_the_name_of_the_job() {
        assert_eq!(core("[캐시워크] 백엔드/서버 개발자"), ["백엔드", "서버", "개발자"]);
        assert_eq!(
            core("(주)그림 소프트웨어 개발자(C++/MFC) 채용"),
            ["그림", "소프트웨어", "개발자", "c++", "mfc"]
        );
        assert_eq!(core("변호사 (3년 이상) 모집"), ["변호사"]);
        assert_eq!(core("웹개발자채용"), ["웹개발자"]);
        assert_eq!(core("[채용]"), Vec::<String>::new());
        assert_eq!(core("[미완 개발자"), ["미완", "개발자"]);
    }

    #[test]
    fn another_name_in_brackets_is_an_aside() {
        let asides = |title: &str| {
            let words = title_words(title).filter(|word| word.aside);
            words.map(|word| word.lexeme.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(asides("[하늘] cert engineer(침해대응 전문가)"), ["침해대응", "전문가"]);
        assert_eq!(asides("[하늘] 데이터 분석 (data analyst) 모집"), ["data", "analyst"]);
        for title in ["개발자(서버, 웹)", "(급구) 개발자", "[개발자]", "개발자 [급구]", "영업 (해외"]
        {
            assert_eq!(asides(title), Vec::<String>::new());
        }
    }

    #[test]
    fn copies_of_a_posting_share_their_keys() {
        let key = |text: &str| title_key(&title_words(&normalise(text)).collect::<Vec<_>>());
        assert_eq!(key("[하늘] 백엔드 개발자 (3년 이상)"), key("백엔드 개발자 채용"));
        assert_ne!(key("백엔드 개발자"), key("서버 개발자"));
        let company = |text: &str| company_key(&normalise(text));
        assert_eq!(company("(주)하늘소프트"), company("㈜ 하늘소프트(Haneul)"));
        assert_eq!(company("하늘소프트 주식회사"), "하늘소프트");
        assert_eq!(company("(주)"), "");
        assert_eq!(company("씨제이대한통운㈜"), company("CJ대한통운"));
        assert_ne!(company("이마트"), company("e마트"));
        assert_eq!(key("서울 강남 백엔드 개발자"), key("[판교] 백엔드 개발자"));
        assert_eq!(key("설비보전 담당자 (인천/부천 지역)"), key("설비보전 담당자"));
        assert_eq!(key("대전연구센터 연구원"), key("광주연구센터 연구원"));
        assert_eq!(key("세종"), "세종");
    }
}
