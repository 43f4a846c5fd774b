//! The Korean sentences of a reason.

use super::evidence::Evidence;
use super::particles::{quoted_and, quoted_subject, quoted_topic, with_subject};
use crate::ranking::text::compact;

/// Most skills that a reason names; the data name all.
const NAMED_SKILLS: usize = 4;

/// Says that the user's years of experience are within the years that the listing asks for.
pub const EXPERIENCE_SENTENCE: &str = "요구 경력이 내 경력과 맞습니다.";

/// Says which name of the career, or which part of it, the title shows, and how close that name is.
pub fn career_sentence(career: &str, evidence: &Evidence<'_>) -> String {
    let Evidence { phrase, whole, words } = evidence;
    let is_own = phrase.is_own_name() || compact(&phrase.text) == compact(career);
    let words = words.join(", ");
    match is_own {
        true if *whole => format!("공고 제목이 추천 직업 {} 일치합니다.", quoted_and(career)),
        true => format!("공고 제목에 추천 직업 '{career}'의 {} 있습니다.", quoted_subject(&words)),
        false => {
            let shown = if *whole { quoted_topic(&phrase.text) } else { quoted_topic(&words) };
            let closeness = if phrase.is_of_other_career() {
                "가까운 직업입니다"
            } else {
                "같은 계열입니다"
            };
            format!("공고 제목의 {shown} 추천 직업 {} {closeness}.", quoted_and(career))
        }
    }
}

/// Names the first of the user's skills that the listing names; `None` if there are none.
pub fn skills_sentence(skills: &[&str]) -> Option<String> {
    let named = skills[..skills.len().min(NAMED_SKILLS)].join(", ");
    (!skills.is_empty()).then(|| format!("보유 기술 {} 공고에 있습니다.", with_subject(&named)))
}

/// Names a licence that the listing requires and the profile does not tell.
pub fn licence_sentence(licence: &str) -> String {
    format!("공고가 필수로 요구하는 '{licence}' 자격이 프로필에 없습니다.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::career::group::Phrase;
    use crate::ranking::text::hangul::is_hangul;
    use crate::ranking::vocabulary::Vocabulary;

    #[test]
    fn sentences_say_what_was_found_and_how_close_it_is() {
        let phrase = |text: &str, worth| Phrase { text: text.to_owned(), worth, ..Phrase::default() };
        let synonym = phrase("데이터 analyst", 90);
        let whole = Evidence { phrase: &synonym, whole: true, words: vec![] };
        assert_eq!(
            career_sentence("데이터 분석가", &whole),
            "공고 제목의 '데이터 analyst'는 추천 직업 '데이터 분석가'와 같은 계열입니다."
        );
        let own = phrase("데이터 분석가", 100);
        let partly = Evidence { phrase: &own, whole: false, words: vec!["데이터".to_owned()] };
        assert_eq!(
            career_sentence("데이터 분석가", &partly),
            "공고 제목에 추천 직업 '데이터 분석가'의 '데이터'가 있습니다."
        );
        let inside = phrase("데이터 분석가", 75);
        let near = Evidence { phrase: &inside, whole: true, words: vec![] };
        assert_eq!(
            career_sentence("관광 데이터 분석가", &near),
            "공고 제목의 '데이터 분석가'는 추천 직업 '관광 데이터 분석가'와 가까운 직업입니다."
        );
        let respelled = Evidence { phrase: &synonym, whole: true, words: vec![] };
        assert_eq!(
            career_sentence("데이터analyst", &respelled),
            "공고 제목이 추천 직업 '데이터analyst'와 일치합니다."
        );
    }

    /// The particles after every name that a reason may quote, by the rule that speakers learn at school.
    #[test]
    fn particles_fit_all_names_of_the_vocabulary() {
        for name in Vocabulary::builtin().names() {
            let Some(last) = name.chars().next_back().filter(|&c| is_hangul(c)) else { continue };
            let has_final = (u32::from(last) - u32::from('가')) % 28 != 0;
            let phrase = Phrase { text: name.to_owned(), worth: 90, ..Phrase::default() };
            let sentence = career_sentence(name, &Evidence { phrase: &phrase, whole: true, words: vec![] });
            let particle = if has_final { "과" } else { "와" };
            assert!(sentence.contains(&format!("'{name}'{particle} ")), "{sentence}");
        }
    }
}
