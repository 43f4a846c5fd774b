//! Why a listing is recommended: the stored data and the Korean sentences. Only evidence is stated.

mod particles;

use serde_json::{Map, Value};

use crate::ranking::career::candidates::{GroupOrdinals, phrase_masks};
use crate::ranking::career::coverage::Shown;
use crate::ranking::career::plan::Phrase;
use crate::ranking::index::segment::{Field, ListingSet};
use crate::ranking::reason::particles::{quoted_and, quoted_subject, quoted_topic};
use crate::ranking::score::{Components, FULL};
use crate::ranking::search::top_hits::Hit;
use crate::ranking::search::{Query, SegmentQuery, Term};

/// Skills that a reason names; the data name all.
const NAMED_SKILLS: usize = 4;

/// What a listing shows of a career.
struct Evidence {
    /// The best field that shows any of it.
    field: Field,
    /// Whether the title alone shows the whole phrase.
    whole_in_title: bool,
    /// The phrase's words that were found there or elsewhere, in the phrase's order.
    words: Vec<String>,
}

/// A field's name in the stored data.
fn wire_name(field: Field) -> &'static str {
    match field {
        Field::Title => "title",
        Field::Skills => "skills",
        Field::Text => "text",
    }
}

/// A field's name in a sentence.
fn korean_name(field: Field) -> &'static str {
    match field {
        Field::Title => "공고 제목",
        Field::Skills => "공고의 기술 목록",
        Field::Text => "공고 본문",
    }
}

/// The reason and the data of a hit (without the breakdown).
pub(in crate::ranking) fn explain(
    query: &Query<'_>,
    segment: &SegmentQuery<'_>,
    hit: &Hit,
    components: &Components,
) -> (String, Map<String, Value>) {
    let (career, index) = &query.careers[hit.career];
    let listing = hit.candidate.listing;
    let skills = named(&query.skills, &segment.skills, listing);
    let interests = named(&query.interests, &segment.interests, listing);
    let mut data = Map::new();
    data.insert("matchedCareer".to_owned(), career.name.clone().into());
    if let Some(category) = career.category.clone().or_else(|| index.plan.sector.clone()) {
        data.insert("careerCategory".to_owned(), category.into());
    }
    let mut sentences = Vec::new();
    if let Shown::Phrase { number, whole } = hit.candidate.shown
        && let Some((group, phrase)) = index.plan.phrase(number)
    {
        let evidence = if whole {
            Evidence { field: Field::Title, whole_in_title: true, words: found_words(phrase, phrase.mask) }
        } else {
            evidence(segment, &index.segments[hit.segment].1.ordinals[group], phrase, listing)
        };
        sentences.push(career_sentence(&career.name, phrase, &evidence));
        data.insert("matchedPhrase".to_owned(), phrase.text.clone().into());
        data.insert("matchedIn".to_owned(), wire_name(evidence.field).into());
        data.insert("matchedWords".to_owned(), evidence.words.into());
    } else if let Some(sector) = &index.plan.sector {
        sentences.extend(sector_sentence(&career.name, sector, hit.candidate.shown));
        data.insert("matchedIn".to_owned(), "field".into());
    }
    if !skills.is_empty() {
        let listed = skills[..skills.len().min(NAMED_SKILLS)].join(", ");
        sentences.push(format!(
            "보유 기술 {} 공고에 있습니다.",
            crate::ranking::reason::particles::with_subject(&listed)
        ));
    }
    if components.experience == Some(FULL) {
        sentences.push("요구 경력이 내 경력과 맞습니다.".to_owned());
    }
    data.insert("matchedSkills".to_owned(), skills.into());
    data.insert("matchedInterests".to_owned(), interests.into());
    (sentences.join(" "), data)
}

/// The terms that a listing names.
fn named(terms: &[Term], hits: &[&ListingSet], listing: u16) -> Vec<String> {
    let found = terms.iter().zip(hits).filter(|(_, hits)| hits.contains(listing));
    found.map(|(term, _)| term.spelling.clone()).collect()
}

