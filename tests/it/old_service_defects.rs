//! The defects of the old service, each measured on it with real servers: this service has none of them.
//! Defect 9, the nightly batch, is the subject of `batch.rs` and `schedule.rs`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::support::{
    Kind, RedisServer, TestApp, TestDatabase, USER, a_transaction_waits, config, eventually,
    on_every_database, transactions_wait,
};

on_every_database!(
    defect_01_simultaneous_triggers_all_calculated,
    defect_04_mixed_sets,
    defect_05_lost_rows_reported_as_success,
    defect_07_failing_inserts_reported_as_success,
    defect_08_one_null_company_failed_the_search_and_stale_lists_stayed,
    defect_10_fast_invented_scores,
    defect_12_scores_were_cut_off_and_patterns_matched_everything,
    defect_13_impossible_users_were_accepted;
    servers:
        defect_02_a_calculation_froze_the_process,
        defect_03_stale_overwrite_after_the_lock_expired,
        defect_03_stale_overwrite_without_redis,
        defect_06_a_crash_left_the_lock_and_retries_froze,
        defect_11_redis_down_at_the_first_request_disabled_locking,
);

async fn defect_01_simultaneous_triggers_all_calculated(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    let answers = join_all((0..20).map(|_| app.calculate(USER))).await;
    assert!(answers.iter().all(|answer| answer.body["success"] == true), "{answers:?}");
    assert_eq!(database.state(USER, "version").await, 1, "there 20 runs wrote, here one");
}

async fn defect_02_a_calculation_froze_the_process(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = Arc::new(TestApp::start(&database, &[]).await);
    app.calculate(USER).await;
    database.set_career(USER, "간호사").await;
    // A calculation that cannot finish: its row is locked.
    let holder = database.hold_states().await;
    let slow = app.clone();
    let slow = tokio::spawn(async move { slow.calculate(USER).await });
    for _ in 0..20 {
        assert!(app.get("/health").await.took < Duration::from_secs(1));
        assert!(app.fast(USER, "").await.took < Duration::from_secs(2));
    }
    assert!(!slow.is_finished());
    holder.rollback().await.unwrap();
    assert_eq!(slow.await.unwrap().outcome(), "computed");
}

async fn defect_03_stale_overwrite_after_the_lock_expired(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    // The lock expires in the middle of the run.
    let mut settings = config(&database, &[("REDIS_URL", &url)]);
    settings.lock_ttl = Duration::from_secs(1);
    let slow = Arc::new(TestApp::start_with(settings.clone()).await);
    let quick = Arc::new(TestApp::start_with(settings).await);
    overtake(&database, slow, quick, || async { redis.lock_of(USER).await.is_none() }).await;
}

async fn defect_03_stale_overwrite_without_redis(database: TestDatabase) {
    let slow = Arc::new(TestApp::start(&database, &[]).await);
    let quick = Arc::new(TestApp::start(&database, &[]).await);
    overtake(&database, slow, quick, || async { true }).await;
}

/// A run with old inputs is held back before its write; a run with new inputs is started; both then race
/// for the row.
async fn overtake<F: Future<Output = bool>>(
    database: &TestDatabase,
    slow: Arc<TestApp>,
    quick: Arc<TestApp>,
    unlocked: impl FnMut() -> F,
) {
    database.set_career(USER, "회계 담당자").await;
    slow.calculate(USER).await;
    database.set_career(USER, "백엔드 개발자").await;
    let holder = database.hold_states().await;
    let old = tokio::spawn(async move { slow.calculate(USER).await });
    a_transaction_waits(database).await;
    eventually("the lock is free", unlocked).await;
    database.set_career(USER, "간호사").await;
    let new = tokio::spawn(async move { quick.calculate(USER).await });
    transactions_wait(database, 2).await;
    holder.rollback().await.unwrap();
    assert_eq!(old.await.unwrap().body["success"], true);
    assert_eq!(new.await.unwrap().body["success"], true);
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
}

async fn defect_04_mixed_sets(database: TestDatabase) {
    let careers = ["백엔드 개발자", "간호사"];
    database.set_career(USER, careers[0]).await;
    let apps = [TestApp::start(&database, &[]).await, TestApp::start(&database, &[]).await];
    for round in 0..10 {
        database.set_career(USER, careers[round % 2]).await;
        let requests = join_all((0..6).map(|n| apps[n % 2].calculate(USER)));
        let reads = async {
            for _ in 0..20 {
                let careers = database.stored_careers(USER).await;
                assert!(careers.len() <= 1, "a mixed set: {careers:?}");
            }
        };
        tokio::join!(requests, reads);
        assert_eq!(database.stored_careers(USER).await, [careers[round % 2]]);
        assert_eq!(database.row_count(USER).await, database.state(USER, "saved_count").await);
    }
}

async fn defect_05_lost_rows_reported_as_success(database: TestDatabase) {
    let users = USER..USER + if database.kind == Kind::Sqlite { 30 } else { 120 };
    for user in users.clone() {
        database.set_career(user, "백엔드 개발자").await;
    }
    let apps = [TestApp::start(&database, &[]).await, TestApp::start(&database, &[]).await];
    let answers = join_all(users.clone().map(|user| apps[user as usize % 2].calculate(user))).await;
    for (user, answer) in users.zip(answers) {
        assert_eq!(answer.outcome(), "computed", "{answer:?}");
        assert_eq!(answer.body["savedCount"], database.row_count(user).await);
        assert!(answer.body["savedCount"].as_i64().unwrap() > 0);
    }
}

