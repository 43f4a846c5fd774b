//! Tables of other services that a calculation reads. Everything is cast to text: column types differ
//! between deployments, and what the text says is for `profile` to find out.

use sqlx::mysql::MySqlPool;

use super::super::{MAX_CAREERS, StoreError, StoredAnalysis};
use crate::domain::UserId;

pub(super) async fn read(pool: &MySqlPool, user: UserId) -> Result<StoredAnalysis, StoreError> {
    let mut connection = pool.acquire().await?;
    let job_recommendations = sqlx::query_as(
        "SELECT CAST(j.job_name AS CHAR) AS job_name, CAST(j.match_score AS CHAR) AS match_score, \
                CAST(j.category AS CHAR) AS category \
         FROM job_recommendations AS j WHERE j.user_id = ? ORDER BY j.match_score DESC, j.job_name LIMIT ?",
    )
    .bind(user.get())
    .bind(MAX_CAREERS as u32)
    .fetch_all(&mut *connection)
    .await?;
    // The user id is bound as text: comparing a VARCHAR with a number would convert every row and match
    // '7abc' for 7.
    let career_analysis = sqlx::query_as(
        "SELECT CAST(a.recommended_careers AS CHAR) AS recommended_careers, \
                CAST(a.interest_areas AS CHAR) AS interest_areas \
         FROM career_analyses AS a JOIN career_sessions AS s ON s.id = a.session_id \
         WHERE s.user_id = ? ORDER BY a.analyzed_at DESC, a.id DESC LIMIT 1",
    )
    .bind(user.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let profile = sqlx::query_as(
        "SELECT CAST(interests AS CHAR) AS interests, CAST(strengths AS CHAR) AS strengths, \
                CAST(goals AS CHAR) AS goals, CAST(summary AS CHAR) AS summary \
         FROM profile_analysis WHERE user_id = ? LIMIT 1",
    )
    .bind(user.get())
    .fetch_optional(&mut *connection)
    .await?;
    Ok(StoredAnalysis { job_recommendations, career_analysis, profile })
}
