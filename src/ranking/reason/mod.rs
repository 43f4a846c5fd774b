//! Why a listing is recommended: the stored data and the Korean sentences. Only evidence is stated.

mod evidence;
mod particles;
mod sentences;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::evidence::Evidence;
use self::sentences::{EXPERIENCE_SENTENCE, career_sentence, skills_sentence};
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
    let components = query.components(segment, candidate, skills);
    let skills = named(&query.skills, &segment.skills, candidate.listing);
    let interests = named(&query.interests, &segment.interests, candidate.listing);

    let mut sentences = Vec::new();
    let mut data = Map::new();
    if hit.score < RIGHT {
        data.insert("tier".to_owned(), "related".into());
    }
    data.insert("matchedCareer".to_owned(), career.name.clone().into());
    if let Some(category) = career.category.as_ref().or(index.plan.sector.as_ref()) {
        data.insert("careerCategory".to_owned(), category.clone().into());
    }
    let candidates = index.candidates.get(hit.segment);
    if let Some(evidence) = Evidence::find(&index.plan, candidates, segment, candidate) {
        sentences.push(career_sentence(&career.name, &evidence));
        data.insert("matchedPhrase".to_owned(), evidence.phrase.text.clone().into());
        data.insert("matchedIn".to_owned(), "title".into());
        data.insert("matchedWords".to_owned(), evidence.words.into());
    }
    sentences.extend(skills_sentence(&skills));
    if components.experience == Component::Known(FULL) {
        sentences.push(EXPERIENCE_SENTENCE.to_owned());
    }
    data.insert("matchedSkills".to_owned(), skills.into());
    data.insert("matchedInterests".to_owned(), interests.into());
    data.insert("breakdown".to_owned(), components.breakdown(hit.score).into());
    let data = Value::Object(data).to_string();
    Recommendation { listing_id: ListingId(hit.id), score: hit.score, reason: sentences.join(" "), data }
}

/// The terms that a listing names.
fn named(terms: &[Term], naming: &[Arc<ListingSet>], listing: u16) -> Vec<String> {
    let found = terms.iter().zip(naming).filter(|(_, naming)| naming.contains(listing));
    found.map(|(term, _)| term.spelling.clone()).collect()
}
