//! The years of experience that a listing asks for, read from the job site's wording.

use std::num::NonZeroU8;
use std::ops::RangeInclusive;

use super::hangul::is_hangul;

/// The years of experience that a listing asks for. One for each listing is kept in memory, so
/// `Option<AskedYears>` takes two bytes instead of the three of an optional pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedYears {
    least_plus_one: NonZeroU8,
    most: u8,
}

impl AskedYears {
    /// From `least` to `most` years, both included; `least` is below 255.
    pub fn new(least: u8, most: u8) -> Self {
        Self { least_plus_one: NonZeroU8::MIN.saturating_add(least), most }
    }

    /// The least and the most years, both included; 255 is no upper end.
    pub fn range(self) -> RangeInclusive<u8> {
        self.least_plus_one.get() - 1..=self.most
    }
}

/// Stands for "no upper end".
const OPEN_END: u8 = u8::MAX;
/// Words for people without experience.
const NEWCOMERS: &[&str] = &["신입", "인턴", "entry", "intern", "junior"];
/// Words of a title for people with at least [`SENIOR_YEARS`].
const SENIOR: &[&str] = &["시니어", "senior", "팀장", "파트장"];
const SENIOR_YEARS: u8 = 5;
/// Words of a title for people with at most [`JUNIOR_YEARS`].
const JUNIOR: &[&str] = &["주니어", "junior"];
const JUNIOR_YEARS: u8 = 4;
/// Ranks of Korean companies, which a title names alone or with 급 (`대리~과장급`), and the least and the most years that
/// people of each usually have.
const RANKS: &[(&str, u8, u8)] = &[
    ("사원", 0, 3),
    ("주임", 1, 4),
    ("대리", 3, 7),
    ("과장", 5, 11),
    ("차장", 8, 15),
    ("부장", 10, OPEN_END),
    ("본부장", 10, OPEN_END),
    ("임원", 12, OPEN_END),
    ("선임", 3, 8),
    ("책임", 6, OPEN_END),
    ("수석", 8, OPEN_END),
    ("principal", 8, OPEN_END),
];
/// A larger number is not a number of years (`2024년` is a date).
const MOST_YEARS: u32 = 40;

/// The years that a normalised text asks for; `None` if it does not say.
pub fn asked_years(text: &str) -> Option<AskedYears> {
    asked_range(text).map(|(least, most)| AskedYears::new(least, most))
}

/// The years that a normalised title asks for in so many words, which count more than the site's own column: a number of
/// years, a level, or newcomers only. `words` are the title's words.
pub fn stated_in_title<'w>(title: &str, words: impl Iterator<Item = &'w str> + Clone) -> Option<AskedYears> {
    let says = |levels: &[&str]| {
        words.clone().any(|word| levels.iter().any(|level| word.starts_with(level) || word.ends_with(level)))
    };
    let rank = |word: &str| {
        let bare = ["급이상", "직급", "급"].iter().find_map(|end| word.strip_suffix(end));
        let is_named = |name: &str| match name {
            // Without 급, `사원`, `선임` and `책임` are said of anyone.
            "사원" | "주임" | "선임" | "책임" => bare == Some(name),
            _ => bare.unwrap_or(word) == name,
        };
        RANKS.iter().find(|(name, ..)| is_named(name)).map(|&(_, least, most)| (least, most))
    };
    let ranks = || words.clone().filter_map(rank).reduce(|one, next| (one.0.min(next.0), one.1.max(next.1)));
    let has_digit = title.bytes().any(|b| b.is_ascii_digit());
    let range = if has_digit && stated_years(title).is_some() {
        asked_range(title)
    } else if let Some(range) = ranks() {
        Some(range)
    } else if says(SENIOR) {
        Some((SENIOR_YEARS, OPEN_END))
    } else if says(JUNIOR) {
        Some((0, JUNIOR_YEARS))
    } else if says(NEWCOMERS) {
        asked_range(title).filter(|&range| range == (0, 0))
    } else {
        None
    };
    range.map(|(least, most)| AskedYears::new(least, most))
}

