//! Loading the sample.

use serde_json::Value;
use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection, query, query_scalar};

use super::source::{if_table_exists, source_table_names};
use super::{MysqlStore, import, migrations};
use crate::storage::sample::{SampleAnalysis, SampleUser};
use crate::storage::{ListingRecord, StoreError};

const USER: &str = r"
INSERT INTO users (user_id, is_active) VALUES (?, ?)
";

const PROFILE: &str = r"
INSERT INTO profile_analysis
    (user_id, personality, `values`, interests, strengths, goals, values_list, mbti, summary)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
";

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

/// In one transaction, one instance at a time. Returns whether the tables were empty, or not there, and are filled now.
pub(super) async fn load(
    store: &MysqlStore,
    users: &[SampleUser],
    listings: &[ListingRecord],
) -> Result<bool, StoreError> {
    let mut connection = store.pool.acquire().await?;
    migrations::lock_start(&mut connection).await?;
    let loaded = load_alone(store, &mut connection, users, listings).await;
    migrations::unlock_start(&mut connection).await?;
    loaded
}

async fn load_alone(
    store: &MysqlStore,
    connection: &mut MySqlConnection,
    users: &[SampleUser],
    listings: &[ListingRecord],
) -> Result<bool, StoreError> {
    for table in source_table_names() {
        let any_row = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        let any_row = query_scalar::<_, i64>(AssertSqlSafe(any_row)).fetch_one(&mut *connection).await;
        if if_table_exists(any_row)? == Some(1) {
            return Ok(false);
        }
    }
    migrations::create_source_tables(connection).await?;
    let columns = store.source.look(connection).await?;
    let mut transaction = connection.begin().await?;
    for user in users {
        insert_user(&mut transaction, user).await?;
        for analysis in &user.career_analyses {
            insert_analysis(&mut transaction, user, analysis).await?;
        }
    }
    import::import(&mut transaction, &columns, listings).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn insert_user(connection: &mut MySqlConnection, user: &SampleUser) -> Result<(), StoreError> {
    query(USER).bind(user.user_id).bind(user.is_active).execute(&mut *connection).await?;
    if let Some(profile) = &user.profile_analysis {
        query(PROFILE)
            .bind(user.user_id)
            .bind(&profile.personality)
            .bind(&profile.values)
            .bind(json(profile.interests.as_deref()))
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
    connection: &mut MySqlConnection,
    user: &SampleUser,
    analysis: &SampleAnalysis,
) -> Result<(), StoreError> {
    let session = query(SESSION)
        .bind(&analysis.session_id)
        .bind(user.user_id.to_string())
        .execute(&mut *connection)
        .await?
        .last_insert_id();
    query(ANALYSIS)
        .bind(session)
        .bind(json(analysis.recommended_careers.as_deref()))
        .bind(json(analysis.interest_areas.as_deref()))
        .bind(&analysis.personality_type)
        .bind(analysis.emotion_score)
        .bind(analysis.analyzed_at.naive_utc())
        .execute(connection)
        .await?;
    Ok(())
}

/// The text as a writer with a JSON column stores it: free text becomes a JSON string.
fn json(text: Option<&str>) -> Option<Json<Value>> {
    text.map(|text| Json(serde_json::from_str(text).unwrap_or_else(|_| text.into())))
}
