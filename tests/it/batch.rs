//! Batches: whom they are for, that any number of instances marks everybody once, how they end.

use std::sync::Arc;

use futures::future::join_all;
use job_agent::domain::{BatchId, Lane, ScoringRevision};
use job_agent::storage::{BatchScope, Marking, Store, StoreErrorKind};
use serde_json::Value;

use crate::support::{
    Kind, OTHER_USER, SHORT_LEASES, TestApp, TestDatabase, TestProcess, USER, eventually, on_every_database,
};

on_every_database!(
    a_batch_is_for_active_users_with_a_recent_analysis,
    a_second_trigger_joins_the_batch_that_is_running,
    several_instances_mark_everybody_exactly_once,
    a_batch_goes_on_where_an_instance_has_died,
    a_batch_in_which_no_input_has_changed_writes_no_recommendation,
    a_user_who_is_due_in_real_time_keeps_the_lane,
    a_parked_user_gets_one_more_try,
    a_user_who_fails_does_not_keep_a_batch_from_others,
    several_instances_serve_everybody_exactly_once,
    a_trigger_in_real_time_does_not_wait_for_a_batch;
    servers:
        workers_that_die_in_a_batch_are_taken_over,
        a_deployment_with_other_tables_of_users_and_profiles_has_batches,
);

/// An app that marks batches and leaves the users to others.
const NO_WORKERS: [(&str, &str); 2] = [("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")];

async fn trigger(app: &TestApp) -> Value {
    let answer = app.post("/api/scheduler/trigger").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body
}

async fn batch(app: &TestApp) -> Value {
    app.get("/api/scheduler/status").await.body["batch"].clone()
}

async fn finished(app: &TestApp) -> Value {
    eventually("the batch is finished", || async { batch(app).await["running"] == false }).await;
    batch(app).await
}

async fn marked(app: &TestApp) {
    eventually("all users are marked", || async { batch(app).await["marking"] == false }).await;
}

async fn mark_all(store: &dyn Store, batch: BatchId) {
    while store.mark_batch(batch).await.unwrap() == Marking::Going {}
}

fn counts(batch: &Value) -> [i64; 4] {
    ["total", "done", "skipped", "parked"].map(|name| batch[name].as_i64().unwrap())
}

async fn a_batch_is_for_active_users_with_a_recent_analysis(database: TestDatabase) {
    database.add_user(1, true, "간호사", 0).await;
    database.add_user(2, true, "간호사", 29).await;
    database.add_user(3, true, "간호사", 31).await;
    database.add_user(4, false, "간호사", 0).await;
    database.execute("INSERT INTO users (user_id, is_active) VALUES (5, TRUE), (6, TRUE)").await;
    database.execute("INSERT INTO profile_analysis (user_id, interests) VALUES (6, 'React')").await;
    if database.kind != Kind::Sqlite {
        // Profiles of the embedded database have no date.
        database.execute("INSERT INTO users (user_id, is_active) VALUES (7, TRUE)").await;
        database
            .execute(
                "INSERT INTO profile_analysis (user_id, created_at, updated_at) VALUES \
                 (7, UTC_TIMESTAMP(6) - INTERVAL 31 DAY, UTC_TIMESTAMP(6) - INTERVAL 31 DAY)",
            )
            .await;
    }
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.calculate(2).await.outcome(), "computed");
    let triggered = trigger(&app).await;
    assert_eq!((&triggered["success"], &triggered["joined"]), (&true.into(), &false.into()));
    let batch = finished(&app).await;
    assert_eq!(batch["id"], triggered["batchId"]);
    let marked = "SELECT user_id FROM recommendation_state WHERE batch_id IS NOT NULL ORDER BY user_id";
    assert_eq!(database.numbers(marked).await, [1, 2, 6]);
    assert_eq!(counts(&batch), [3, 2, 1, 0], "{batch}");
    assert!(database.row_count(1).await > 0 && database.row_count(2).await > 0);
    assert_eq!(database.row_count(3).await + database.row_count(4).await, 0);
    assert_eq!(
        (&batch["scope"], &batch["due"], &batch["inProgress"]),
        (&"active".into(), &0.into(), &0.into())
    );
    assert!(batch["finishedAt"].is_string());
}

