//! Years of work experience, read from a summary in a person's own words.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A span of time: `3년째`, `1년 반`, `2년 3개월`, `4 years`, `18 months`. A year of study (`4학년`), a date (`2024년`) or an age
/// is none.
static SPAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?P<years>\d{1,2})\s*(?:년(?P<half>\s*반)?(?:\s*(?P<and>\d{1,2})\s*개월)?|\+?\s*(?:years?|yrs?)\b)|(?P<months>\d{1,2})\s*(?:개월|months?\b)",
    )
});

/// A number in words before a unit of time.
static NUMBER_WORD: LazyLock<Regex> = LazyLock::new(|| {
    let words = NUMBER_WORDS.map(|(word, _)| word).join("|");
    pattern(&format!(
        r"(?P<before>^|[\s,.(])(?P<word>{words})(?P<unit>\s?년|\s?개월|\s+years?\b|\s+months?\b)"
    ))
});

/// The longest of two that begin alike comes first.
const NUMBER_WORDS: [(&str, u8); 22] = [
    ("십오", 15),
    ("십여", 10),
    ("십", 10),
    ("이십", 20),
    ("일", 1),
    ("이", 2),
    ("삼", 3),
    ("사", 4),
    ("오", 5),
    ("육", 6),
    ("칠", 7),
    ("팔", 8),
    ("구", 9),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("ten", 10),
];

/// A sum that the text states itself.
static TOTAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:경력(?:이|은|은 총)?|합쳐서?|모두|총)\s*(?:약|경력)?\s*(\d{1,2})\s*년|(\d{1,2})\s*년\s*(?:차|경력)|(\d{1,2})\+?\s*(?:years?|yrs?)(?: of)? experience",
    )
});

/// Words right before a span that make it a part of another span, or no work.
static NO_WORK_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:최근|마지막|그\s?중|이\s?중|앞으로|내년|향후|육아로?|출산으로?|질병으로?|공백|단절\S*|휴직|휴학|재학|결혼|동아리\S*|봉사\S*|아카데미\S*|부트캠프\S*|대학원\S*|유학\S*|독학\S*|공부\S*|준비\S*|군\s?복무\S*|last|past|final|within|next)\s*(?:약\s*)?$",
    )
});

/// Words after a span that make it no work.
static NO_WORK_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^제|^\S{0,3}\s*(?:전업\s?|어학\s?)?(?:주부|육아|연수|군\s?복무|복무)|^\s*(?:안에|내에|이내|후|뒤|전에|전까지|ago\b)|^\S{0,3}\s*(?:\S+\s+){0,2}?(?:쉬|쉰|휴직|휴학|공백|단절|공부|준비|수강|수료|과정|재학|유학|부트캠프|break|off\b|study|degree|college|bootcamp|course\b)",
    )
});

/// Words between two spans that make the second one another job.
static NEXT_JOB: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"옮기|옮겨|이직|다가|거쳐|거친|이후|그 뒤|then\b|^\s*,\s*(?:\S+\s)?\S+에서\s*$")
});

/// A newcomer's words, whatever else a text says.
static NO_EXPERIENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:경력|경험)(?:은|이|도)?\s*(?:아직\s*)?(?:없|전무)|무경력|no (?:prior |work )*experience")
});

/// A newcomer's words, if the text states no years.
static NEWCOMER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"신입|졸업\s?예정|졸업을 앞두|재학|취업\s?준비|취준생|사회\s?초년생|대학생입니다|갓 졸업|막 졸업|첫 (?:직장|취업)|entry[- ]level|(?:recent|new|fresh) graduate|recently graduated",
    )
});

fn pattern(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("a valid pattern")
}

/// Years of work that a text tells: `경력 3년`, `병동에서 4년간`, `상담을 3년 하다가 옮겨 2년째`; 0 for a newcomer. Breaks, studies
/// and parts of a span do not count.
pub fn experience_years(text: &str) -> Option<u8> {
    let text = &*with_digits(text);
    if let Some(total) = TOTAL.captures(text).filter(|total| !is_no_work(text, total)) {
        let digits = (1..=3).find_map(|group| total.get(group))?;
        return digits.as_str().parse().ok();
    }
    if NO_EXPERIENCE.is_match(text) {
        return Some(0);
    }
    let mut months: Option<u32> = None;
    let mut end = 0;
    for span in SPAN.captures_iter(text).filter(|span| !is_no_work(text, span)) {
        let Some(whole) = span.get(0) else { continue };
        let length = months_of(&span);
        months = Some(match months {
            Some(before) if NEXT_JOB.is_match(&text[end..whole.start()]) => before + length,
            Some(before) => before.max(length),
            None => length,
        });
        end = whole.end();
    }
    match months {
        Some(months) => u8::try_from(months / 12).ok(),
        None => NEWCOMER.is_match(text).then_some(0),
    }
}

