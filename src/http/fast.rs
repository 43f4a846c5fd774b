//! `GET /api/job-agent/recommendations/fast/{user_id}?limit=20&min_score=0`: the stored list.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::error::ApiError;
use super::input::{Parameters, User};
use super::{ApiState, openapi, read, timestamp};
use crate::storage::{StoredList, StoredRecommendation};

/// The stored list, best first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredList)]
struct List<'a> {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    #[schema(value_type = Vec<Listing>)]
    recommendations: Vec<Recommendation<'a>>,
    /// The recommendations in this answer.
    total_count: usize,
    /// All that are stored, regardless of `limit` and `min_score`.
    stored_count: i64,
    /// Whether the user has a stored list.
    cached: bool,
    /// When a run last wrote the list.
    #[schema(format = DateTime, required)]
    calculated_at: Option<String>,
    /// Always `null`.
    #[schema(required)]
    error: Option<String>,
}

/// A recommendation: columns of its listing and of the row, and every other key of the row's data.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Recommendation)]
struct Listing<'a> {
    id: i64,
    title: &'a str,
    company: &'a str,
    location: &'a str,
    url: &'a str,
    /// The beginning of the posting's text.
    description: &'a str,
    site_name: &'a str,
    /// Comma- or line-separated.
    tech_stack: &'a str,
    /// Free text or JSON.
    required_skills: &'a str,
    /// Points, 0 to 100.
    match_score: f64,
    /// Korean, for users.
    match_reason: &'a str,
    /// The required experience in the site's own words.
    experience: &'a str,
    /// The career that the listing was found for, or `null`.
    #[schema(value_type = Value, required)]
    matched_career: Option<&'a RawValue>,
    /// Its category, or `null`.
    #[schema(value_type = Value, required)]
    career_category: Option<&'a RawValue>,
}

/// The keys of [`Listing`] that hide those of the row's data.
const LISTING_KEYS: [&str; 12] = [
    "id",
    "title",
    "company",
    "location",
    "url",
    "description",
    "siteName",
    "techStack",
    "requiredSkills",
    "matchScore",
    "matchReason",
    "experience",
];

/// The listing's columns, the score, and every other key of the row's data, which is passed on as it is stored.
#[derive(Serialize)]
struct Recommendation<'a> {
    #[serde(flatten)]
    listing: Listing<'a>,
    #[serde(flatten)]
    other: BTreeMap<Key<'a>, &'a RawValue>,
}

/// A key of the row's data.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Borrow<str> for Key<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The user's stored list.
///
/// Nothing is calculated. Each recommendation has a `breakdown`, whose parts sum to the score.
#[utoipa::path(
    get,
    path = "/fast/{user_id}",
    tag = "recommendations",
    params(
        User,
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Most recommendations; 20 if absent."),
        ("min_score" = Option<u8>, Query, minimum = 0, maximum = 100, description = "Least score; 0 if absent."),
    ),
    responses(
        (status = 200, body = List, description = "The list; empty if the user has none.", examples(
            ("list" = (value = json!({
                "success": true,
                "recommendations": [{
                    "id": 121, "title": "[긴급] 백엔드 개발자 (Java/Spring) 채용", "company": "㈜너울페이테크",
                    "location": "서울 강남구", "url": "https://example.com/samplejob/jobs/48120833",
                    "description": "간편결제와 정산을 처리하는 서버를 함께 만들 백엔드 개발자를 찾습니다.",
                    "siteName": "샘플잡", "techStack": "Java, Spring Boot", "requiredSkills": "Java, Spring Boot",
                    "experience": "경력 3~5년", "matchScore": 91.74,
                    "matchReason": "공고 제목이 추천 직업 '백엔드 개발자'와 일치합니다.",
                    "matchedCareer": "백엔드 개발자", "careerCategory": "IT·개발", "matchedIn": "title",
                    "matchedPhrase": "백엔드 개발자", "matchedWords": ["백엔드", "개발자"],
                    "matchedSkills": ["Java", "Spring Boot"], "matchedInterests": [],
                    "breakdown": {"title": 57.0, "skills": 28.5, "experience": 4.75, "interests": 0.0, "freshness": 1.49},
                }],
                "totalCount": 1, "storedCount": 50, "cached": true, "calculatedAt": "2026-11-22T16:52:25Z", "error": null,
            }))),
            ("none" = (value = json!({
                "success": true, "recommendations": [], "totalCount": 0, "storedCount": 0, "cached": false,
                "calculatedAt": null, "error": null,
            }))),
        )),
    ),
)]
pub(super) async fn fast(
    State(api): State<ApiState>,
    User(user): User,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let limit = parameters.integer("limit", 1..=100, 20, "1–100")?;
    let min_score = parameters.integer("min_score", 0..=100, 0, "0–100")?;
    let list = read(&api, api.store.stored_list(user, limit.into(), min_score)).await?;
    let StoredList { rows, stored_count, calculated_at } = &list;
    let answer = List {
        success: true,
        total_count: rows.len(),
        stored_count: *stored_count,
        recommendations: rows.iter().map(Into::into).collect(),
        cached: *stored_count > 0,
        calculated_at: calculated_at.map(timestamp),
        error: None,
    };
    Ok(Json(answer).into_response())
}

impl<'a> From<&'a StoredRecommendation> for Recommendation<'a> {
    fn from(row: &'a StoredRecommendation) -> Self {
        // Whatever is not an object has no keys.
        let mut other: BTreeMap<Key<'_>, &RawValue> = serde_json::from_str(&row.data).unwrap_or_default();
        let (matched_career, career_category) =
            (other.remove("matchedCareer"), other.remove("careerCategory"));
        other.retain(|key, _| !LISTING_KEYS.contains(&&*key.0));
        let listing = Listing {
            id: row.listing_id.0,
            title: &row.title,
            company: &row.company,
            location: &row.location,
            url: &row.url,
            description: &row.description,
            site_name: &row.site_name,
            tech_stack: &row.tech_stack,
            required_skills: &row.required_skills,
            match_score: row.match_score,
            match_reason: &row.match_reason,
            experience: &row.experience,
            matched_career,
            career_category,
        };
        Self { listing, other }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::ListingId;

    #[test]
    fn columns_hide_the_keys_of_the_data_and_every_other_key_is_passed_on_once() {
        let mut data: BTreeMap<_, _> = LISTING_KEYS.map(|key| (key, json!("of the data"))).into();
        data.extend([
            ("matchedCareer", json!("간호사")),
            ("careerCategory", json!(null)),
            ("other", json!([1])),
        ]);
        let row = StoredRecommendation {
            listing_id: ListingId(7),
            title: String::new(),
            company: String::new(),
            location: String::new(),
            url: String::new(),
            description: String::new(),
            site_name: String::new(),
            tech_stack: String::new(),
            required_skills: String::new(),
            experience: String::new(),
            crawled_at: String::new(),
            match_score: 50.0,
            match_reason: String::new(),
            data: json!(data).to_string(),
        };
        let text = serde_json::to_string(&Recommendation::from(&row)).unwrap();
        let answer: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        let keys: BTreeSet<&str> = answer.keys().map(String::as_str).collect();
        assert_eq!(keys, data.keys().copied().collect());
        assert!(!text.contains("of the data"), "{text}");
        assert_eq!(text.matches("\":").count(), data.len(), "each key once: {text}");
        assert_eq!((&answer["matchedCareer"], &answer["other"]), (&json!("간호사"), &json!([1])));
    }
}
