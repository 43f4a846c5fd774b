//! The nightly batch begins once per night, whatever happens to instances and clocks.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use job_agent::app::App;
use job_agent::storage::{BatchScope, Marking};

use crate::support::{TestApp, TestDatabase, USER, config, eventually, on_every_database};

on_every_database!(
    the_first_look_only_sets_the_start,
    the_batch_begins_at_three_in_the_morning_in_seoul,
    a_batch_that_was_missed_is_caught_up_once,
    instances_that_look_at_once_begin_one_batch,
    a_clock_that_is_set_back_repeats_nothing,
    a_running_instance_catches_up_by_the_clock_of_the_database,
    a_batch_that_cannot_finish_does_not_keep_the_next_night_from_beginning,
    a_batch_for_others_that_is_just_being_marked_puts_the_nightly_one_off,
);

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Does not serve: only the test makes anything happen.
async fn instance(database: &TestDatabase) -> App {
    App::build(&config(database, &[])).await.unwrap()
}

async fn batches(database: &TestDatabase) -> i64 {
    database.number("SELECT COUNT(*) FROM recommendation_batches").await
}

async fn finish(app: &App) {
    let batch = app.store.running_batch().await.unwrap().unwrap();
    while app.store.mark_batch(batch).await.unwrap() == Marking::Going {}
    assert!(app.store.finish_batch(batch).await.unwrap());
}

async fn the_first_look_only_sets_the_start(database: TestDatabase) {
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-21T12:00:00Z")).await.unwrap();
    assert_eq!(batches(&database).await, 0, "a new installation has missed nothing");
    app.scheduler.tick(at("2026-11-21T12:01:00Z")).await.unwrap();
    assert_eq!(batches(&database).await, 0);
}

async fn the_batch_begins_at_three_in_the_morning_in_seoul(database: TestDatabase) {
    let app = instance(&database).await;
    for (now, begun) in [
        ("2026-11-21T12:00:00Z", 0),
        ("2026-11-21T17:59:59.999Z", 0),
        ("2026-11-21T18:00:00Z", 1),
        ("2026-11-21T18:00:01Z", 1),
        ("2026-11-22T17:59:59Z", 1),
        ("2026-11-22T18:00:30Z", 2),
    ] {
        app.scheduler.tick(at(now)).await.unwrap();
        assert_eq!(batches(&database).await, begun, "{now}");
        if app.store.running_batch().await.unwrap().is_some() {
            finish(&app).await;
        }
    }
}

async fn a_batch_that_was_missed_is_caught_up_once(database: TestDatabase) {
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-21T12:00:00Z")).await.unwrap();
    app.close().await;
    // Three nights pass.
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-24T05:00:00Z")).await.unwrap();
    assert_eq!(batches(&database).await, 1);
    finish(&app).await;
    app.scheduler.tick(at("2026-11-24T05:01:00Z")).await.unwrap();
    assert_eq!(batches(&database).await, 1, "the latest one counts for all that were missed");
    app.scheduler.tick(at("2026-11-24T18:00:00Z")).await.unwrap();
    assert_eq!(batches(&database).await, 2);
}

async fn instances_that_look_at_once_begin_one_batch(database: TestDatabase) {
    let apps = [instance(&database).await, instance(&database).await, instance(&database).await];
    for now in ["2026-11-21T12:00:00Z", "2026-11-21T18:00:00Z"] {
        for looked in join_all(apps.iter().map(|app| app.scheduler.tick(at(now)))).await {
            looked.unwrap();
        }
    }
    assert_eq!(batches(&database).await, 1);
    finish(&apps[0]).await;
    for app in &apps {
        app.scheduler.tick(at("2026-11-21T18:00:01Z")).await.unwrap();
    }
    assert_eq!(batches(&database).await, 1, "nor one after the other");
}

