//! The stored list, as `fast` shows it.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlPool;

use super::super::rows::ListRow;
use super::super::{StoreError, StoredList};
use crate::domain::UserId;

pub(super) async fn read(
    pool: &MySqlPool,
    user: UserId,
    limit: u32,
    min_score: u8,
) -> Result<StoredList, StoreError> {
    let mut connection = pool.acquire().await?;
    // An inner join: a listing that has been deleted is gone from the list at once.
    let rows: Vec<ListRow> = sqlx::query_as(
        "SELECT r.job_listing_id, CAST(r.match_score AS DOUBLE) AS match_score, r.match_reason, \
                CAST(r.recommendation_data AS CHAR) AS recommendation_data, l.title, l.company, l.location, \
                l.url, LEFT(l.description, 300) AS description, l.site_name, l.tech_stack, \
                CAST(l.required_skills AS CHAR) AS required_skills, l.experience \
         FROM user_job_recommendations AS r JOIN job_listings AS l ON l.id = r.job_listing_id \
         WHERE r.user_id = ? AND r.match_score >= ? \
         ORDER BY r.match_score DESC, l.crawled_at DESC, r.job_listing_id LIMIT ?",
    )
    .bind(user.get())
    .bind(min_score)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let (total_count, calculated_at): (i64, Option<DateTime<Utc>>) = sqlx::query_as(
        "SELECT COUNT(CASE WHEN r.match_score >= ? THEN 1 END), \
                COALESCE(MAX(s.calculated_at), MAX(r.calculated_at)) \
         FROM user_job_recommendations AS r JOIN job_listings AS l ON l.id = r.job_listing_id \
         LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id \
         WHERE r.user_id = ?",
    )
    .bind(min_score)
    .bind(user.get())
    .fetch_one(&mut *connection)
    .await?;
    Ok(StoredList { rows: rows.into_iter().map(Into::into).collect(), total_count, calculated_at })
}
