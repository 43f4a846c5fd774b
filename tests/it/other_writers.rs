//! Other writers of stored rows and of listings: the old service during a switch, an operator, a crawler that deletes
//! all listings and inserts them again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use job_agent::app::App;
use serde_json::Value;

use crate::support::{
    Kind, OTHER_USER, OldService, RedisServer, TestApp, TestDatabase, USER, config, eventually,
    on_every_database, report,
};

on_every_database!(
    every_change_of_contents_is_noticed_by_the_next_run_and_by_the_status,
    the_clean_up_finds_lists_that_another_writer_has_changed,
    a_batch_finds_lists_that_another_writer_has_changed,
    listings_that_are_inserted_again_refill_the_lists,
    listings_that_change_after_a_batch_lead_to_a_second_one;
    servers:
        an_equal_number_of_rows_in_the_same_second_is_noticed_on_the_table_of_the_old_service,
        the_lock_is_respected_both_ways,
        two_services_at_once_leave_no_wrong_list_unnoticed,
        two_services_at_once_leave_no_wrong_list_unnoticed_on_the_table_of_the_old_service,
);

async fn state_of(app: &TestApp, user: i64) -> Value {
    app.get(&format!("/api/job-agent/recommendations/status/{user}")).await.body["state"].clone()
}

/// An instance without workers or schedules of its own: only the test makes anything happen.
const IDLE: [(&str, &str); 3] =
    [("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0"), ("SCHEDULER_ENABLED", "false")];

async fn every_change_of_contents_is_noticed_by_the_next_run_and_by_the_status(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &IDLE).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let list = app.fast(USER, "").await.body["recommendations"].clone();
    let one = format!("user_id = {USER} AND job_listing_id = {}", list[0]["id"]);
    let all = format!("user_id = {USER}");
    // With the times as they were: a table of the old service keeps whole seconds.
    let kept = match database.kind {
        Kind::Sqlite => "",
        _ => ", updated_at = updated_at",
    };
    for change in [
        format!("UPDATE user_job_recommendations SET match_score = match_score - 1 {kept} WHERE {one}"),
        format!("UPDATE user_job_recommendations SET match_reason = '다른 이유' {kept} WHERE {one}"),
        format!("UPDATE user_job_recommendations SET match_reason = NULL {kept} WHERE {one}"),
        format!("UPDATE user_job_recommendations SET recommendation_data = '{{}}' {kept} WHERE {one}"),
        format!("UPDATE user_job_recommendations SET job_listing_id = 987654 {kept} WHERE {one}"),
        format!("DELETE FROM user_job_recommendations WHERE {one}"),
        format!("DELETE FROM user_job_recommendations WHERE {all}"),
    ] {
        assert_eq!(state_of(&app, USER).await, "current", "before {change}");
        database.execute(&change).await;
        assert_eq!(state_of(&app, USER).await, "outdated", "{change}");
        assert_eq!(app.calculate(USER).await.outcome(), "computed", "{change}");
        assert_eq!(app.fast(USER, "").await.body["recommendations"], list, "{change}");
        assert_eq!(app.calculate(USER).await.outcome(), "up_to_date", "{change}");
    }
}

async fn an_equal_number_of_rows_in_the_same_second_is_noticed_on_the_table_of_the_old_service(
    database: TestDatabase,
) {
    OldService::create_table(&database).await;
    let old = OldService { database: &database, redis: None };
    let app = TestApp::start(&database, &IDLE).await;
    for (round, career) in ["백엔드 개발자", "간호사", "백엔드 개발자", "간호사"].into_iter().enumerate()
    {
        let user = USER + i64::try_from(round).unwrap();
        database.set_career(user, career).await;
        assert_eq!(app.calculate(user).await.outcome(), "computed");
        assert_eq!(app.calculate(user).await.outcome(), "up_to_date", "its own rows");
        old.replace(user, "다른 직업", database.row_count(user).await).await;
        assert_eq!(state_of(&app, user).await, "outdated");
        assert_eq!(app.calculate(user).await.outcome(), "computed");
        assert_eq!(database.stored_careers(user).await, [career]);
        assert_eq!(state_of(&app, user).await, "current");
    }
}

