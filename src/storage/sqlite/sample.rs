//! The sample users, as rows of the tables that other services own.

use serde::Deserialize;
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::storage::StoreError;

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
    /// A JSON array of careers.
    pub recommended_careers: Option<String>,
    /// A JSON array of interests.
    pub interest_areas: Option<String>,
    /// Free text.
    pub personality_type: Option<String>,
    /// From 0 to 100.
    pub emotion_score: Option<f64>,
    /// When the session was analysed, in UTC.
    pub analyzed_at: String,
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

const USER: &str = r"
INSERT INTO users (user_id, is_active) VALUES (?, ?)
";

const PROFILE: &str = r#"
INSERT INTO profile_analysis
    (user_id, personality, "values", interests, strengths, goals, values_list, mbti, summary)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"#;

const CAREER: &str = r"
INSERT INTO job_recommendations (user_id, job_name, job_code, match_score, category, description)
VALUES (?, ?, ?, ?, ?, ?)
";

const SESSION: &str = r"
INSERT INTO career_sessions (session_id, user_id) VALUES (?, ?)
";

const ANALYSIS: &str = r"
INSERT INTO career_analyses
    (session_id, recommended_careers, interest_areas, personality_type, emotion_score, analyzed_at)
VALUES (?, ?, ?, ?, ?, ?)
";

pub(super) async fn insert(pool: &SqlitePool, users: &[SampleUser]) -> Result<(), StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for user in users {
        insert_user(&mut transaction, user).await?;
        for analysis in &user.career_analyses {
            insert_analysis(&mut transaction, user, analysis).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

async fn insert_user(connection: &mut SqliteConnection, user: &SampleUser) -> Result<(), StoreError> {
    query(USER).bind(user.user_id).bind(user.is_active).execute(&mut *connection).await?;
    if let Some(profile) = &user.profile_analysis {
        query(PROFILE)
            .bind(user.user_id)
            .bind(&profile.personality)
            .bind(&profile.values)
            .bind(&profile.interests)
            .bind(&profile.strengths)
            .bind(&profile.goals)
            .bind(&profile.values_list)
            .bind(&profile.mbti)
            .bind(&profile.summary)
            .execute(&mut *connection)
            .await?;
    }
    for career in &user.job_recommendations {
        query(CAREER)
            .bind(user.user_id)
            .bind(&career.job_name)
            .bind(&career.job_code)
            .bind(career.match_score)
            .bind(&career.category)
            .bind(&career.description)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn insert_analysis(
    connection: &mut SqliteConnection,
    user: &SampleUser,
    analysis: &SampleAnalysis,
) -> Result<(), StoreError> {
    let session = query(SESSION)
        .bind(&analysis.session_id)
        .bind(user.user_id.to_string())
        .execute(&mut *connection)
        .await?
        .last_insert_rowid();
    query(ANALYSIS)
        .bind(session)
        .bind(&analysis.recommended_careers)
        .bind(&analysis.interest_areas)
        .bind(&analysis.personality_type)
        .bind(analysis.emotion_score)
        .bind(&analysis.analyzed_at)
        .execute(connection)
        .await?;
    Ok(())
}
