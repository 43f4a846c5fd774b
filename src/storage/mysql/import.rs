//! Upserting listings.

use serde_json::json;
use sqlx::MySqlExecutor;
use sqlx::types::Json;

use super::super::{ListingRecord, StoreError};

/// One statement: all listings are one JSON parameter. `ON DUPLICATE KEY UPDATE` takes the new values from
/// the selected row, which both MySQL and MariaDB know (`VALUES()` is deprecated in the one, a row alias
/// unknown to the other).
pub(super) async fn listings(
    executor: impl MySqlExecutor<'_>,
    listings: &[ListingRecord],
) -> Result<(), StoreError> {
    let rows: Vec<_> = listings
        .iter()
        .map(|listing| {
            json!({
                "site_name": listing.site_name,
                "job_id": listing.job_id,
                "title": listing.title,
                "site_url": listing.site_url,
                "company": listing.company,
                "location": listing.location,
                "description": listing.description,
                "url": listing.url,
                "reward": listing.reward,
                "experience": listing.experience,
                "search_keyword": listing.search_keyword,
                "crawled_at": listing.crawled_at.map(|at| at.naive_utc().format("%F %T%.6f").to_string()),
                "tech_stack": listing.tech_stack,
                "required_skills": listing.required_skills,
            })
        })
        .collect();
    sqlx::query(
        "INSERT INTO job_listings (site_name, job_id, title, site_url, company, location, description, url, \
                reward, experience, search_keyword, crawled_at, tech_stack, required_skills, \
                created_at, updated_at) \
         SELECT n.site_name, n.job_id, n.title, n.site_url, n.company, n.location, n.description, n.url, \
                n.reward, n.experience, n.search_keyword, n.crawled_at, n.tech_stack, n.required_skills, \
                UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) \
         FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
                site_name VARCHAR(100) PATH '$.site_name', job_id VARCHAR(255) PATH '$.job_id', \
                title VARCHAR(500) PATH '$.title', site_url VARCHAR(500) PATH '$.site_url', \
                company VARCHAR(255) PATH '$.company', location VARCHAR(255) PATH '$.location', \
                description LONGTEXT PATH '$.description', url VARCHAR(1000) PATH '$.url', \
                reward VARCHAR(255) PATH '$.reward', experience VARCHAR(255) PATH '$.experience', \
                search_keyword VARCHAR(255) PATH '$.search_keyword', \
                crawled_at DATETIME(6) PATH '$.crawled_at', tech_stack LONGTEXT PATH '$.tech_stack', \
                required_skills LONGTEXT PATH '$.required_skills')) AS n \
         ON DUPLICATE KEY UPDATE title = n.title, site_url = n.site_url, company = n.company, \
                location = n.location, description = n.description, url = n.url, reward = n.reward, \
                experience = n.experience, search_keyword = n.search_keyword, crawled_at = n.crawled_at, \
                tech_stack = n.tech_stack, required_skills = n.required_skills",
    )
    .bind(Json(rows))
    .execute(executor)
    .await?;
    Ok(())
}