async fn altered(database: &TestDatabase, user: i64) {
    database
        .execute(&format!("UPDATE user_job_recommendations SET match_score = 1 WHERE user_id = {user}"))
        .await;
}

/// The rows of a user whom this service has never calculated.
async fn old_rows(database: &TestDatabase, user: i64) {
    database
        .execute(&format!(
            "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, recommendation_data, \
                calculated_at, created_at, updated_at) \
             SELECT {user}, job_listing_id, match_score, '{{\"matchedCareer\": \"?\"}}', calculated_at, created_at, \
                updated_at \
             FROM user_job_recommendations WHERE user_id = {USER}"
        ))
        .await;
}

/// Users with a list: changed, removed, written by another service, and untouched.
const CHANGED: i64 = USER + 10;
const REMOVED: i64 = USER + 11;
const FOREIGN: i64 = USER + 12;

async fn lists_of_all_kinds(database: &TestDatabase, app: &App) {
    for user in [USER, CHANGED, REMOVED, FOREIGN] {
        database.set_career(user, "간호사").await;
    }
    for user in [USER, CHANGED, REMOVED] {
        app.calculator.calculate(user.try_into().unwrap(), false).await.unwrap();
    }
    old_rows(database, FOREIGN).await;
    altered(database, CHANGED).await;
    database.execute(&format!("DELETE FROM user_job_recommendations WHERE user_id = {REMOVED}")).await;
}

async fn all_are_calculated_again(database: &TestDatabase) {
    let version = database.state(USER, "version").await;
    assert_eq!(database.state(USER, "due_at IS NULL").await, 1, "this list is as it was written");
    let app = TestApp::start(database, &[("SCHEDULER_ENABLED", "false")]).await;
    for user in [CHANGED, REMOVED, FOREIGN] {
        eventually("the list is calculated again", || async { state_of(&app, user).await == "current" })
            .await;
        assert_eq!(database.stored_careers(user).await, ["간호사"]);
        assert_eq!(database.row_count(user).await, database.row_count(USER).await);
    }
    assert_eq!(database.state(USER, "version").await, version);
}

async fn the_clean_up_finds_lists_that_another_writer_has_changed(database: TestDatabase) {
    let app = App::build(&config(&database, &[])).await.unwrap();
    let now = app.store.now().await.unwrap();
    app.scheduler.tick(now).await.unwrap();
    lists_of_all_kinds(&database, &app).await;
    app.scheduler.tick(now + TimeDelta::days(1)).await.unwrap();
    all_are_calculated_again(&database).await;
}

async fn a_batch_finds_lists_that_another_writer_has_changed(database: TestDatabase) {
    let app = App::build(&config(&database, &[])).await.unwrap();
    lists_of_all_kinds(&database, &app).await;
    // None of them is an active user.
    assert_eq!(database.number("SELECT COUNT(*) FROM users WHERE user_id > 1000").await, 0);
    let front = TestApp::start(&database, &IDLE).await;
    assert_eq!(front.post("/api/scheduler/trigger").await.status, 202);
    eventually("all users are marked", || async {
        front.get("/api/scheduler/status").await.body["batch"]["marking"] == false
    })
    .await;
    all_are_calculated_again(&database).await;
}