async fn a_clock_that_is_set_back_repeats_nothing(database: TestDatabase) {
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-21T12:00:00Z")).await.unwrap();
    app.scheduler.tick(at("2026-11-21T18:00:00Z")).await.unwrap();
    finish(&app).await;
    for now in ["2026-11-21T17:00:00Z", "2026-11-20T18:00:00Z", "2026-11-21T18:00:00Z"] {
        app.scheduler.tick(at(now)).await.unwrap();
        assert_eq!(batches(&database).await, 1, "{now}");
    }
}

async fn a_running_instance_catches_up_by_the_clock_of_the_database(database: TestDatabase) {
    database.add_user(USER, true, "간호사", 0).await;
    let missed = if database.kind == crate::support::Kind::Sqlite {
        "2026-01-01T00:00:00.000Z"
    } else {
        "2026-01-01 00:00:00"
    };
    database.execute(&format!("UPDATE scheduled_jobs SET last_occurrence = '{missed}'")).await;
    let _apps = [TestApp::start(&database, &[]).await, TestApp::start(&database, &[]).await];
    let finished = "SELECT COUNT(*) FROM recommendation_batches WHERE finished_at IS NOT NULL";
    eventually("the missed batch is done", || async { database.number(finished).await == 1 }).await;
    assert_eq!(batches(&database).await, 1);
    assert!(database.row_count(USER).await > 0);
}

/// After a roll-back, for example, no instance serves the users of the newer version. If their batch never
/// ended, that of every later night would join it, and no user would be marked again.
async fn a_batch_that_cannot_finish_does_not_keep_the_next_night_from_beginning(database: TestDatabase) {
    for user in [USER, USER + 1] {
        database.add_user(user, true, "간호사", 0).await;
    }
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-21T12:00:00Z")).await.unwrap();
    app.scheduler.tick(at("2026-11-21T18:00:00Z")).await.unwrap();
    let stuck = app.store.running_batch().await.unwrap().unwrap();
    while app.store.mark_batch(stuck).await.unwrap() == Marking::Going {}
    database
        .execute(&format!(
            "UPDATE recommendation_state SET scoring_revision = {} WHERE user_id = {USER}",
            i64::MAX
        ))
        .await;
    app.calculator.calculate((USER + 1).try_into().unwrap(), false).await.unwrap();
    assert!(!app.store.finish_batch(stuck).await.unwrap());

    app.scheduler.tick(at("2026-11-22T18:00:00Z")).await.unwrap();
    let next = app.store.running_batch().await.unwrap().unwrap();
    assert_ne!(next, stuck);
    let ended = format!(
        "SELECT computed * 100 + unchanged * 10 + parked FROM recommendation_batches \
         WHERE id = {stuck} AND finished_at IS NOT NULL"
    );
    assert_eq!(database.numbers(&ended).await, [100], "it ends with the users that were done");
    while app.store.mark_batch(next).await.unwrap() == Marking::Going {}
    assert_eq!(database.state(USER + 1, "due_at IS NOT NULL").await, 1, "every user is marked again");
    assert_eq!(database.state(USER, "due_at IS NOT NULL").await, 1, "and nothing is lost");
}

async fn a_batch_for_others_that_is_just_being_marked_puts_the_nightly_one_off(database: TestDatabase) {
    let app = instance(&database).await;
    app.scheduler.tick(at("2026-11-21T12:00:00Z")).await.unwrap();
    let listed = BatchScope::Listed(vec![USER.try_into().unwrap()]);
    let listed = app.store.open_batch(&listed).await.unwrap();
    app.scheduler.tick(at("2026-11-21T18:00:00Z")).await.unwrap();
    assert_eq!(app.store.running_batch().await.unwrap(), Some(listed.id));
    while app.store.mark_batch(listed.id).await.unwrap() == Marking::Going {}
    app.scheduler.tick(at("2026-11-21T18:01:00Z")).await.unwrap();
    assert_ne!(app.store.running_batch().await.unwrap(), Some(listed.id), "a minute later it begins");
    assert_eq!(app.store.latest_batch().await.unwrap().unwrap().scope, "active");
    assert_eq!(database.state(USER, "requested_seq").await, 1, "and the listed user is still due");
}
