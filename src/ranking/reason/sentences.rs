//! The Korean sentences of a reason.

use super::evidence::Evidence;
use super::particles::{quoted_and, quoted_subject, quoted_topic, with_subject};
use crate::ranking::career::fit::Shown;
use crate::ranking::index::inverted_index::Field;

/// Most skills that a reason names; the data name all.
const NAMED_SKILLS: usize = 4;

/// Says that the user's years of experience are within the years that the listing asks for.
pub const EXPERIENCE_SENTENCE: &str = "요구 경력이 내 경력과 맞습니다.";

/// Says which part of the career's name, or of a synonym, the listing shows.
pub fn career_sentence(career: &str, evidence: &Evidence<'_>) -> String {
    let Evidence { phrase, field, whole_in_title, words } = evidence;
    if !whole_in_title {
        let words = quoted_subject(&words.join(", "));
        format!("{}에 추천 직업 '{career}'의 {words} 있습니다.", korean_name(*field))
    } else if phrase.is_own_name() {
        format!("공고 제목이 추천 직업 {} 일치합니다.", quoted_and(career))
    } else {
        let phrase = quoted_topic(&phrase.text);
        format!("공고 제목의 {phrase} 추천 직업 {} 같은 계열입니다.", quoted_and(career))
    }
}

/// Says that the title shows the career's sector; `None` if it shows more or nothing.
pub fn sector_sentence(career: &str, sector: &str, shown: Shown) -> Option<String> {
    let career = quoted_and(career);
    match shown {
        Shown::SectorJob => Some(format!("공고 제목의 직무가 추천 직업 {career} 같은 분야({sector})입니다.")),
        Shown::SectorWord => {
            Some(format!("공고 제목에 추천 직업 {career} 같은 분야({sector})의 말이 있습니다."))
        }
        Shown::Phrase { .. } | Shown::Nothing => None,
    }
}

/// Names the first of the user's skills that the listing names; `None` if there are none.
pub fn skills_sentence(skills: &[String]) -> Option<String> {
    let named = skills[..skills.len().min(NAMED_SKILLS)].join(", ");
    (!skills.is_empty()).then(|| format!("보유 기술 {} 공고에 있습니다.", with_subject(&named)))
}

fn korean_name(field: Field) -> &'static str {
    match field {
        Field::Title => "공고 제목",
        Field::Skills => "공고의 기술 목록",
        Field::Text => "공고 본문",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::career::plan::Phrase;

    #[test]
    fn sentences_say_what_was_found_and_where() {
        let phrase = Phrase { text: "데이터 analyst".to_owned(), worth: 90, ..Phrase::default() };
        let whole = Evidence { phrase: &phrase, field: Field::Title, whole_in_title: true, words: vec![] };
        assert_eq!(
            career_sentence("데이터 분석가", &whole),
            "공고 제목의 '데이터 analyst'는 추천 직업 '데이터 분석가'와 같은 계열입니다."
        );
        let words = vec!["데이터".to_owned()];
        let partly = Evidence { phrase: &phrase, field: Field::Text, whole_in_title: false, words };
        assert_eq!(
            career_sentence("데이터 분석가", &partly),
            "공고 본문에 추천 직업 '데이터 분석가'의 '데이터'가 있습니다."
        );
    }
}