async fn the_lock_is_respected_both_ways(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let old = OldService { database: &database, redis: Some(&redis) };
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[("REDIS_URL", &redis.url()), ("LOCK_WAIT_SECS", "1")]).await;
    let lock = old.try_lock(USER).await.unwrap();
    assert_eq!(app.calculate(USER).await.outcome(), "already_in_progress");
    old.unlock(lock).await;
    eventually("the trigger is served", || async { state_of(&app, USER).await == "current" }).await;

    // A run of this service that waits for the database holds the lock meanwhile.
    database.set_career(USER, "백엔드 개발자").await;
    let holder = database.hold_a_row(USER).await;
    let run = app.calculate(USER);
    let old_service = async {
        eventually("the run has the lock", || async { redis.lock_of(USER).await.is_some() }).await;
        assert!(old.try_lock(USER).await.is_none());
        holder.rollback().await.unwrap();
        assert!(old.calculate(USER, "다른 직업", 5).await);
    };
    let (answer, ()) = tokio::join!(run, old_service);
    assert_eq!(answer.outcome(), "computed");
    assert_eq!(redis.lock_of(USER).await, None);
    assert_eq!(database.stored_careers(USER).await, ["다른 직업"], "the later one");
    assert_eq!(state_of(&app, USER).await, "outdated");
}

const CAREERS: [&str; 4] = ["간호사", "백엔드 개발자", "마케터", "회계사"];
const USERS: i64 = 20;
const TRIGGERS: usize = 25;

async fn two_services_at_once_leave_no_wrong_list_unnoticed(database: TestDatabase) {
    two_services_at_once(&database).await;
}

async fn two_services_at_once_leave_no_wrong_list_unnoticed_on_the_table_of_the_old_service(
    database: TestDatabase,
) {
    OldService::create_table(&database).await;
    two_services_at_once(&database).await;
}

/// 500 triggers of 20 users, whose careers change, on either service; a reader watches the status.
async fn two_services_at_once(database: &TestDatabase) {
    let redis = RedisServer::start().await;
    let old = OldService { database, redis: Some(&redis) };
    let app = TestApp::start(database, &[("REDIS_URL", &redis.url()), ("SCHEDULER_ENABLED", "false")]).await;
    for user in USER..USER + USERS {
        database.add_user(user, true, "간호사", 1).await;
    }
    let done = AtomicBool::new(false);
    let watch = async {
        while !done.load(Ordering::Relaxed) {
            for user in USER..USER + USERS {
                let before = old_rows_of(database, user).await;
                let state = state_of(&app, user).await;
                let after = old_rows_of(database, user).await;
                let stood = !before.is_empty() && before == after;
                assert!(!stood || state != "current", "current over rows of the old service: {user}");
            }
        }
    };
    let triggers = async {
        let last = join_all((USER..USER + USERS).map(|user| trigger_often(database, &old, &app, user))).await;
        done.store(true, Ordering::Relaxed);
        last
    };
    let (last, ()) = tokio::join!(triggers, watch);

    eventually("all triggers are served", || async {
        database.number("SELECT COUNT(*) FROM recommendation_state WHERE due_at IS NOT NULL").await == 0
    })
    .await;
    let mut noticed = 0;
    for (user, last) in (USER..).zip(&last) {
        if last.ours || state_of(&app, user).await == "current" {
            assert_eq!(database.stored_careers(user).await, [last.career], "{user}: {last:?}");
            assert_eq!(state_of(&app, user).await, "current");
        } else {
            noticed += 1;
            assert_eq!(state_of(&app, user).await, "outdated", "{user}: {last:?}");
        }
    }
    assert!(noticed > 0, "the old service was the last for some: {last:?}");
    assert_eq!(app.post("/api/scheduler/trigger").await.status, 202);
    for (user, last) in (USER..).zip(&last) {
        eventually("the batch calculates it again", || async { state_of(&app, user).await == "current" })
            .await;
        assert_eq!(database.stored_careers(user).await, [last.career], "{user}: {last:?}");
    }
}

/// The rows that the old service has written for the user.
async fn old_rows_of(database: &TestDatabase, user: i64) -> Vec<i64> {
    database
        .numbers(&format!(
            "SELECT job_listing_id FROM user_job_recommendations WHERE user_id = {user} AND match_reason = 'AI 추천' \
             ORDER BY job_listing_id"
        ))
        .await
}

#[derive(Debug)]
struct Last {
    career: &'static str,
    ours: bool,
}

