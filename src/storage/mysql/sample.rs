//! Loading the sample.

use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Connection, query, query_scalar};

use super::super::sample::{ANY_ROW, SampleAnalysis, SampleUser};
use super::super::{ListingRecord, StoreError};
use super::{import, session};

/// In one transaction, one instance at a time: all or nothing, once. Returns whether the tables were empty, and
/// so filled.
pub(super) async fn load(
    pool: &MySqlPool,
    users: &[SampleUser],
    listings: &[ListingRecord],
) -> Result<bool, StoreError> {
    let mut connection = pool.acquire().await?;
    session::lock_schema(&mut connection).await?;
    let loaded = load_alone(&mut connection, users, listings).await;
    session::unlock_schema(&mut connection).await?;
    loaded
}

async fn load_alone(
    connection: &mut MySqlConnection,
    users: &[SampleUser],
    listings: &[ListingRecord],
) -> Result<bool, StoreError> {
    let mut transaction = connection.begin().await?;
    if query_scalar::<_, i64>(ANY_ROW).fetch_one(&mut *transaction).await? != 0 {
        return Ok(false);
    }
    for user in users {
        insert_user(&mut transaction, user).await?;
        for analysis in &user.career_analyses {
            insert_analysis(&mut transaction, user, analysis).await?;
        }
    }
    import::listings(&mut *transaction, listings).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn insert_user(connection: &mut MySqlConnection, user: &SampleUser) -> Result<(), StoreError> {
    query("INSERT INTO users (user_id, is_active) VALUES (?, ?)")
        .bind(user.user_id)
        .bind(user.is_active)
        .execute(&mut *connection)
        .await?;
    if let Some(profile) = &user.profile_analysis {
        query(
            "INSERT INTO profile_analysis (user_id, personality, `values`, interests, strengths, goals, \
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
    connection: &mut MySqlConnection,
    user: &SampleUser,
    analysis: &SampleAnalysis,
) -> Result<(), StoreError> {
    let session = query("INSERT INTO career_sessions (session_id, user_id) VALUES (?, ?)")
        .bind(&analysis.session_id)
        .bind(user.user_id.to_string())
        .execute(&mut *connection)
        .await?
        .last_insert_id();
    query(
        "INSERT INTO career_analyses (session_id, recommended_careers, interest_areas, personality_type, \
                emotion_score, analyzed_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(session)
    .bind(&analysis.recommended_careers)
    .bind(&analysis.interest_areas)
    .bind(&analysis.personality_type)
    .bind(analysis.emotion_score)
    .bind(analysis.analyzed_at.naive_utc())
    .execute(connection)
    .await?;
    Ok(())
}
