//! Deployments in which our rows have foreign keys to the tables of others.

use crate::support::{OTHER_USER, TestApp, TestDatabase, USER, on_servers};

on_servers!(
    a_listing_that_is_gone_since_the_refresh_costs_a_refresh_with_cascading_deletes,
    a_listing_that_is_gone_since_the_refresh_costs_a_refresh_with_restricted_deletes,
    a_user_that_is_gone_is_that_users_failure,
);

async fn add_key(database: &TestDatabase, key: &str) {
    database.execute(&format!("ALTER TABLE user_job_recommendations ADD FOREIGN KEY {key}")).await;
}

async fn listings_of(database: &TestDatabase, user: i64) -> Vec<i64> {
    let sql =
        format!("SELECT job_listing_id FROM user_job_recommendations WHERE user_id = {user} ORDER BY 1");
    database.numbers(&sql).await
}

async fn a_listing_that_is_gone_since_the_refresh_costs_a_refresh_with_cascading_deletes(
    database: TestDatabase,
) {
    add_key(&database, "(job_listing_id) REFERENCES job_listings (id) ON DELETE CASCADE").await;
    a_listing_goes(database, true).await;
}

async fn a_listing_that_is_gone_since_the_refresh_costs_a_refresh_with_restricted_deletes(
    database: TestDatabase,
) {
    add_key(&database, "(job_listing_id) REFERENCES job_listings (id) ON DELETE RESTRICT").await;
    a_listing_goes(database, false).await;
}

async fn a_listing_goes(database: TestDatabase, cascades: bool) {
    for user in [USER, OTHER_USER] {
        database.set_career(user, "간호사").await;
    }
    // The service does not look at the listings by itself.
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "3600")]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let before = listings_of(&database, USER).await;
    assert!(before.len() >= 2, "{before:?}");
    let delete = format!("DELETE FROM job_listings WHERE id = {}", before[0]);
    let deleted = database.try_execute(&delete).await;
    assert_eq!(deleted.is_ok(), cascades, "{deleted:?}");
    if !cascades {
        // With this key the crawler cannot delete what any user is recommended.
        database.execute(&format!("DELETE FROM user_job_recommendations WHERE user_id = {USER}")).await;
        database.execute(&delete).await;
    }
    let answer = app.calculate(OTHER_USER).await;
    assert_eq!(answer.outcome(), "computed", "{answer:?}");
    let after = listings_of(&database, OTHER_USER).await;
    assert!(after.contains(&before[1]) && !after.contains(&before[0]), "{after:?}");
    // Rows of the same digest as before, and another listing.
    database.execute("DELETE FROM user_job_recommendations").await;
    database.execute(&format!("DELETE FROM job_listings WHERE id = {}", before[1])).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let after = listings_of(&database, USER).await;
    assert!(!after.is_empty() && !after.contains(&before[1]), "{after:?}");
}

async fn a_user_that_is_gone_is_that_users_failure(database: TestDatabase) {
    add_key(&database, "(user_id) REFERENCES users (user_id)").await;
    for user in [USER, OTHER_USER] {
        database.set_career(user, "간호사").await;
    }
    database.execute(&format!("INSERT INTO users (user_id) VALUES ({OTHER_USER})")).await;
    let app = TestApp::start(&database, &[]).await;
    let answer = app.calculate(USER).await;
    assert_eq!((answer.status.as_u16(), answer.outcome()), (500, "internal_error"), "{answer:?}");
    assert_eq!(app.calculate(OTHER_USER).await.outcome(), "computed");
}
