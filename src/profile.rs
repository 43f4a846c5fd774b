//! Reads the analyses that other services stored for a user, in all their forms, into a [`CareerProfile`].
//!
//! Nothing here fails: unreadable parts are left out and reported in [`Inputs::ignored`], so that one broken
//! column never costs a user the whole list.

mod experience;

use serde::Serialize;
use serde_json::Value;

use self::experience::experience_years;
use crate::domain::{Career, CareerProfile, MatchScore};
use crate::storage::{MAX_CAREERS, ProfileAnalysis, StoredAnalysis, StoredCareer};

/// Longest name of a career, in characters; a longer text is no name.
const MAX_NAME_CHARS: usize = 200;
/// Longest interest, strength or skill, in characters; a longer text is a sentence.
const MAX_TERM_CHARS: usize = 40;
/// Most interests and most strengths taken into account.
const MAX_TERMS: usize = 50;
/// An interest below the middle of the scale (1–10) says what the user is *not* looking for.
const MIN_INTEREST_LEVEL: f64 = 5.0;

/// A user's analyses as a calculation reads them.
#[derive(Debug, Default, PartialEq)]
pub struct Inputs {
    /// Whether the user has any analysis at all, with or without careers.
    pub has_analysis: bool,
    /// Where the careers come from; `None` if there are none.
    pub source: Option<CareerSource>,
    /// Everything that ranking depends on.
    pub profile: CareerProfile,
    /// The parts that could not be read, for the log.
    pub ignored: Vec<String>,
}

/// The table that a user's careers come from. Serialised, it is the table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CareerSource {
    /// `job_recommendations`.
    JobRecommendations,
    /// The newest of the user's `career_analyses`.
    CareerAnalyses,
}

impl Inputs {
    /// Reads a user's analyses. Careers come from `job_recommendations` if the user has any there, else
    /// from the newest `career_analyses`.
    pub fn parse(stored: &StoredAnalysis) -> Self {
        let mut inputs = Self {
            has_analysis: !stored.job_recommendations.is_empty()
                || stored.career_analysis.is_some()
                || stored.profile.is_some(),
            ..Self::default()
        };
        let mut careers = stored.job_recommendations.iter().filter_map(from_row).collect::<Vec<_>>();
        let mut source = CareerSource::JobRecommendations;
        if let Some(analysis) = &stored.career_analysis {
            if careers.is_empty() {
                source = CareerSource::CareerAnalyses;
                careers = inputs.careers_of(analysis.recommended_careers.as_deref());
            }
            inputs.interest_areas(analysis.interest_areas.as_deref());
        }
        inputs.profile.careers = best_careers(careers, &mut inputs.ignored);
        inputs.source = inputs.has_careers().then_some(source);
        if let Some(profile) = &stored.profile {
            inputs.profile_terms(profile);
            inputs.profile.experience_years = [&profile.summary, &profile.goals]
                .into_iter()
                .find_map(|text| experience_years(text.as_deref().unwrap_or_default()));
            inputs.profile.summary = profile.summary.clone().unwrap_or_default();
        }
        for terms in [&mut inputs.profile.strengths, &mut inputs.profile.interests] {
            let mut seen = std::collections::HashSet::new();
            terms.retain(|term| seen.insert(term.to_lowercase()));
            terms.truncate(MAX_TERMS);
        }
        inputs
    }

    /// Whether there is anything to calculate from.
    pub fn has_careers(&self) -> bool {
        !self.profile.careers.is_empty()
    }

    fn careers_of(&mut self, text: Option<&str>) -> Vec<RawCareer> {
        let Some(items) = self.json_items("recommended_careers", text) else { return Vec::new() };
        let mut careers = Vec::new();
        for item in &items {
            match from_json(item) {
                Some(career) => careers.push(career),
                None => self
                    .ignored
                    .push(format!("recommended_careers: an entry without a name: {}", brief(item))),
            }
        }
        careers
    }

    fn interest_areas(&mut self, text: Option<&str>) {
        let items = self.json_items("interest_areas", text).unwrap_or_default();
        for item in items.into_iter().flat_map(in_areas) {
            if is_low(&item) {
                continue;
            }
            match item.as_str().or_else(|| item.get("name")?.as_str()) {
                Some(name) => self.profile.interests.extend(term(name)),
                None => {
                    self.ignored.push(format!("interest_areas: an entry without a name: {}", brief(&item)))
                }
            }
        }
    }

    fn profile_terms(&mut self, profile: &ProfileAnalysis) {
        if let Some(text) = &profile.strengths {
            collect_terms_of_text(text, &mut self.profile.strengths);
        }
        if let Some(text) = &profile.interests {
            collect_terms_of_text(text, &mut self.profile.interests);
        }
    }

