//! The sample users, as rows of the tables that other services own.

use serde::Deserialize;
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::super::StoreError;

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
    pub analyzed_at: String,
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

pub(super) async fn users(pool: &SqlitePool, users: &[SampleUser]) -> Result<(), StoreError> {
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
    query("INSERT INTO users (user_id, is_active) VALUES (?, ?)")
        .bind(user.user_id)
        .bind(user.is_active)
        .execute(&mut *connection)
        .await?;
    if let Some(profile) = &user.profile_analysis {
        query(
            "INSERT INTO profile_analysis (user_id, personality, \"values\", interests, strengths, goals, \
                    values_list, mbti, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
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
        query(
            "INSERT INTO job_recommendations (user_id, job_name, job_code, match_score, category, description) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
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
    let session = query("INSERT INTO career_sessions (session_id, user_id) VALUES (?, ?)")
        .bind(&analysis.session_id)
        .bind(user.user_id.to_string())
        .execute(&mut *connection)
        .await?
        .last_insert_rowid();
    query(
        "INSERT INTO career_analyses (session_id, recommended_careers, interest_areas, personality_type, \
                emotion_score, analyzed_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
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
