//! `GET /api/job-agent/recommendations/by-careers/{user_id}?limit=20`: the stored list with the careers that it
//! stands for. Other parameters are ignored: the service that this one replaces searched per request, and its
//! callers still send how.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};

use super::error::{ApiError, NotCalculated};
use super::input::{Parameters, User};
use super::{ApiState, openapi, read, timestamp};
use crate::profile::{CareerSource, Inputs};
use crate::storage::StoredRecommendation;

/// The answer: the stored list, best first, or why the user cannot have one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListByCareers)]
pub(super) struct List {
    /// `false` if the user has no careers.
    success: bool,
    recommendations: Vec<Recommendation>,
    /// The recommendations in this answer.
    total_count: usize,
    /// All that are stored, regardless of the limit; also those of earlier analyses, until a run removes them.
    stored_count: i64,
    /// The user's careers, best first.
    career_names: Vec<String>,
    #[schema(schema_with = data_sources, required)]
    data_source: Option<CareerSource>,
    /// Whether the recommendations are those of a stored list.
    cached: bool,
    ai_analyzed: bool,
    /// Korean, for users: why the user cannot have a list. The same text as `detail`; one page shows this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes)]
    code: Option<&'static str>,
    /// Korean, for users: why the user cannot have a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'static str>,
}

/// A listing as the page shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecommendationByCareers)]
struct Recommendation {
    /// Decimal digits: the page reads a text.
    #[schema(pattern = "^-?[0-9]+$")]
    id: String,
    title: String,
    company: String,
    location: String,
    url: String,
    description: String,
    site_name: String,
    experience: String,
    /// Points, 0 to 100.
    match_score: f64,
    /// Korean, for users.
    match_reason: String,
    /// The career that the listing was found for.
    matched_careers: Vec<String>,
    /// As the listing states them.
    required_skills: Vec<String>,
    /// The user's skills that the listing names.
    skill_match: Vec<String>,
    #[schema(format = DateTime, required)]
    crawled_at: Option<String>,
}

fn codes() -> Object {
    let codes = [NotCalculated::NoProfileAnalysis.code(), NotCalculated::NoJobRecommendations.code()];
    openapi::one_of("Only if the user cannot have a list.", &codes)
}

fn data_sources() -> Schema {
    let description = "The table that the careers come from. `null` if there are none.";
    let values = [json!(CareerSource::JobRecommendations), json!(CareerSource::CareerAnalyses), Value::Null];
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).description(Some(description)).enum_values(Some(values)).into()
}

/// The user's list for the page of recommendations.
///
/// The stored list, best first, with the careers that it stands for. Nothing is searched or calculated.
#[utoipa::path(
    get,
    path = "/by-careers/{user_id}",
    tag = "recommendations",
    params(
        User,
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Most recommendations; 20 if absent."),
    ),
    responses(
        (status = 200, body = List, description = "The list, or why the user cannot have one.", examples(
            ("list" = (value = json!({
                "success": true,
                "recommendations": [{
                    "id": "121", "title": "[긴급] 백엔드 개발자 (Java/Spring) 채용", "company": "㈜너울페이테크",
                    "location": "서울 강남구", "url": "https://example.com/samplejob/jobs/48120833",
                    "description": "간편결제와 정산을 처리하는 서버를 함께 만들 백엔드 개발자를 찾습니다.",
                    "siteName": "샘플잡", "experience": "경력 3~5년", "matchScore": 91.74,
                    "matchReason": "공고 제목이 추천 직업 '백엔드 개발자'와 일치합니다.",
                    "matchedCareers": ["백엔드 개발자"], "requiredSkills": ["Java", "Spring Boot"],
                    "skillMatch": ["Java", "Spring Boot"], "crawledAt": "2026-10-09T05:02:53Z",
                }],
                "totalCount": 1, "storedCount": 50, "careerNames": ["백엔드 개발자", "서버 개발자"],
                "dataSource": "career_analyses", "cached": true, "aiAnalyzed": false,
            }))),
            ("no_profile_analysis" = (value = json!({
                "success": false, "recommendations": [], "totalCount": 0, "storedCount": 0, "careerNames": [],
                "dataSource": null, "cached": false, "aiAnalyzed": false,
                "error": NotCalculated::NoProfileAnalysis.message(),
                "code": NotCalculated::NoProfileAnalysis.code(),
                "detail": NotCalculated::NoProfileAnalysis.message(),
            }))),
        )),
    ),
)]
pub(super) async fn by_careers(
    State(api): State<ApiState>,
    User(user): User,
    parameters: Parameters,
) -> Result<Json<List>, ApiError> {
    let limit = parameters.integer("limit", 1..=100, 20, "1–100")?;
    let (mut list, analysis) = read(&api, api.store.list_with_analysis(user, limit.into())).await?;
    let inputs = Inputs::parse(&analysis);
    let problem = problem(&inputs);
    if problem.is_some() {
        // Rows of earlier analyses, which the next run removes.
        list.rows.clear();
    }
    Ok(Json(List {
        success: problem.is_none(),
        total_count: list.rows.len(),
        stored_count: list.stored_count,
        cached: !list.rows.is_empty(),
        recommendations: list.rows.into_iter().map(Recommendation::from).collect(),
        career_names: inputs.profile.careers.into_iter().map(|career| career.name).collect(),
        data_source: inputs.source,
        ai_analyzed: false,
        error: problem.map(NotCalculated::message),
        code: problem.map(NotCalculated::code),
        detail: problem.map(NotCalculated::message),
    }))
}