async fn trigger_often(database: &TestDatabase, old: &OldService<'_>, app: &TestApp, user: i64) -> Last {
    // The same order of triggers in every run of the test.
    let mut random = fastrand::Rng::with_seed(user.unsigned_abs());
    let mut last = Last { career: CAREERS[0], ours: false };
    for _ in 0..TRIGGERS {
        last = Last { career: random.choice(CAREERS).unwrap(), ours: random.bool() };
        database.set_career(user, last.career).await;
        if !last.ours {
            old.calculate(user, last.career, database.row_count(user).await.max(5)).await;
        } else if random.bool() {
            let answer = app.calculate(user).await;
            let expected = ["computed", "up_to_date", "already_in_progress"];
            assert!(
                expected.contains(&answer.outcome()),
                "{answer:?}
{}",
                report().await
            );
        } else {
            assert_eq!(app.calculate_in_background(user).await.status, 202);
        }
    }
    last
}

/// Of all listings but for their key on their site.
const COLUMNS: &str = "site_name, title, company, location, description, url, experience, crawled_at, tech_stack, \
     required_skills";

async fn insert_again(database: &TestDatabase, suffix: &str) {
    database
        .execute(&format!(
            "INSERT INTO job_listings (job_id, {COLUMNS}) SELECT CONCAT(job_id, '{suffix}'), {COLUMNS} FROM job_listings"
        ))
        .await;
}

async fn listings_that_are_inserted_again_refill_the_lists(database: TestDatabase) {
    for user in [USER, OTHER_USER] {
        database.set_career(user, "간호사").await;
    }
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    app.calculate(USER).await;
    app.calculate(OTHER_USER).await;
    let rows = database.row_count(USER).await;
    let newest = database.number("SELECT MAX(id) FROM job_listings").await;
    insert_again(&database, "-new").await;
    database.execute(&format!("DELETE FROM job_listings WHERE id <= {newest}")).await;
    for user in [USER, OTHER_USER] {
        let state = state_of(&app, user).await;
        assert!(state != "current" || database.row_count(user).await == rows, "{state}");
        eventually("the list is full again", || async {
            app.fast(user, "?limit=100").await.body["totalCount"] == rows
                && state_of(&app, user).await == "current"
        })
        .await;
        let ids = format!("SELECT MIN(job_listing_id) FROM user_job_recommendations WHERE user_id = {user}");
        assert!(database.number(&ids).await > newest);
    }
}

async fn listings_that_change_after_a_batch_lead_to_a_second_one(database: TestDatabase) {
    database.add_user(USER, true, "간호사", 1).await;
    let settings =
        [("CATALOGUE_REFRESH_SECS", "1"), ("SECOND_PASS_QUIET_SECS", "2"), ("BATCH_CRON", "0 0 1 1 *")];
    let apps = [TestApp::start(&database, &settings).await, TestApp::start(&database, &settings).await];
    let batches = || async { database.number("SELECT COUNT(*) FROM recommendation_batches").await };
    let started = || async {
        database
            .number(
                "SELECT COUNT(*) FROM scheduled_jobs WHERE name = 'batch' AND last_occurrence IS NOT NULL",
            )
            .await
    };
    eventually("the schedule has started", || async { started().await == 1 }).await;
    assert_eq!(batches().await, 0, "the listings of the start are no change");
    insert_again(&database, "-more").await;
    eventually("a second pass is done", || async {
        batches().await > 0 && apps[0].get("/api/scheduler/status").await.body["batch"]["running"] == false
    })
    .await;
    assert_eq!(state_of(&apps[0], USER).await, "current");
    assert_eq!(batches().await, 1, "one over all instances");
    let seen = "SELECT COUNT(*) FROM scheduled_jobs WHERE name = 'batch' AND listings_seen > 0";
    assert_eq!(database.number(seen).await, 1);
    tokio::time::timeout(Duration::from_secs(60), async {
        for app in apps {
            app.stop().await
        }
    })
    .await
    .unwrap();
}