async fn defect_06_a_crash_left_the_lock_and_retries_froze(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url), ("LOCK_WAIT_SECS", "1")]).await;
    // The key of a process that was killed; nobody will release it.
    redis
        .command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "a dead process", "EX", "2"])
        .await;
    let refused = app.calculate(USER).await;
    assert_eq!(
        (refused.outcome(), &refused.body["queued"]),
        ("already_in_progress", &serde_json::json!(true))
    );
    assert!(refused.took < Duration::from_secs(3));
    eventually("the refused trigger is done once the key has expired", || async {
        database.row_count(USER).await > 0
    })
    .await;
}

async fn defect_07_failing_inserts_reported_as_success(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    let saved = app.calculate(USER).await.body["savedCount"].as_i64().unwrap();
    for (name, condition) in [("every", "1 = 1"), ("some", "NEW.job_listing_id % 2 = 0")] {
        let body = match database.kind {
            Kind::Sqlite => format!("WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused'); END"),
            _ => format!(
                "FOR EACH ROW BEGIN IF {condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; \
                 END IF; END"
            ),
        };
        let trigger = format!("CREATE TRIGGER fail_{name} BEFORE INSERT ON user_job_recommendations {body}");
        database.execute(&trigger).await;
        database.set_career(USER, "간호사").await;
        let answer = app.calculate(USER).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["success"]),
            (500, &serde_json::json!(false)),
            "{answer:?}"
        );
        assert!(!answer.body.to_string().contains("refused"), "{answer:?}");
        assert_eq!(database.row_count(USER).await, saved, "the old list is whole");
        assert_eq!(database.stored_careers(USER).await, ["백엔드 개발자"]);
        database.execute(&format!("DROP TRIGGER fail_{name}")).await;
    }
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
}

async fn defect_08_one_null_company_failed_the_search_and_stale_lists_stayed(database: TestDatabase) {
    database.execute("UPDATE job_listings SET company = NULL, description = NULL WHERE id % 3 = 0").await;
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    assert!(app.calculate(USER).await.body["savedCount"].as_i64().unwrap() > 0);
    // The careers are gone: so is the list, and the answer says why.
    database.execute(&format!("DELETE FROM job_recommendations WHERE user_id = {USER}")).await;
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
    assert_eq!(database.row_count(USER).await, 0);
    // A list that the old service left behind goes, too.
    database
        .execute(
            "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, calculated_at, \
             created_at, updated_at) VALUES (2002, 1, 50, '2026-01-01 00:00:00', '2026-01-01 00:00:00', \
             '2026-01-01 00:00:00')",
        )
        .await;
    assert_eq!(app.calculate_in_background(2002).await.outcome(), "no_profile_analysis");
    assert_eq!(database.row_count(2002).await, 0);
}

async fn defect_10_fast_invented_scores(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.fast(USER, "").await.body["recommendations"], serde_json::json!([]));
    app.calculate(USER).await;
    let list = app.fast(USER, "?limit=1").await.body;
    let best = &list["recommendations"][0];
    let stored =
        if database.kind == Kind::Sqlite { "match_score" } else { "CAST(match_score * 100 AS SIGNED)" };
    let stored = database
        .number(&format!("SELECT {stored} FROM user_job_recommendations ORDER BY match_score DESC LIMIT 1"))
        .await;
    assert_eq!((best["matchScore"].as_f64().unwrap() * 100.0).round() as i64, stored);
}

async fn defect_11_redis_down_at_the_first_request_disabled_locking(database: TestDatabase) {
    let mut redis = RedisServer::start().await;
    redis.stop();
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url), ("LOCK_WAIT_SECS", "0")]).await;
    database.set_career(USER, "간호사").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    redis.start_again().await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "somebody else"]).await;
    eventually("the lock is respected", || async {
        app.calculate(USER).await.outcome() == "already_in_progress"
    })
    .await;
}

async fn defect_12_scores_were_cut_off_and_patterns_matched_everything(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    for (user, pattern) in (USER..).zip(["%", "_", "%%", "___", "a%"]) {
        database.set_career(user, pattern).await;
        assert_eq!(app.calculate(user).await.body["savedCount"], 0, "{pattern}");
    }
    database.add_analysis(3001, r#"[{"careerName":"UI 디자이너","matchScore":0.57}]"#, "[]", 1).await;
    app.calculate(3001).await;
    let list = app.fast(3001, "?limit=100").await.body;
    for row in list["recommendations"].as_array().unwrap() {
        assert!(row["matchScore"].as_f64().unwrap() <= 57.0, "{row}");
        let words = row["matchedWords"].to_string().to_lowercase();
        assert!(!words.contains("building"), "{row}");
    }
    database.execute("UPDATE job_listings SET title = 'Building Inspector', description = 'building', tech_stack = NULL, required_skills = NULL").await;
    drop(app);
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.calculate(3001).await.body["savedCount"], 0);
}

async fn defect_13_impossible_users_were_accepted(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    for id in ["-1", "0", "9223372036854775808", "99999999999999999999"] {
        for query in ["", "?background=true"] {
            let answer = app.post(&format!("/api/job-agent/recommendations/calculate/{id}{query}")).await;
            assert_eq!((answer.status.as_u16(), answer.outcome()), (422, "invalid_user_id"));
        }
    }
    assert_eq!(app.calculate_in_background(i64::MAX).await.outcome(), "no_profile_analysis");
    assert_eq!(database.number("SELECT COUNT(*) FROM recommendation_state").await, 0);
}
