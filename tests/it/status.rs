//! `GET …/status/{user_id}` and `GET /api/scheduler/status`.

use serde_json::{Value, json};

use crate::support::{Kind, TestApp, TestDatabase, USER, eventually, on_every_database};

on_every_database!(
    the_status_of_a_user_follows_his_triggers,
    an_unknown_user_is_unknown_and_asking_leaves_no_trace,
    the_status_of_the_scheduler_counts_the_work,
    a_read_that_fails_is_a_defect_only_if_the_database_takes_writes,
);

async fn status(app: &TestApp, user: &str) -> Value {
    let answer = app.get(&format!("/api/job-agent/recommendations/status/{user}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 20 && text.ends_with('Z'))
}

async fn the_status_of_a_user_follows_his_triggers(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let front = TestApp::start(&database, &[("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")]).await;
    let user = USER.to_string();
    assert_eq!(front.calculate_in_background(USER).await.status, 202);
    let pending = status(&front, &user).await;
    assert_eq!(pending["state"], "pending");
    assert!(is_time(&pending["pendingSince"]) && is_time(&pending["nextAttemptAt"]), "{pending}");
    assert_eq!((&pending["calculatedAt"], &pending["verifiedAt"]), (&Value::Null, &Value::Null));

    let worker = TestApp::start(&database, &[]).await;
    eventually("it is served", || async { status(&front, &user).await["state"] == "current" }).await;
    worker.stop().await;
    let current = status(&front, &user).await;
    assert!(is_time(&current["calculatedAt"]) && is_time(&current["verifiedAt"]), "{current}");
    let rest = json!({
        "success": true, "userId": USER, "state": "current", "pendingSince": null, "nextAttemptAt": null,
        "attempts": 0, "lastError": null, "savedCount": database.row_count(USER).await,
        "calculatedAt": current["calculatedAt"], "verifiedAt": current["verifiedAt"],
    });
    assert_eq!(current, rest);
}

async fn an_unknown_user_is_unknown_and_asking_leaves_no_trace(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(
        status(&app, "424242").await,
        json!({
            "success": true, "userId": 424242, "state": "unknown", "pendingSince": null,
            "nextAttemptAt": null, "attempts": 0, "lastError": null, "calculatedAt": null,
            "verifiedAt": null, "savedCount": 0,
        })
    );
    assert_eq!(status(&app, &i64::MAX.to_string()).await["state"], "unknown");
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "asking records nothing"
    );
}

async fn the_status_of_the_scheduler_counts_the_work(database: TestDatabase) {
    let app = TestApp::start(
        &database,
        &[("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0"), ("SCHEDULER_TIME_ZONE", "Asia/Seoul")],
    )
    .await;
    let path = "/api/scheduler/status";
    let idle = app.get(path).await.body;
    assert_eq!(
        (&idle["success"], &idle["enabled"], &idle["batch"]),
        (&true.into(), &true.into(), &Value::Null)
    );
    assert!(idle["nextRun"].as_str().unwrap().ends_with("T18:00:00Z"), "03:00 in Seoul: {idle}");
    assert!(idle["nextCleanUp"].as_str().unwrap().ends_with("T19:00:00Z"), "04:00 in Seoul: {idle}");
    let work = |real_time, batch, running, parked| json!({"dueInRealTime": real_time, "dueInBatch": batch, "running": running, "parked": parked});
    assert_eq!(idle["queue"], work(0, 0, 0, 0));

    let store = database.store();
    for user in 1..=6 {
        store.request_run(user.try_into().unwrap()).await.unwrap();
    }
    database.execute("UPDATE recommendation_state SET lane = 1 WHERE user_id <= 2").await;
    let soon = match database.kind {
        Kind::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+60 seconds')",
        _ => "UTC_TIMESTAMP(6) + INTERVAL 60 SECOND",
    };
    let leased = format!("UPDATE recommendation_state SET lease_token = 't', lease_until = {soon}");
    database.execute(&format!("{leased} WHERE user_id IN (2, 3)")).await;
    database
        .execute("UPDATE recommendation_state SET parked_at = due_at, due_at = NULL WHERE user_id = 4")
        .await;
    assert_eq!(app.get(path).await.body["queue"], work(2, 1, 2, 1));
    let states = ["pending", "running", "running", "parked", "pending", "pending"];
    for (user, state) in (1..).zip(states) {
        assert_eq!(status(&app, &user.to_string()).await["state"], state, "user {user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ids_and_methods_are_refused_as_everywhere() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[("SCHEDULER_ENABLED", "false")]).await;
    for id in ["0", "-1", "1.5", "abc", "01", "%201", "9223372036854775808", "99999999999999999999"] {
        let answer = app.get(&format!("/api/job-agent/recommendations/status/{id}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (422, &"invalid_user_id".into()), "{id}");
    }
    let refused = [
        app.post("/api/job-agent/recommendations/status/1").await,
        app.get("/api/scheduler/trigger").await,
        app.post("/api/scheduler/status").await,
    ];
    for answer in refused {
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (405, &"method_not_allowed".into()));
    }
    let scheduler = app.get("/api/scheduler/status").await.body;
    assert_eq!((&scheduler["enabled"], &scheduler["nextRun"]), (&false.into(), &Value::Null));
    assert_eq!(app.post("/api/scheduler/trigger").await.status, 202, "a disabled schedule can be triggered");
    let body = app.send(reqwest::Method::POST, "/api/scheduler/trigger", |request| request.body("[]")).await;
    assert_eq!((body.status.as_u16(), &body.body["code"]), (400, &"malformed_body".into()));
}

/// The probe's table is away, too: as far as the service can tell, the database is in trouble.
async fn a_read_that_fails_is_a_defect_only_if_the_database_takes_writes(database: TestDatabase) {
    let app = TestApp::start(&database, &[("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")]).await;
    database.execute("ALTER TABLE recommendation_state RENAME TO state_elsewhere").await;
    let path = format!("/api/job-agent/recommendations/status/{USER}");
    let answer = app.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.outcome()), (500, "internal_error"), "{answer:?}");
    database.execute("ALTER TABLE scheduled_jobs RENAME TO jobs_elsewhere").await;
    let answer = app.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.outcome()), (503, "unavailable"), "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
}