async fn a_second_trigger_joins_the_batch_that_is_running(database: TestDatabase) {
    database.add_user(USER, true, "간호사", 0).await;
    let front = TestApp::start(&database, &NO_WORKERS).await;
    let other = TestApp::start(&database, &NO_WORKERS).await;
    let triggers = join_all([trigger(&front), trigger(&other), trigger(&front)]).await;
    let ids: Vec<_> = triggers.iter().map(|answer| &answer["batchId"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{triggers:?}");
    assert_eq!(triggers.iter().filter(|answer| answer["joined"] == false).count(), 1, "{triggers:?}");
    marked(&front).await;
    let running = batch(&front).await;
    assert_eq!((&running["running"], &running["due"]), (&true.into(), &1.into()), "{running}");
    assert_eq!(trigger(&other).await["joined"], true);
    assert_eq!(database.state(USER, "requested_seq").await, 1, "joining marks nobody again");
    let _worker = TestApp::start(&database, &[]).await;
    finished(&front).await;
    assert_eq!(trigger(&front).await["joined"], false);
}

async fn several_instances_mark_everybody_exactly_once(database: TestDatabase) {
    const USERS: i64 = 1_000;
    add_many(&database, USERS).await;
    let stores: Vec<Arc<dyn Store>> = (0..4).map(|_| database.store()).collect();
    let opened = stores[0].open_batch(&BatchScope::All).await.unwrap();
    join_all(stores.iter().map(|store| {
        let store = store.clone();
        tokio::spawn(async move {
            // SQLite has one writer and MySQL may roll one of two back: the instance tries again.
            loop {
                match store.mark_batch(opened.id).await {
                    Ok(Marking::Ended) => return,
                    Ok(Marking::Going) => {}
                    Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|marked| marked.unwrap());
    let status = stores[0].latest_batch().await.unwrap().unwrap();
    assert_eq!((status.marked, status.due), (USERS, USERS));
    assert_eq!(database.number("SELECT COUNT(*) FROM recommendation_state").await, USERS);
    let once = "SELECT COUNT(*) FROM recommendation_state WHERE requested_seq = 1 AND lane = 1";
    assert_eq!(database.number(once).await, USERS);
}

/// Users without analyses, with ids from 1 on.
async fn add_many(database: &TestDatabase, users: i64) {
    let rows: Vec<_> = (1..=users).map(|id| format!("({id}, TRUE)")).collect();
    database.execute(&format!("INSERT INTO users (user_id, is_active) VALUES {}", rows.join(", "))).await;
}

async fn a_batch_goes_on_where_an_instance_has_died(database: TestDatabase) {
    const USERS: i64 = 450;
    add_many(&database, USERS).await;
    let died = database.store();
    let opened = died.open_batch(&BatchScope::All).await.unwrap();
    assert_eq!(died.mark_batch(opened.id).await.unwrap(), Marking::Going);
    let marked = database.number("SELECT COUNT(*) FROM recommendation_state").await;
    assert!(0 < marked && marked < USERS, "{marked}");
    died.close().await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(counts(&finished(&app).await)[0], USERS);
    let once = "SELECT COUNT(*) FROM recommendation_state WHERE requested_seq = 1 AND completed_seq = 1";
    assert_eq!(database.number(once).await, USERS);
}

async fn workers_that_die_in_a_batch_are_taken_over(database: TestDatabase) {
    const USERS: i64 = 60;
    for user in 1..=USERS {
        database.add_user(user, true, "간호사", 0).await;
    }
    let done = "SELECT COUNT(*) FROM recommendation_state WHERE completed_seq > 0";
    let process = TestProcess::start(&database, &SHORT_LEASES).await;
    let trigger = format!("{}/api/scheduler/trigger", process.address);
    assert_eq!(reqwest::Client::new().post(trigger).send().await.unwrap().status(), 202);
    eventually("some users are done", || async { database.number(done).await > 5 }).await;
    process.kill();
    assert!(database.number(done).await < USERS, "killed in the middle");
    let app = TestApp::start(&database, &SHORT_LEASES).await;
    let batch = finished(&app).await;
    assert_eq!(counts(&batch), [USERS, USERS, 0, 0], "{batch}");
    let lists = "SELECT COUNT(DISTINCT user_id) FROM user_job_recommendations";
    assert_eq!(database.number(lists).await, USERS);
}

async fn a_batch_in_which_no_input_has_changed_writes_no_recommendation(database: TestDatabase) {
    for user in 1..=20 {
        database.add_user(user, true, "간호사", 0).await;
    }
    let app = TestApp::start(&database, &[]).await;
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [20, 20, 0, 0]);
    database.execute("CREATE TABLE audit (user_id BIGINT NOT NULL)").await;
    for (event, row) in [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")] {
        let statement = format!("INSERT INTO audit VALUES ({row}.user_id)");
        let statement =
            if database.kind == Kind::Sqlite { format!("BEGIN {statement}; END") } else { statement };
        database
            .execute(&format!(
                "CREATE TRIGGER audit_{event} AFTER {event} ON user_job_recommendations FOR EACH ROW {statement}"
            ))
            .await;
    }
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [20, 0, 20, 0]);
    assert_eq!(database.number("SELECT COUNT(*) FROM audit").await, 0);

    let changed = "UPDATE career_analyses SET recommended_careers = '[\"회계 담당자\"]' WHERE session_id = 7";
    database.execute(changed).await;
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [20, 1, 19, 0]);
    assert_eq!(database.numbers("SELECT DISTINCT user_id FROM audit").await, [7]);
}

async fn a_user_who_is_due_in_real_time_keeps_the_lane(database: TestDatabase) {
    for user in [USER, OTHER_USER] {
        database.add_user(user, true, "간호사", 0).await;
    }
    let store = database.store();
    store.request_run(USER.try_into().unwrap()).await.unwrap();
    let opened = store.open_batch(&BatchScope::Active).await.unwrap();
    mark_all(store.as_ref(), opened.id).await;
    let waiting = async |lane| {
        let due = store.due_users(lane, ScoringRevision(i64::MAX), 10).await.unwrap();
        due.iter().map(|due| due.user.get()).collect::<Vec<_>>()
    };
    assert_eq!(waiting(Lane::RealTime).await, [USER]);
    assert_eq!(waiting(Lane::Batch).await, [OTHER_USER]);
    store.request_run(OTHER_USER.try_into().unwrap()).await.unwrap();
    assert_eq!(waiting(Lane::Batch).await, [0; 0], "a trigger moves a user to real time");
    assert_eq!(database.state(USER, "requested_seq").await, 2, "the batch's trigger counts, too");
}

async fn poison(database: &TestDatabase, user: i64) {
    database.poison(user).await;
    database.add_user(user, true, "간호사", 0).await;
}

async fn a_parked_user_gets_one_more_try(database: TestDatabase) {
    poison(&database, USER).await;
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "2")]).await;
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [1, 0, 0, 1]);
    assert_eq!(database.state(USER, "attempts").await, 2);
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [1, 0, 0, 1]);
    assert_eq!(database.state(USER, "attempts").await, 2, "one more, not two");
    database.execute("DROP TRIGGER poison").await;
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await), [1, 1, 0, 0]);
    assert_eq!(database.state(USER, "attempts").await, 0);
}

