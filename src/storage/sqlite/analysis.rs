//! The analyses that a calculation reads; in SQLite any column may hold any type, so all are cast to text.

use sqlx::sqlite::SqlitePool;

use super::super::{MAX_CAREERS, StoreError, StoredAnalysis};
use crate::domain::UserId;

pub(super) async fn read(pool: &SqlitePool, user: UserId) -> Result<StoredAnalysis, StoreError> {
    let mut connection = pool.acquire().await?;
    let job_recommendations = sqlx::query_as(
        "SELECT CAST(j.job_name AS TEXT) AS job_name, CAST(j.match_score AS TEXT) AS match_score, \
                CAST(j.category AS TEXT) AS category \
         FROM job_recommendations AS j WHERE j.user_id = ? ORDER BY j.match_score DESC, j.job_name LIMIT ?",
    )
    .bind(user.get())
    .bind(MAX_CAREERS as u32)
    .fetch_all(&mut *connection)
    .await?;
    // The user id is bound as text: comparing a VARCHAR with a number would convert every row and match
    // '7abc' for 7.
    let career_analysis = sqlx::query_as(
        "SELECT CAST(a.recommended_careers AS TEXT) AS recommended_careers, \
                CAST(a.interest_areas AS TEXT) AS interest_areas \
         FROM career_analyses AS a JOIN career_sessions AS s ON s.id = a.session_id \
         WHERE s.user_id = ? ORDER BY a.analyzed_at DESC, a.id DESC LIMIT 1",
    )
    .bind(user.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let profile = sqlx::query_as(
        "SELECT CAST(interests AS TEXT) AS interests, CAST(strengths AS TEXT) AS strengths, \
                CAST(goals AS TEXT) AS goals, CAST(summary AS TEXT) AS summary \
         FROM profile_analysis WHERE user_id = ? LIMIT 1",
    )
    .bind(user.get())
    .fetch_optional(&mut *connection)
    .await?;
    Ok(StoredAnalysis { job_recommendations, career_analysis, profile })
}