fn asked_range(text: &str) -> Option<(u8, u8)> {
    if text.is_empty() {
        return None;
    }
    let newcomers = NEWCOMERS.iter().any(|word| text.contains(word));
    let anyone = ["무관", "관계없음", "any"].iter().any(|word| text.contains(word));
    let years = stated_years(text);
    match years {
        Some((_, end)) if newcomers => Some((0, end)),
        Some(range) => Some(range),
        None if anyone => Some((0, OPEN_END)),
        None if newcomers && text.contains("경력") => Some((0, OPEN_END)),
        None if newcomers => Some((0, 0)),
        None if text.contains("경력") => Some((1, OPEN_END)),
        None => None,
    }
}

/// Reads `3~5년`, `3년 이상`, `10년↑`, `5년 이하`, `3+ years`, `5.0`.
fn stated_years(text: &str) -> Option<(u8, u8)> {
    let mut numbers = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let tail = &rest[at..];
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        numbers.push((tail[..end].parse::<u32>().unwrap_or(u32::MAX), &tail[end..]));
        rest = &tail[end..];
    }
    let bare = !text.chars().any(|c| is_hangul(c) || c.is_ascii_alphabetic());
    for (index, &(first, after)) in numbers.iter().enumerate() {
        if first > MOST_YEARS {
            continue;
        }
        let after = after.trim_start().trim_start_matches('년').trim_start();
        let is_range = after.starts_with(['~', '-', '–']);
        match numbers.get(index + 1) {
            Some(&(second, _)) if is_range && (first..=MOST_YEARS).contains(&second) => {
                return Some((first as u8, second as u8));
            }
            _ if bare || says_years(numbers[index].1) => return Some(one_number(first as u8, after)),
            _ => {}
        }
    }
    None
}

fn says_years(after: &str) -> bool {
    let after = after.trim_start_matches(['+', ' ']);
    after.starts_with('년') || after.starts_with("year") || after.starts_with("yr")
}

/// A single number is a minimum unless the words after it make it a maximum.
fn one_number(years: u8, after: &str) -> (u8, u8) {
    let after = after.trim_start_matches('차').trim_start();
    if ["이하", "미만", "이내", "↓"].iter().any(|word| after.starts_with(word)) {
        return (0, years);
    }
    (years, OPEN_END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::text::{Lexeme, lexemes};

    #[test]
    fn a_title_tells_years_by_number_level_or_rank() {
        let cases: &[(&str, Option<(u8, u8)>)] = &[
            ("재무 담당자 (대리~과장급)", Some((3, 11))),
            ("설비보전 (부장급)", Some((10, OPEN_END))),
            ("영업 관리 차장", Some((8, 15))),
            ("선임급 개발자", Some((3, 8))),
            ("수석 연구원", Some((8, OPEN_END))),
            ("인사팀장", Some((5, OPEN_END))),
            ("시니어 디자이너", Some((5, OPEN_END))),
            ("과장급 (3~6년)", Some((3, 6))),
            ("대리점 영업 담당자", None),
            ("주차장 관리원", None),
            ("판매 사원", None),
            ("선임 간호사", None),
        ];
        for (title, expected) in cases {
            let words = lexemes(title).map(Lexeme::as_str).collect::<Vec<_>>();
            let found = stated_in_title(title, words.iter().copied()).map(AskedYears::range);
            assert_eq!(found, expected.map(|(least, most)| least..=most), "{title}");
        }
    }

    #[test]
    fn the_wording_of_job_sites_is_understood() {
        let cases: &[(&str, Option<(u8, u8)>)] = &[
            ("", None),
            ("신입", Some((0, 0))),
            ("경력", Some((1, OPEN_END))),
            ("신입·경력", Some((0, OPEN_END))),
            ("경력무관", Some((0, OPEN_END))),
            ("경력 3~5년", Some((3, 5))),
            ("경력\n경력 10~15년", Some((10, 15))),
            ("5 ~ 12년", Some((5, 12))),
            ("경력3년↑", Some((3, OPEN_END))),
            ("2년 이상", Some((2, OPEN_END))),
            ("3년 이하", Some((0, 3))),
            ("5.0", Some((5, OPEN_END))),
            ("3+ years", Some((3, OPEN_END))),
            ("신입 또는 3년 이하", Some((0, 3))),
            ("2024년 상반기", None),
            ("전화 010-1234-5678", None),
            ("대졸", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(least, most)| least..=most);
            assert_eq!(asked_years(text).map(AskedYears::range), expected, "{text}");
        }
    }
}