/// Why the user cannot have a list.
fn problem(inputs: &Inputs) -> Option<NotCalculated> {
    match (inputs.has_careers(), inputs.has_analysis) {
        (true, _) => None,
        (false, true) => Some(NotCalculated::NoJobRecommendations),
        (false, false) => Some(NotCalculated::NoProfileAnalysis),
    }
}

impl From<StoredRecommendation> for Recommendation {
    fn from(row: StoredRecommendation) -> Self {
        let data: Map<String, Value> = serde_json::from_str(&row.data).unwrap_or_default();
        let evidence = |key| data.get(key).map(texts).unwrap_or_default();
        let crawled_at = row.crawled_at().map(timestamp);
        Self {
            id: row.listing_id.to_string(),
            matched_careers: evidence("matchedCareer"),
            skill_match: evidence("matchedSkills"),
            required_skills: entries(&row.required_skills),
            title: row.title,
            company: row.company,
            location: row.location,
            url: row.url,
            description: row.description,
            site_name: row.site_name,
            experience: row.experience,
            match_score: row.match_score,
            match_reason: row.match_reason,
            crawled_at,
        }
    }
}

/// The entries of a column that holds JSON, or free text with separators, as written.
fn entries(column: &str) -> Vec<String> {
    match serde_json::from_str(column) {
        Ok(Value::String(inner)) => entries(&inner),
        Ok(json @ (Value::Array(_) | Value::Object(_))) => texts(&json),
        _ => {
            let mut in_entity = false;
            // The semicolon of an HTML entity separates nothing.
            let is_separator = |c: char| {
                let ends_entity = in_entity && c == ';';
                in_entity = c == '&' || in_entity && (c.is_ascii_alphanumeric() || c == '#');
                !ends_entity && matches!(c, ',' | ';' | '|' | '\n' | '\r')
            };
            column.split(is_separator).filter_map(non_empty).collect()
        }
    }
}

/// All texts in a JSON value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => non_empty(text).into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::entries;

    #[test]
    fn required_skills_are_listed_as_written_whatever_their_form() {
        let forms = [
            "Java, Spring Boot\nR&amp;D",
            "Java;Spring Boot|R&amp;D\r\n",
            r#"["Java", " Spring Boot", "", null, "R&amp;D"]"#,
            r#"[{"name": "Java", "level": 3}, "Spring Boot", "R&amp;D"]"#,
            r#""[\"Java\", \"Spring Boot\", \"R&amp;D\"]""#,
        ];
        for form in forms {
            assert_eq!(entries(form), ["Java", "Spring Boot", "R&amp;D"], "{form}");
        }
        assert_eq!(entries("AT&T; C++"), ["AT&T; C++"], "could be an entity");
        assert_eq!(entries("[not JSON"), ["[not JSON"]);
        assert_eq!(entries("3"), ["3"]);
        assert_eq!(entries(" , "), Vec::<String>::new());
    }
}
