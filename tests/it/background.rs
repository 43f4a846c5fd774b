//! Background triggers are never lost.

use futures::future::join_all;

use crate::support::{
    RedisServer, SHORT_LEASES, TestApp, TestDatabase, TestProcess, USER, eventually, on_every_database,
};

on_every_database!(
    triggers_acknowledged_before_a_kill_are_done_after_the_restart,
    a_trigger_that_comes_in_during_a_run_is_done_with_its_own_inputs,
    a_failing_user_is_tried_again_and_does_not_stop_the_others,
    triggers_that_arrive_at_once_are_all_recorded_and_users_without_careers_are_told_so;
    servers:
        a_trigger_recorded_by_another_instance_is_found,
        a_user_whose_state_is_locked_does_not_keep_others_from_being_recorded,
);

async fn triggers_acknowledged_before_a_kill_are_done_after_the_restart(database: TestDatabase) {
    const USERS: i64 = 20;
    for user in USER..USER + USERS {
        database.set_career(user, "간호사").await;
    }
    let process = TestProcess::start(&database, &SHORT_LEASES).await;
    let client = reqwest::Client::new();
    let mut acknowledged = 0;
    for user in USER..USER + USERS {
        let url =
            format!("{}/api/job-agent/recommendations/calculate/{user}?background=true", process.address);
        let answer = client.post(url).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        acknowledged += 1;
    }
    process.kill();
    let requested = "SELECT CAST(COALESCE(SUM(requested_seq), 0) AS CHAR) FROM recommendation_state";
    assert_eq!(database.texts(requested).await, [acknowledged.to_string()], "202 means durable");
    let _restarted = TestProcess::start(&database, &SHORT_LEASES).await;
    let pending = "SELECT COUNT(*) FROM recommendation_state WHERE completed_seq < requested_seq";
    eventually("everything acknowledged is done", || async { database.number(pending).await == 0 }).await;
    for user in USER..USER + USERS {
        assert!(database.row_count(user).await > 0);
    }
}

async fn a_trigger_that_comes_in_during_a_run_is_done_with_its_own_inputs(database: TestDatabase) {
    let careers = ["간호사", "백엔드 개발자"];
    let app = TestApp::start(&database, &[]).await;
    for round in 0..20 {
        database.set_career(USER, careers[round % 2]).await;
        assert_eq!(app.calculate_in_background(USER).await.status, 202);
    }
    eventually("the last trigger is done", || async {
        database.state(USER, "requested_seq - completed_seq").await == 0
    })
    .await;
    assert_eq!(database.stored_careers(USER).await, [careers[19 % 2]]);
}

async fn a_failing_user_is_tried_again_and_does_not_stop_the_others(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url), ("LOCK_WAIT_SECS", "0")]).await;
    database.set_career(USER, "간호사").await;
    database.set_career(USER + 1, "간호사").await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "another client"]).await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    assert_eq!(app.calculate_in_background(USER + 1).await.status, 202);
    eventually("the other user is done", || async { database.state(USER + 1, "completed_seq").await == 1 })
        .await;
    assert_eq!(database.state(USER, "completed_seq").await, 0, "no run can have started: the lock is held");
    redis.command(&["DEL", &format!("job_recommendation_lock:user:{USER}")]).await;
    eventually("the first user is done", || async {
        database.state(USER, "requested_seq - completed_seq").await == 0
    })
    .await;
}

async fn a_trigger_recorded_by_another_instance_is_found(database: TestDatabase) {
    let _app = TestApp::start(&database, &[]).await;
    database.set_career(USER, "간호사").await;
    database.store().request_run(USER.try_into().unwrap()).await.unwrap();
    eventually("the trigger is done", || async { database.state(USER, "completed_seq").await == 1 }).await;
    assert!(database.row_count(USER).await > 0);
}

async fn triggers_that_arrive_at_once_are_all_recorded_and_users_without_careers_are_told_so(
    database: TestDatabase,
) {
    const USERS: i64 = 60;
    for user in USER..USER + USERS {
        match user % 3 {
            0 => database.set_career(user, "간호사").await,
            // These have their careers in an analysis only.
            1 => database.add_analysis(user, r#"["간호사"]"#, "[]", 1).await,
            _ => {}
        }
    }
    let app = TestApp::start(&database, &[("QUEUE_WORKERS", "0")]).await;
    for round in 1..=2 {
        let answers = join_all((USER..USER + USERS).map(|user| app.calculate_in_background(user))).await;
        for (user, answer) in (USER..).zip(answers) {
            assert_eq!(answer.status, if user % 3 == 2 { 200 } else { 202 }, "user {user}: {answer:?}");
        }
        let recorded =
            "SELECT COUNT(*) FROM recommendation_state WHERE due_at IS NOT NULL AND requested_seq >= ";
        assert_eq!(database.number(&format!("{recorded}{round}")).await, USERS * 2 / 3);
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM recommendation_state").await, USERS * 2 / 3);
}

async fn a_user_whose_state_is_locked_does_not_keep_others_from_being_recorded(database: TestDatabase) {
    const USERS: i64 = 20;
    let app = TestApp::start(&database, &[("QUEUE_WORKERS", "0")]).await;
    for user in USER..USER + USERS {
        database.set_career(user, "간호사").await;
        assert_eq!(app.calculate_in_background(user).await.status, 202);
    }
    let holder = database.hold_state(USER).await;
    let answers = join_all((USER..USER + USERS).map(|user| app.calculate_in_background(user))).await;
    holder.rollback().await.unwrap();
    for (user, answer) in (USER..).zip(answers) {
        if user != USER {
            assert_eq!(answer.status, 202, "user {user}: {answer:?}");
        }
    }
}
