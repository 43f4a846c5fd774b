//! Upserting listings.

use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::super::{ListingRecord, StoreError};
use super::time_text;

pub(super) async fn listings(pool: &SqlitePool, listings: &[ListingRecord]) -> Result<(), StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    upsert(&mut transaction, listings).await?;
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    listings: &[ListingRecord],
) -> Result<(), StoreError> {
    for listing in listings {
        sqlx::query(
            "INSERT INTO job_listings (site_name, job_id, title, site_url, company, location, description, \
                    url, reward, experience, search_keyword, crawled_at, tech_stack, required_skills) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (site_name, job_id) DO UPDATE SET title = excluded.title, \
                    site_url = excluded.site_url, company = excluded.company, \
                    location = excluded.location, description = excluded.description, \
                    url = excluded.url, reward = excluded.reward, experience = excluded.experience, \
                    search_keyword = excluded.search_keyword, crawled_at = excluded.crawled_at, \
                    tech_stack = excluded.tech_stack, required_skills = excluded.required_skills, \
                    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        )
        .bind(&listing.site_name)
        .bind(&listing.job_id)
        .bind(&listing.title)
        .bind(&listing.site_url)
        .bind(&listing.company)
        .bind(&listing.location)
        .bind(&listing.description)
        .bind(&listing.url)
        .bind(&listing.reward)
        .bind(&listing.experience)
        .bind(&listing.search_keyword)
        .bind(listing.crawled_at.map(time_text))
        .bind(&listing.tech_stack)
        .bind(&listing.required_skills)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