async fn a_user_who_fails_does_not_keep_a_batch_from_others(database: TestDatabase) {
    poison(&database, USER).await;
    for user in USER + 1..USER + 10 {
        database.add_user(user, true, "간호사", 0).await;
    }
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "2")]).await;
    trigger(&app).await;
    eventually("the others are done while he waits", || async { batch(&app).await["done"] == 9 }).await;
    assert_eq!(counts(&finished(&app).await), [10, 9, 0, 1]);
}

/// Tables as another service may have made them: no dates in profiles, unsigned ids, ids as text in another
/// character set and collation, flags as bits.
async fn a_deployment_with_other_tables_of_users_and_profiles_has_batches(database: TestDatabase) {
    for statement in [
        "DROP TABLE users",
        "DROP TABLE profile_analysis",
        "DROP TABLE career_sessions",
        "CREATE TABLE users (user_id BIGINT UNSIGNED PRIMARY KEY, is_active BIT(1) NOT NULL)",
        "CREATE TABLE profile_analysis (user_id INT UNSIGNED PRIMARY KEY, interests TEXT, strengths TEXT, \
            goals TEXT, summary TEXT)",
        "CREATE TABLE career_sessions (id BIGINT PRIMARY KEY, session_id VARCHAR(255), \
            user_id VARCHAR(50) CHARACTER SET latin1 COLLATE latin1_bin, KEY (user_id))",
        "INSERT INTO users VALUES (1, 1), (2, 1), (3, 0), (4, 1)",
        "INSERT INTO profile_analysis (user_id) VALUES (2), (3)",
        "INSERT INTO career_sessions VALUES (1, 's1', '1'), (4, 's4', '4x')",
        "INSERT INTO career_analyses (session_id, recommended_careers) VALUES (1, '[\"간호사\"]'), (4, '[]')",
    ] {
        database.execute(statement).await;
    }
    let app = TestApp::start(&database, &[]).await;
    trigger(&app).await;
    assert_eq!(counts(&finished(&app).await)[0], 2);
    let marked = "SELECT user_id FROM recommendation_state WHERE batch_id IS NOT NULL ORDER BY user_id";
    assert_eq!(database.numbers(marked).await, [1, 2]);
    assert!(database.row_count(1).await > 0);
}

