//! The nightly clean-up removes lists and rows that no user will see, and nothing else.

use chrono::{DateTime, TimeDelta, Utc};
use job_agent::app::App;

use crate::support::{Kind, OTHER_USER, TestApp, TestDatabase, USER, config, eventually, on_every_database};

on_every_database!(
    lists_that_no_run_has_found_current_for_the_retention_are_removed,
    a_retention_of_zero_days_keeps_every_list,
    rows_of_deleted_listings_are_removed_and_the_list_is_filled_up,
    a_user_who_is_due_or_parked_is_left_to_the_workers;
    servers:
        a_list_of_the_old_service_is_as_old_as_its_newest_row,
        a_user_who_is_locked_does_not_keep_the_others_from_being_cleaned_up,
);

/// Does not serve: only the test makes anything happen.
async fn instance(database: &TestDatabase, retention_days: &str) -> App {
    let app = App::build(&config(database, &[("RETENTION_DAYS", retention_days)])).await.unwrap();
    // Sets the start of the schedules.
    app.scheduler.tick(now(&app).await).await.unwrap();
    app
}

async fn now(app: &App) -> DateTime<Utc> {
    app.store.now().await.unwrap()
}

async fn clean_up_in(app: &App, days: i64) {
    app.scheduler.tick(now(app).await + TimeDelta::days(days)).await.unwrap();
}

async fn calculate(app: &App, database: &TestDatabase, user: i64) {
    database.set_career(user, "간호사").await;
    app.calculator.calculate(user.try_into().unwrap(), false).await.unwrap();
    assert!(database.row_count(user).await > 1);
}

/// As if the list had been found current so many days from now.
async fn verified_in(database: &TestDatabase, user: i64, days: i64) {
    let time = match database.kind {
        Kind::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{days} days')"),
        _ => format!("UTC_TIMESTAMP(6) + INTERVAL {days} DAY"),
    };
    database
        .execute(&format!("UPDATE recommendation_state SET verified_at = {time} WHERE user_id = {user}"))
        .await;
}

async fn lists_that_no_run_has_found_current_for_the_retention_are_removed(database: TestDatabase) {
    let app = instance(&database, "10").await;
    for user in USER..USER + 30 {
        calculate(&app, &database, user).await;
    }
    verified_in(&database, OTHER_USER, 5).await;
    clean_up_in(&app, 8).await;
    assert!(database.row_count(USER).await > 0, "not yet");
    clean_up_in(&app, 12).await;
    let left = "SELECT DISTINCT user_id FROM user_job_recommendations";
    assert_eq!(
        database.numbers(left).await,
        [OTHER_USER],
        "only the list that was found current recently is left"
    );
    assert_eq!(database.state(USER, "saved_count").await, 0, "the state says that the list is gone");
    assert_eq!(database.state(USER, "due_at IS NULL").await, 1, "no trigger asks for it");

    let again = app.calculator.calculate(USER.try_into().unwrap(), false).await.unwrap();
    assert!(matches!(again, job_agent::calculator::Outcome::Computed { .. }), "{again:?}");
    assert!(database.row_count(USER).await > 0);
}

async fn a_retention_of_zero_days_keeps_every_list(database: TestDatabase) {
    let app = instance(&database, "0").await;
    calculate(&app, &database, USER).await;
    clean_up_in(&app, 10_000).await;
    assert!(database.row_count(USER).await > 0);
}

async fn rows_of_deleted_listings_are_removed_and_the_list_is_filled_up(database: TestDatabase) {
    let app = instance(&database, "10").await;
    calculate(&app, &database, USER).await;
    database.set_career(OTHER_USER, "백엔드 개발자").await;
    app.calculator.calculate(OTHER_USER.try_into().unwrap(), false).await.unwrap();
    let first = format!(
        "SELECT MIN(job_listing_id) FROM user_job_recommendations WHERE user_id = {USER} AND job_listing_id NOT IN \
             (SELECT job_listing_id FROM user_job_recommendations WHERE user_id = {OTHER_USER})"
    );
    let gone = database.number(&first).await;
    let rows = database.row_count(USER).await;
    let version = database.state(OTHER_USER, "version").await;
    database.execute(&format!("DELETE FROM job_listings WHERE id = {gone}")).await;
    clean_up_in(&app, 1).await;
    assert_eq!(
        database.row_count(USER).await,
        rows - 1,
        "the row of the deleted listing is gone, the others are not"
    );
    assert_eq!(
        database.state(USER, "due_at IS NOT NULL AND lane = 1").await,
        1,
        "the user is due in the lane of batches"
    );
    assert_eq!(database.state(OTHER_USER, "version").await, version, "all listings of this user exist");
    assert_eq!(database.state(OTHER_USER, "due_at IS NULL").await, 1, "the other user is not due");
    let _app = TestApp::start(&database, &[]).await;
    eventually("the list is calculated again", || async {
        database.state(USER, "requested_seq - completed_seq").await == 0
    })
    .await;
    assert!(database.row_count(USER).await >= rows - 1);
    assert_eq!(
        database
            .number(&format!("SELECT COUNT(*) FROM user_job_recommendations WHERE job_listing_id = {gone}"))
            .await,
        0
    );
}

async fn a_user_who_is_due_or_parked_is_left_to_the_workers(database: TestDatabase) {
    let app = instance(&database, "10").await;
    calculate(&app, &database, USER).await;
    app.store.request_run(USER.try_into().unwrap()).await.unwrap();
    clean_up_in(&app, 30).await;
    assert!(database.row_count(USER).await > 0, "a due list is about to be made right");
    // Parked: the rows of a deleted listing go, but the user is not tried again.
    database.execute("UPDATE recommendation_state SET parked_at = due_at, due_at = NULL").await;
    database.execute("DELETE FROM job_listings").await;
    verified_in(&database, USER, 30).await;
    clean_up_in(&app, 31).await;
    assert_eq!(database.row_count(USER).await, 0, "the row of the deleted listing is gone");
    assert_eq!(
        database.state(USER, "due_at IS NULL AND parked_at IS NOT NULL").await,
        1,
        "a parked user stays parked and is not due"
    );
}

async fn a_list_of_the_old_service_is_as_old_as_its_newest_row(database: TestDatabase) {
    let app = instance(&database, "10").await;
    for (user, days) in [(USER, 11), (USER, 30), (OTHER_USER, 8), (OTHER_USER, 30)] {
        database
            .execute(&format!(
                "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, calculated_at, \
                    updated_at) \
                 SELECT {user}, MIN(id) + {days}, 50, UTC_TIMESTAMP(), UTC_TIMESTAMP() - INTERVAL {days} DAY \
                 FROM job_listings"
            ))
            .await;
    }
    clean_up_in(&app, 1).await;
    // A day later, the newest row of the one is twelve days old, that of the other nine.
    assert_eq!((database.row_count(USER).await, database.row_count(OTHER_USER).await), (0, 2));
}

async fn a_user_who_is_locked_does_not_keep_the_others_from_being_cleaned_up(database: TestDatabase) {
    let app = instance(&database, "10").await;
    for user in USER..USER + 3 {
        calculate(&app, &database, user).await;
    }
    let holder = database.hold_a_row(USER + 1).await;
    clean_up_in(&app, 12).await;
    holder.rollback().await.unwrap();
    let left = "SELECT DISTINCT user_id FROM user_job_recommendations";
    assert_eq!(database.numbers(left).await, [USER + 1], "tomorrow is another night");
}