    /// The elements of a JSON column that should hold a list. A single object counts as a list of one; a
    /// list that was encoded twice is decoded twice.
    fn json_items(&mut self, column: &str, text: Option<&str>) -> Option<Vec<Value>> {
        let text = text.map(str::trim).filter(|text| !text.is_empty())?;
        let mut value = serde_json::from_str(text);
        if let Ok(Value::String(inner)) = &value {
            value = serde_json::from_str(inner);
        }
        match value {
            Ok(Value::Array(items)) => Some(items),
            Ok(object @ Value::Object(_)) => Some(vec![object]),
            Ok(Value::Null) => None,
            Ok(other) => {
                self.ignored.push(format!("{column}: not a list: {}", brief(&other)));
                None
            }
            Err(error) => {
                self.ignored.push(format!("{column}: not JSON: {error}"));
                None
            }
        }
    }
}

/// A career with its score as written: 0–1 or 0–100.
struct RawCareer {
    name: String,
    category: Option<String>,
    score: Option<f64>,
}

fn from_row(row: &StoredCareer) -> Option<RawCareer> {
    Some(RawCareer {
        name: career_name(row.job_name.as_deref()?)?,
        category: row.category.as_deref().and_then(non_empty),
        score: row.match_score.as_deref().and_then(|score| score.trim().parse().ok()).and_then(known),
    })
}

fn from_json(item: &Value) -> Option<RawCareer> {
    if let Value::String(name) = item {
        return Some(RawCareer { name: career_name(name)?, category: None, score: None });
    }
    let first = |keys: [&str; 3]| keys.into_iter().find_map(|key| item.get(key));
    Some(RawCareer {
        name: career_name(first(["careerName", "name", "career_name"])?.as_str()?)?,
        category: item.get("category").and_then(Value::as_str).and_then(non_empty),
        score: first(["matchScore", "match_score", "score"]).and_then(number).and_then(known),
    })
}

/// A recommended career that scores 0 has no score: writers store 0.0 when they know none.
fn known(score: f64) -> Option<f64> {
    (score != 0.0).then_some(score)
}

/// The best [`MAX_CAREERS`], best first. If any score is above 1, all are per cent. A career without a
/// readable score ranks with the lowest of the others; where none has one, evidence alone decides.
fn best_careers(raw: Vec<RawCareer>, ignored: &mut Vec<String>) -> Vec<Career> {
    let per_cent = raw.iter().any(|career| career.score.is_some_and(|score| score > 1.0));
    let scale = if per_cent { 100.0 } else { 1.0 };
    let mut readable = |career: &RawCareer| {
        let score = career.score?;
        if (0.0..=scale).contains(&score) {
            return Some(MatchScore::from_fraction(score / scale));
        }
        ignored.push(format!("match score of {:?} out of range: {score}", career.name));
        None
    };
    let scores: Vec<_> = raw.iter().map(&mut readable).collect();
    let lowest = scores.iter().flatten().min().copied().unwrap_or(MatchScore::FULL);
    let mut careers: Vec<Career> = Vec::with_capacity(raw.len());
    for (career, score) in raw.into_iter().zip(scores) {
        careers.push(Career {
            name: career.name,
            category: career.category,
            match_score: score.unwrap_or(lowest),
        });
    }
    // Stable: equal scores keep the order of the analysis.
    careers.sort_by_key(|career| std::cmp::Reverse(career.match_score));
    let mut names = std::collections::HashSet::new();
    careers.retain(|career| names.insert(career.name.to_lowercase()));
    careers.truncate(MAX_CAREERS);
    careers
}

/// Interests that a writer has put into `{"description": …, "areas": […]}`; any other value alone.
fn in_areas(value: Value) -> Vec<Value> {
    match value {
        Value::Object(mut fields) => match fields.remove("areas") {
            Some(Value::Array(areas)) => areas,
            Some(areas) => vec![areas],
            None => vec![Value::Object(fields)],
        },
        value => vec![value],
    }
}

/// Whether an item has a level that says what the user is *not* looking for.
fn is_low(item: &Value) -> bool {
    item.get("level").and_then(number).is_some_and(|level| level < MIN_INTEREST_LEVEL)
}

/// Terms of a column: JSON, also JSON that was encoded twice, or plain text with separators.
fn collect_terms_of_text(text: &str, terms: &mut Vec<String>) {
    match serde_json::from_str(text) {
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(value @ (Value::Array(_) | Value::Object(_))) => collect_terms(value, terms),
            _ => split_terms(&inner, terms),
        },
        Ok(value) => collect_terms(value, terms),
        Err(_) => split_terms(text, terms),
    }
}

