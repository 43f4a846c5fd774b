//! Why a listing is recommended: the stored data and the Korean sentences. Only evidence is stated.

mod evidence;
mod particles;
mod sentences;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use self::evidence::Evidence;
use self::sentences::{EXPERIENCE_SENTENCE, career_sentence, licence_sentence, skills_sentence};
use crate::domain::{ListingId, Recommendation};
use crate::ranking::index::listing_set::ListingSet;
use crate::ranking::score::{Component, FULL, RIGHT};
use crate::ranking::search::query::{Query, Term};
use crate::ranking::search::top_hits::Hit;

/// The recommendation for a hit: its score with the breakdown, the reason, and the evidence.
pub fn explain(query: &Query<'_>, hit: &Hit) -> Recommendation {
    let (career, index) = &query.careers[hit.career];
    let segment = &query.segments[hit.segment];
    let candidate = &hit.candidate;
    let skill_count = segment.skill_counts.count(candidate.listing);
    let skills = query.skills_component(segment, candidate.listing, skill_count);
    let interests = query.interests_component(segment, candidate.listing);
    let components = query.components(segment, candidate, skills, interests);
    let skills = named(&query.skills, &segment.skills, candidate.listing);
    let interests = named(&query.interests, &segment.interests, candidate.listing);

    let candidates = index.candidates.get(hit.segment);
    let evidence = Evidence::find(&index.plan, candidates, segment, candidate);
    let licence = query.missing_licence(segment, candidate.listing).map(|licence| licence.name());

    let mut sentences = Vec::new();
    sentences.extend(evidence.as_ref().map(|evidence| career_sentence(&career.name, evidence)));
    sentences.extend(skills_sentence(&skills));
    if components.experience == Component::Known(FULL) {
        sentences.push(EXPERIENCE_SENTENCE.to_owned());
    }
    sentences.extend(licence.map(licence_sentence));
    let data = Data {
        breakdown: components.breakdown(hit.score),
        career_category: career.category.as_deref().or(index.plan.sector.as_deref()),
        matched_career: &career.name,
        matched_in: evidence.as_ref().map(|_| "title"),
        matched_interests: interests,
        matched_phrase: evidence.as_ref().map(|evidence| evidence.phrase.text.as_str()),
        matched_skills: skills,
        matched_words: evidence.as_ref().map(|evidence| evidence.words.as_slice()),
        missing_licence: licence,
        tier: (hit.score < RIGHT).then_some("related"),
    };
    Recommendation {
        listing_id: ListingId(hit.id),
        score: hit.score,
        reason: sentences.join(" "),
        data: serde_json::to_string(&data).expect("texts and numbers are JSON"),
    }
}

/// The stored data, in the order of its keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    breakdown: BTreeMap<&'static str, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    career_category: Option<&'a str>,
    matched_career: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_in: Option<&'static str>,
    matched_interests: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_phrase: Option<&'a str>,
    matched_skills: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_words: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_licence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
}

/// The terms that a listing names.
fn named<'t>(terms: &'t [Term], naming: &[Arc<ListingSet>], listing: u16) -> Vec<&'t str> {
    let found = terms.iter().zip(naming).filter(|(_, naming)| naming.contains(listing));
    found.map(|(term, _)| term.spelling.as_str()).collect()
}
