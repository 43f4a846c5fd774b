//! Loading the sample.

use chrono::SecondsFormat;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_scalar};

use super::listings;
use crate::storage::sample::{SampleAnalysis, SampleUser};
use crate::storage::{ListingRecord, StoreError};

/// Whether any of the tables that the sample fills has a row: 0 or 1.
const ANY_ROW: &str = r"
SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM profile_analysis)
    OR EXISTS (SELECT 1 FROM career_sessions) OR EXISTS (SELECT 1 FROM career_analyses)
    OR EXISTS (SELECT 1 FROM job_recommendations) OR EXISTS (SELECT 1 FROM job_listings)
";

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

/// In one transaction. Returns whether the tables were empty, and are filled now.
pub(super) async fn load(
    pool: &SqlitePool,
    users: &[SampleUser],
    listings: &[ListingRecord],
) -> Result<bool, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if query_scalar::<_, i64>(ANY_ROW).fetch_one(&mut *transaction).await? != 0 {
        return Ok(false);
    }
    for user in users {
        insert_user(&mut transaction, user).await?;
        for analysis in &user.career_analyses {
            insert_analysis(&mut transaction, user, analysis).await?;
        }
    }
    for listing in listings {
        listings::import(&mut transaction, listing).await?;
    }
    transaction.commit().await?;
    Ok(true)
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
        .bind(analysis.analyzed_at.to_rfc3339_opts(SecondsFormat::Secs, true))
        .execute(connection)
        .await?;
    Ok(())
}