/// Terms of a list, or of an object: its name, its areas, or its texts, or its keys where the values are numbers.
/// Items of a low level and descriptions have none.
fn collect_terms(value: Value, terms: &mut Vec<String>) {
    if is_low(&value) {
        return;
    }
    match value {
        Value::String(text) => split_terms(&text, terms),
        Value::Array(items) => items.into_iter().for_each(|item| collect_terms(item, terms)),
        Value::Object(mut fields) => match fields.remove("name").or_else(|| fields.remove("areas")) {
            Some(named) => collect_terms(named, terms),
            None => fields.into_iter().for_each(|(key, value)| match value {
                _ if key == "description" || key == "level" => {}
                Value::Number(_) | Value::Bool(true) => terms.extend(term(&key)),
                value => collect_terms(value, terms),
            }),
        },
        _ => {}
    }
}

fn split_terms(text: &str, terms: &mut Vec<String>) {
    terms.extend(text.split(|c: char| ",;\n\r\t|·•/、".contains(c)).filter_map(term));
}

fn term(text: &str) -> Option<String> {
    non_empty(text).filter(|text| text.chars().count() <= MAX_TERM_CHARS)
}

fn career_name(text: &str) -> Option<String> {
    non_empty(text).filter(|name| name.chars().count() <= MAX_NAME_CHARS)
}

/// The text with white space and control characters folded, if anything is left.
fn non_empty(text: &str) -> Option<String> {
    let folded = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let folded = folded.collect::<Vec<_>>().join(" ");
    (!folded.is_empty()).then_some(folded)
}

/// A number, or a text that holds one, with or without a per-cent sign.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        _ => None,
    }
}