/// A text with digits in place of the words for numbers of years and months.
fn with_digits(text: &str) -> Cow<'_, str> {
    NUMBER_WORD.replace_all(text, |number: &Captures<'_>| {
        let word = number["word"].to_lowercase();
        let value = NUMBER_WORDS.iter().find(|(other, _)| *other == word).map_or(0, |(_, value)| *value);
        format!("{}{value}{}", &number["before"], &number["unit"])
    })
}

fn months_of(span: &Captures<'_>) -> u32 {
    let number =
        |group: &str| span.name(group).and_then(|digits| digits.as_str().parse::<u32>().ok()).unwrap_or(0);
    let half = if span.name("half").is_some() { 6 } else { 0 };
    12 * number("years") + half + number("and") + number("months")
}

/// Whether the words around a span say that it was no work, or that a longer number was cut.
fn is_no_work(text: &str, span: &Captures<'_>) -> bool {
    let Some(whole) = span.get(0) else { return true };
    let (before, after) = (&text[..whole.start()], &text[whole.end()..]);
    let is_cut = before.ends_with(|c: char| c.is_ascii_digit());
    let is_date = after.trim_start().starts_with(|c: char| c.is_ascii_digit()) && after.contains('월');
    is_cut || is_date || NO_WORK_BEFORE.is_match(before) || NO_WORK_AFTER.is_match(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_read_as_people_write_them() {
        let cases: &[(&str, Option<u8>)] = &[
            ("경력 7년의 요리사입니다", Some(7)),
            ("5년차 디자이너", Some(5)),
            ("11 years of experience in sales", Some(11)),
            ("I worked 4 years as a nurse", Some(4)),
            ("요양병원 병동에서 8년간 근무했습니다.", Some(8)),
            ("빵집에서 3년 일했습니다.", Some(3)),
            ("은행에서 9년째 여신 업무를 하고 있습니다.", Some(9)),
            ("출판사에서 1년 반 동안 편집을 맡았습니다.", Some(1)),
            ("창고에서 4년 일하다가 구매팀으로 옮겨 2년째 일합니다.", Some(6)),
            ("학원에서 6년 가르쳤고 마지막 2년은 교재를 만들었습니다.", Some(6)),
            ("호텔에서 7년 일했고 그중 3년은 매니저였습니다.", Some(7)),
            ("회계팀에서 5년 일한 뒤 육아로 2년 쉬었다가 돌아왔습니다.", Some(5)),
            ("공무원 시험을 2년째 준비하고 있습니다.", None),
            ("육아로 3년을 쉬었습니다.", None),
            ("동아리에서 3년 동안 로봇을 만들었고 졸업 예정입니다.", Some(0)),
            ("연구실에서 1년을 보냈지만 회사 경력은 아직 없습니다.", Some(0)),
            ("5년 안에 팀을 맡고 싶습니다.", None),
            ("2024년 3월에 입사했습니다.", None),
            ("4학년으로 내년 2월 졸업 예정입니다.", Some(0)),
            ("신입입니다", Some(0)),
            ("약국에서 삼 년 일했습니다.", Some(3)),
            ("목수로 십오년 일했습니다", Some(15)),
            ("콜센터에서 2년 8개월 근무했습니다.", Some(2)),
            ("매장에서 18개월 일했습니다.", Some(1)),
            ("인턴으로 6개월 일했습니다.", Some(0)),
            ("출판사에서 2년, 신문사에서 3년 일했습니다.", Some(5)),
            ("물류 업계에서 10년 일했고 지금 회사에서 3년째입니다.", Some(10)),
            ("3년 전부터 공방을 운영합니다.", Some(3)),
            ("3년 전에 퇴사했습니다.", None),
            ("4년제 대학을 졸업했습니다.", None),
            ("2년간 군 복무를 했습니다.", None),
            ("경력 단절 5년을 지나 다시 일하고 싶습니다.", None),
            ("5년간 전업주부였습니다.", None),
            ("결혼 3년차입니다", None),
            ("독학으로 1년 공부했습니다", None),
            ("부트캠프 6개월을 마쳤고 취준생입니다.", Some(0)),
            ("사회 초년생입니다", Some(0)),
            ("경험은 전무합니다", Some(0)),
            ("I taught for three years, then sold books for two years.", Some(5)),
            ("18 months in a bakery", Some(1)),
            ("I left the army 5 years ago", None),
            ("a 4 year degree in law", None),
            ("I recently graduated", Some(0)),
            ("no prior work experience", Some(0)),
            ("요리를 좋아합니다", None),
        ];
        for (text, expected) in cases {
            assert_eq!(experience_years(text), *expected, "{text}");
        }
    }
}
