//! Sample users, as rows of the tables that other services own.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Whether any of the tables that the sample fills has a row, as 0 or 1.
pub(super) const ANY_ROW: &str = "\
    SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM profile_analysis) \
           OR EXISTS (SELECT 1 FROM career_sessions) OR EXISTS (SELECT 1 FROM career_analyses) \
           OR EXISTS (SELECT 1 FROM job_recommendations) OR EXISTS (SELECT 1 FROM job_listings)";

/// A sample user with the rows that other services would have stored. Texts are as the columns hold them.
#[derive(Debug, Deserialize)]
pub struct SampleUser {
    pub user_id: i64,
    pub is_active: bool,
    #[serde(default)]
    pub profile_analysis: Option<SampleProfile>,
    #[serde(default)]
    pub career_analyses: Vec<SampleAnalysis>,
    #[serde(default)]
    pub job_recommendations: Vec<SampleCareer>,
}

/// A row of `profile_analysis`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SampleProfile {
    pub personality: Option<String>,
    pub values: Option<String>,
    pub interests: Option<String>,
    pub strengths: Option<String>,
    pub goals: Option<String>,
    pub values_list: Option<String>,
    pub mbti: Option<String>,
    pub summary: Option<String>,
}

/// A row of `career_analyses` with its session.
#[derive(Debug, Deserialize)]
pub struct SampleAnalysis {
    pub session_id: String,
    pub recommended_careers: Option<String>,
    pub interest_areas: Option<String>,
    pub personality_type: Option<String>,
    pub emotion_score: Option<f64>,
    pub analyzed_at: DateTime<Utc>,
}

/// A row of `job_recommendations`.
#[derive(Debug, Deserialize)]
pub struct SampleCareer {
    pub job_name: String,
    pub job_code: Option<String>,
    pub match_score: Option<f64>,
    pub category: Option<String>,
    pub description: Option<String>,
}