fn brief(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::CareerAnalysis;

    fn careers(json: &str) -> Vec<(String, u16)> {
        let inputs = Inputs::parse(&StoredAnalysis {
            career_analysis: Some(CareerAnalysis {
                recommended_careers: Some(json.to_owned()),
                interest_areas: None,
            }),
            ..StoredAnalysis::default()
        });
        let careers = inputs.profile.careers.into_iter();
        careers.map(|career| (career.name, career.match_score.basis_points())).collect()
    }

    fn strengths(strengths: &str) -> Vec<String> {
        let profile = ProfileAnalysis { strengths: Some(strengths.to_owned()), ..ProfileAnalysis::default() };
        Inputs::parse(&StoredAnalysis { profile: Some(profile), ..StoredAnalysis::default() })
            .profile
            .strengths
    }

    #[test]
    fn every_spelling_of_a_careers_name_is_read() {
        let json = r#"[{"careerName":"가"},{"name":"나"},{"career_name":"다"},"라",{"other":1},7,null]"#;
        let names: Vec<_> = careers(json).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["가", "나", "다", "라"]);
    }

    #[test]
    fn scores_are_fractions_unless_one_of_them_is_above_one() {
        let fractions = r#"[{"name":"a","matchScore":0.57},{"name":"b","matchScore":1}]"#;
        assert_eq!(careers(fractions), [("b".to_owned(), 10_000), ("a".to_owned(), 5_700)]);
        let per_cent =
            r#"[{"name":"a","matchScore":57},{"name":"b","matchScore":1},{"name":"c","matchScore":"80%"}]"#;
        let expected = [("c".to_owned(), 8_000), ("a".to_owned(), 5_700), ("b".to_owned(), 100)];
        assert_eq!(careers(per_cent), expected);
    }

    #[test]
    fn a_missing_score_ranks_with_the_lowest_and_is_never_invented() {
        assert_eq!(careers(r#"["a","b"]"#), [("a".to_owned(), 10_000), ("b".to_owned(), 10_000)]);
        let mixed = r#"[{"name":"a"},{"name":"b","matchScore":0.9},{"name":"c","matchScore":0.4},{"name":"d","matchScore":-3}]"#;
        let scores: Vec<_> = careers(mixed).into_iter().map(|(_, score)| score).collect();
        assert_eq!(scores, [9_000, 4_000, 4_000, 4_000]);
    }

    #[test]
    fn a_score_of_zero_is_unknown() {
        let all = r#"[{"name":"a","matchScore":0.0},{"name":"b","matchScore":0}]"#;
        assert_eq!(careers(all), [("a".to_owned(), 10_000), ("b".to_owned(), 10_000)]);
        let one = r#"[{"name":"a","matchScore":"0.0"},{"name":"b","matchScore":0.8}]"#;
        assert_eq!(careers(one), [("a".to_owned(), 8_000), ("b".to_owned(), 8_000)]);
    }

    #[test]
    fn interests_have_levels_in_every_form_and_a_low_level_is_no_interest() {
        let object = r#"{"description":"조용한 일, 글쓰기를 좋아함","areas":[
            {"name":"데이터","level":8,"description":"분석, 통계"},{"name":"영업","level":2},{"name":"글쓰기"}]}"#;
        let encoded_twice = serde_json::to_string(object).unwrap();
        let list = r#"[{"name":"데이터","level":"8"},{"name":"영업","level":"2"},"글쓰기"]"#;
        for form in [object, &encoded_twice, list] {
            assert_eq!(strengths(form), ["데이터", "글쓰기"], "{form}");
            let inputs = Inputs::parse(&StoredAnalysis {
                career_analysis: Some(CareerAnalysis {
                    recommended_careers: None,
                    interest_areas: Some(form.to_owned()),
                }),
                ..StoredAnalysis::default()
            });
            assert_eq!(inputs.profile.interests, ["데이터", "글쓰기"], "{form}");
        }
        assert_eq!(strengths("\"데이터, 글쓰기\""), ["데이터", "글쓰기"]);
        assert!(strengths(r#"{"description":"아직 모름","areas":[]}"#).is_empty());
        assert!(strengths("{}").is_empty() && strengths("null").is_empty() && strengths("").is_empty());
    }

    #[test]
    fn careers_of_job_recommendations_are_preferred() {
        let inputs = Inputs::parse(&StoredAnalysis {
            job_recommendations: vec![StoredCareer {
                job_name: Some("회계사".into()),
                match_score: Some("92.5".into()),
                category: Some("금융".into()),
            }],
            career_analysis: Some(CareerAnalysis {
                recommended_careers: Some(r#"["요리사"]"#.into()),
                interest_areas: Some(
                    r#"[{"name":"숫자","level":8},{"name":"운동","level":2},"독서"]"#.into(),
                ),
            }),
            profile: None,
        });
        assert_eq!(inputs.profile.careers[0].name, "회계사");
        assert_eq!(inputs.profile.careers[0].match_score.basis_points(), 9_250);
        assert_eq!(inputs.profile.interests, ["숫자", "독서"]);
        assert!(inputs.ignored.is_empty());
    }

    #[test]
    fn terms_are_read_from_lists_objects_and_plain_text() {
        let expected = ["Java", "문제 해결"];
        assert_eq!(strengths(r#"["Java", "문제 해결", "java"]"#), expected);
        assert_eq!(strengths(r#"[{"name":"Java"},{"name":"문제 해결"}]"#), expected);
        assert_eq!(strengths(r#"{"기술":["Java"],"성향":"문제 해결"}"#), expected);
        assert_eq!(strengths(r#"{"Java":90,"문제 해결":80}"#), expected);
        assert_eq!(strengths("Java, 문제   해결"), expected);
        assert!(strengths(&"아주 긴 문장입니다 ".repeat(10)).is_empty());
    }

    #[test]
    fn rubbish_is_reported_and_ignored() {
        let inputs = Inputs::parse(&StoredAnalysis {
            career_analysis: Some(CareerAnalysis {
                recommended_careers: Some("{{{ not json".into()),
                interest_areas: Some("42".into()),
            }),
            ..StoredAnalysis::default()
        });
        assert!(inputs.has_analysis && inputs.profile.careers.is_empty());
        assert_eq!(inputs.ignored.len(), 2);
    }

    #[test]
    fn years_of_experience_are_found_in_prose() {
        assert_eq!(experience_years("백엔드 경력 3년의 개발자"), Some(3));
        assert_eq!(experience_years("5년차 디자이너"), Some(5));
        assert_eq!(experience_years("7 years in data"), Some(7));
        assert_eq!(experience_years("신입으로 지원합니다"), Some(0));
        assert_eq!(experience_years("2019년에 졸업"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_fail(text in ".{0,80}", json in "[\\[\\]{}\",:a-z0-9.\\-]{0,40}") {
            for text in [text, json] {
                let inputs = Inputs::parse(&StoredAnalysis {
                    job_recommendations: vec![StoredCareer { job_name: Some(text.clone()), ..StoredCareer::default() }],
                    career_analysis: Some(CareerAnalysis {
                        recommended_careers: Some(text.clone()),
                        interest_areas: Some(text.clone()),
                    }),
                    profile: Some(ProfileAnalysis {
                        interests: Some(text.clone()),
                        strengths: Some(text.clone()),
                        goals: Some(text.clone()),
                        summary: Some(text),
                    }),
                });
                prop_assert!(inputs.profile.careers.len() <= MAX_CAREERS);
                prop_assert!(inputs.profile.interests.len() <= MAX_TERMS);
            }
        }
    }
}