fn evidence(segment: &SegmentQuery<'_>, ordinals: &GroupOrdinals, phrase: &Phrase, listing: u16) -> Evidence {
    let [title, skills, text] = phrase_masks(&segment.live.segment, ordinals, phrase, listing);
    let (field, seen) = if title != 0 {
        (Field::Title, title)
    } else if skills != 0 {
        (Field::Skills, skills)
    } else {
        (Field::Text, text)
    };
    Evidence { field, whole_in_title: title == phrase.mask, words: found_words(phrase, seen) }
}

/// The phrase's words, or the unbroken pieces of them, whose tokens are in `mask`.
fn found_words(phrase: &Phrase, mask: u64) -> Vec<String> {
    let mut found = Vec::new();
    for (word, bits) in &phrase.words {
        // Most listings show whole words.
        if !bits.is_empty() && bits.iter().all(|bit| mask >> bit & 1 == 1) {
            found.push(word.clone());
            continue;
        }
        let syllables: Vec<char> = word.chars().collect();
        let mut piece = String::new();
        for (at, bit) in bits.iter().enumerate() {
            if mask >> bit & 1 == 0 {
                found.extend((!piece.is_empty()).then(|| std::mem::take(&mut piece)));
            } else {
                let from = if piece.is_empty() { at } else { at + 1 };
                piece.extend(&syllables[from..at + 2]);
            }
        }
        found.extend((!piece.is_empty()).then_some(piece));
    }
    found
}

fn career_sentence(career: &str, phrase: &Phrase, evidence: &Evidence) -> String {
    let is_own_name = phrase.is_own_name();
    match evidence {
        Evidence { whole_in_title: true, .. } if is_own_name => {
            format!("공고 제목이 추천 직업 {} 일치합니다.", quoted_and(career))
        }
        Evidence { whole_in_title: true, .. } => {
            format!(
                "공고 제목의 {} 추천 직업 {} 같은 계열입니다.",
                quoted_topic(&phrase.text),
                quoted_and(career)
            )
        }
        Evidence { field, words, .. } => {
            let words = words.join(", ");
            format!("{}에 추천 직업 '{career}'의 {} 있습니다.", korean_name(*field), quoted_subject(&words))
        }
    }
}

fn sector_sentence(career: &str, sector: &str, shown: Shown) -> Option<String> {
    let career = quoted_and(career);
    match shown {
        Shown::SectorJob => Some(format!("공고 제목의 직무가 추천 직업 {career} 같은 분야({sector})입니다.")),
        Shown::SectorWord => {
            Some(format!("공고 제목에 추천 직업 {career} 같은 분야({sector})의 말이 있습니다."))
        }
        Shown::Phrase { .. } | Shown::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase() -> Phrase {
        let words = vec![("데이터".to_owned(), vec![0, 1]), ("analyst".to_owned(), vec![2])];
        Phrase {
            text: "데이터 analyst".to_owned(),
            worth: 90,
            mask: 0b111,
            weight: 3,
            words,
            ..Phrase::default()
        }
    }

    #[test]
    fn words_are_named_as_far_as_they_were_found() {
        assert_eq!(found_words(&phrase(), 0b111), ["데이터", "analyst"]);
        assert_eq!(found_words(&phrase(), 0b101), ["데이", "analyst"]);
        assert_eq!(found_words(&phrase(), 0b010), ["이터"]);
    }

    #[test]
    fn sentences_say_what_was_found_and_where() {
        let whole = Evidence { field: Field::Title, whole_in_title: true, words: vec![] };
        assert_eq!(
            career_sentence("데이터 분석가", &phrase(), &whole),
            "공고 제목의 '데이터 analyst'는 추천 직업 '데이터 분석가'와 같은 계열입니다."
        );
        let partly =
            Evidence { field: Field::Text, whole_in_title: false, words: vec!["데이터".to_owned()] };
        assert_eq!(
            career_sentence("데이터 분석가", &phrase(), &partly),
            "공고 본문에 추천 직업 '데이터 분석가'의 '데이터'가 있습니다."
        );
    }
}