async fn several_instances_serve_everybody_exactly_once(database: TestDatabase) {
    const USERS: i64 = 60;
    for user in 1..=USERS {
        database.add_user(user, true, "간호사", 0).await;
    }
    let apps = [
        TestApp::start(&database, &[]).await,
        TestApp::start(&database, &[]).await,
        TestApp::start(&database, &[]).await,
    ];
    trigger(&apps[0]).await;
    assert_eq!(counts(&finished(&apps[1]).await), [USERS, USERS, 0, 0]);
    // Every run that ends well counts one or the other.
    let runs = "SELECT version + confirmations FROM recommendation_state ORDER BY user_id";
    assert_eq!(database.numbers(runs).await, vec![1; USERS as usize]);
}

async fn a_trigger_in_real_time_does_not_wait_for_a_batch(database: TestDatabase) {
    // Longer than an impatient test would wait, whatever the machine.
    const USERS: i64 = 2_000;
    add_many(&database, USERS).await;
    database.execute("INSERT INTO profile_analysis (user_id) SELECT user_id FROM users").await;
    let front = TestApp::start(&database, &NO_WORKERS).await;
    trigger(&front).await;
    marked(&front).await;
    let app = TestApp::start(&database, &[]).await;
    eventually("the batch is being served", || async { batch(&app).await["due"] != USERS }).await;
    let user = USERS + 1;
    database.set_career(user, "간호사").await;
    assert_eq!(app.calculate_in_background(user).await.status, 202);
    eventually("the trigger is served", || async { database.row_count(user).await > 0 }).await;
    let waiting = batch(&app).await["due"].as_i64().unwrap();
    assert!(waiting > USERS / 10, "{waiting} of the batch still wait");
}
