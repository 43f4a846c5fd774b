//! The sample users, as rows of the tables that other services own.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A sample user with the rows that other services would have stored. Texts are as the columns hold them.
#[derive(Debug, Deserialize)]
pub struct SampleUser {
    /// The id, 1 or more.
    pub user_id: i64,
    /// Whether batches include the user.
    pub is_active: bool,
    /// The user's row of `profile_analysis`.
    #[serde(default)]
    pub profile_analysis: Option<SampleProfile>,
    /// The user's rows of `career_analyses`.
    #[serde(default)]
    pub career_analyses: Vec<SampleAnalysis>,
    /// The user's rows of `job_recommendations`.
    #[serde(default)]
    pub job_recommendations: Vec<SampleCareer>,
}

/// A row of `profile_analysis`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SampleProfile {
    /// A JSON array or free text.
    pub personality: Option<String>,
    /// A JSON array or free text.
    pub values: Option<String>,
    /// A JSON array or free text.
    pub interests: Option<String>,
    /// A JSON array or free text.
    pub strengths: Option<String>,
    /// A JSON array or free text.
    pub goals: Option<String>,
    /// A JSON array or free text.
    pub values_list: Option<String>,
    /// The personality type, such as `INTJ`.
    pub mbti: Option<String>,
    /// A JSON array or free text.
    pub summary: Option<String>,
}

/// A row of `career_analyses` with its session.
#[derive(Debug, Deserialize)]
pub struct SampleAnalysis {
    /// The key of the session in `career_sessions`.
    pub session_id: String,
    /// A JSON array of careers, or free text.
    pub recommended_careers: Option<String>,
    /// A JSON array of interests, or free text.
    pub interest_areas: Option<String>,
    /// Free text.
    pub personality_type: Option<String>,
    /// From 0 to 100.
    pub emotion_score: Option<f64>,
    /// When the session was analysed.
    pub analyzed_at: DateTime<Utc>,
}

/// A row of `job_recommendations`.
#[derive(Debug, Deserialize)]
pub struct SampleCareer {
    /// The career's name.
    pub job_name: String,
    /// The career's code in the occupation catalogue.
    pub job_code: Option<String>,
    /// How well the career fits, in per cent.
    pub match_score: Option<f64>,
    /// The career's category.
    pub category: Option<String>,
    /// Free text.
    pub description: Option<String>,
}
