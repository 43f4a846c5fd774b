//! `GET /api/job-agent/recommendations/by-careers/{user_id}?limit=20`: the stored list with the careers that it
//! stands for. Other parameters are ignored: the service that this one replaces searched per request, and its
//! callers still send how.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::error::{ApiError, NotCalculated};
use super::input::{Parameters, User};
use super::{ApiState, read, timestamp};
use crate::profile::{CareerSource, Inputs};
use crate::storage::StoredRecommendation;

/// The answer: the stored list, best first, or why the user cannot have one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    success: bool,
    recommendations: Vec<Recommendation>,
    /// The recommendations in this answer.
    total_count: usize,
    /// All that are stored, regardless of the limit; also those of earlier analyses, until a run removes them.
    stored_count: i64,
    /// The user's careers, best first.
    career_names: Vec<String>,
    data_source: Option<CareerSource>,
    /// Whether the recommendations are those of a stored list.
    cached: bool,
    ai_analyzed: bool,
    #[serde(flatten)]
    problem: Option<Problem>,
}

/// Why the user cannot have a list. One page shows `error`, another one `detail`: both are the message.
#[derive(Serialize)]
struct Problem {
    error: &'static str,
    code: &'static str,
    detail: &'static str,
}

/// A listing as the page shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recommendation {
    /// Decimal digits: the page reads a text.
    id: String,
    title: String,
    company: String,
    location: String,
    url: String,
    description: String,
    site_name: String,
    experience: String,
    match_score: f64,
    match_reason: String,
    matched_careers: Vec<String>,
    required_skills: Vec<String>,
    /// The user's skills that the listing names.
    skill_match: Vec<String>,
    crawled_at: Option<String>,
}

pub(super) async fn by_careers(
    State(api): State<ApiState>,
    User(user): User,
    parameters: Parameters,
) -> Result<Json<List>, ApiError> {
    let limit = parameters.integer("limit", 1..=100, 20, "1–100")?;
    let (analysis, mut list) = read(async {
        let analysis = api.store.analysis(user).await?;
        Ok((analysis, api.store.stored_list(user, limit.into(), 0).await?))
    })
    .await?;
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
        problem,
    }))
}

fn problem(inputs: &Inputs) -> Option<Problem> {
    let why = match (inputs.has_careers(), inputs.has_analysis) {
        (true, _) => return None,
        (false, true) => NotCalculated::NoJobRecommendations,
        (false, false) => NotCalculated::NoProfileAnalysis,
    };
    Some(Problem { error: why.message(), code: why.code(), detail: why.message() })
}

impl From<StoredRecommendation> for Recommendation {
    fn from(row: StoredRecommendation) -> Self {
        let evidence = |key| row.data.get(key).map(texts).unwrap_or_default();
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
            crawled_at: row.crawled_at.map(timestamp),
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
