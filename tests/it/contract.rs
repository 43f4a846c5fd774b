//! The wire contract with the web client and the Java backend, row by row.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{RedisServer, TestApp, TestDatabase, USER, eventually, on_every_database};

on_every_database!(
    a_calculation_is_stored_and_the_next_one_is_skipped,
    force_recomputes_although_nothing_has_changed,
    a_user_without_analysis_leaves_no_trace,
    a_user_without_careers_is_told_so,
    a_background_trigger_is_accepted_when_it_is_durable_and_then_done,
    the_stored_list_is_read_best_first_with_every_documented_field,
    limit_and_min_score_narrow_the_list,
    a_user_without_rows_reads_an_empty_list,
    a_list_that_no_listing_fits_any_more_is_emptied,
    health_needs_nothing;
    servers:
        a_request_that_did_not_get_the_lock_is_queued_and_done_later,
);

async fn a_calculation_is_stored_and_the_next_one_is_skipped(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    let first = app.calculate(USER).await;
    assert_eq!(first.status, StatusCode::OK);
    let saved = database.row_count(USER).await;
    assert!(saved > 0);
    assert_eq!(
        first.body,
        json!({"success": true, "message": "사용자 1001의 추천이 계산되었습니다.", "savedCount": saved,
               "userId": USER, "background": false, "skipped": false})
    );
    let second = app.calculate(USER).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_eq!(second.body["skipped"], true);
    assert_eq!(second.body["code"], "up_to_date");
    assert_eq!(second.body["success"], true);
    assert_eq!(second.body["savedCount"], saved);
}

async fn force_recomputes_although_nothing_has_changed(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    app.calculate(USER).await;
    let before = database.texts("SELECT CAST(MAX(updated_at) AS CHAR) FROM user_job_recommendations").await;
    let forced = app.post(&format!("/api/job-agent/recommendations/calculate/{USER}?force=true")).await;
    assert_eq!((forced.outcome(), &forced.body["skipped"]), ("computed", &json!(false)));
    // Equal rows are not written again even then.
    let after = database.texts("SELECT CAST(MAX(updated_at) AS CHAR) FROM user_job_recommendations").await;
    assert_eq!(before, after);
    assert_eq!(app.calculate(USER).await.outcome(), "up_to_date");
}

async fn a_user_without_analysis_leaves_no_trace(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let expected = json!({"success": false, "error": "No profile analysis", "code": "no_profile_analysis",
                          "detail": "아직 진로 분석 결과가 없습니다. 먼저 진로 상담이나 프로필 작성을 완료해 주세요.",
                          "userId": 424242});
    let answer = app.calculate(424_242).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, expected.clone()));
    let answer = app.calculate_in_background(424_242).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "a user without analysis leaves no state"
    );
}

async fn a_user_without_careers_is_told_so(database: TestDatabase) {
    database.add_analysis(USER, "[]", "[]", 1).await;
    let app = TestApp::start(&database, &[]).await;
    for answer in [app.calculate(USER).await, app.calculate_in_background(USER).await] {
        let expected = json!({"success": false, "error": "No job recommendations",
                              "code": "no_job_recommendations",
                              "detail": "아직 추천된 직업이 없습니다. 먼저 진로 상담이나 프로필 작성을 완료해 주세요.",
                              "userId": USER});
        assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    }
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "a user without careers leaves no state"
    );
}

async fn a_background_trigger_is_accepted_when_it_is_durable_and_then_done(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    let answer = app.calculate_in_background(USER).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(
        answer.body,
        json!({"success": true, "message": "사용자 1001의 추천 계산이 백그라운드에서 시작되었습니다.",
               "userId": USER, "background": true})
    );
    assert_eq!(database.state(USER, "requested_seq").await, 1, "an accepted trigger is recorded");
    eventually("the trigger is done", || async { database.state(USER, "completed_seq").await == 1 }).await;
    assert!(database.row_count(USER).await > 0);
    let due = "SELECT COUNT(*) FROM recommendation_state WHERE due_at IS NOT NULL";
    assert_eq!(database.number(due).await, 0, "a served user is not due");
}

async fn the_stored_list_is_read_best_first_with_every_documented_field(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    let saved = app.calculate(USER).await.body["savedCount"].as_u64().unwrap();
    let list = app.fast(USER, "?limit=100").await;
    assert_eq!(list.status, StatusCode::OK);
    assert_eq!(
        (&list.body["success"], &list.body["cached"], &list.body["error"]),
        (&json!(true), &json!(true), &json!(null))
    );
    assert_eq!((&list.body["totalCount"], &list.body["storedCount"]), (&json!(saved), &json!(saved)));
    let time = list.body["calculatedAt"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == "2025-12-06T03:30:00Z".len(), "{time}");
    let rows = list.body["recommendations"].as_array().unwrap();
    assert_eq!(rows.len() as u64, saved);
    let scores: Vec<f64> = rows.iter().map(|row| row["matchScore"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    for row in rows {
        for field in [
            "title",
            "company",
            "location",
            "url",
            "description",
            "siteName",
            "techStack",
            "requiredSkills",
            "matchReason",
            "experience",
            "matchedCareer",
            "careerCategory",
        ] {
            assert!(row[field].is_string(), "{field} of {row}");
        }
        assert!(row["id"].is_i64());
        assert!(row["description"].as_str().unwrap().chars().count() <= 300);
        let parts = row["breakdown"].as_object().unwrap().values();
        let sum: f64 = parts.map(|part| part.as_f64().unwrap()).sum();
        assert!((sum - row["matchScore"].as_f64().unwrap()).abs() < 0.001, "{row}");
    }
    assert_eq!(rows[0]["matchedCareer"], "백엔드 개발자");
    assert!(rows[0]["matchReason"].as_str().unwrap().contains("백엔드 개발자"));
}

async fn limit_and_min_score_narrow_the_list(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    app.calculate(USER).await;
    let all = app.fast(USER, "?limit=100").await.body;
    let three = app.fast(USER, "?limit=3").await.body;
    assert_eq!(three["recommendations"].as_array().unwrap().len(), 3);
    assert_eq!(three["recommendations"][2], all["recommendations"][2]);
    assert_eq!((&three["totalCount"], &three["storedCount"]), (&json!(3), &all["totalCount"]));
    let good = app.fast(USER, "?min_score=70&limit=100").await.body;
    let rows = good["recommendations"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["matchScore"].as_f64().unwrap() >= 70.0));
    assert_eq!((&good["totalCount"], &good["storedCount"]), (&json!(rows.len()), &all["totalCount"]));
    let none = app.fast(USER, "?min_score=100").await.body;
    assert_eq!(
        (&none["recommendations"], &none["totalCount"], &none["storedCount"], &none["cached"]),
        (&json!([]), &json!(0), &all["totalCount"], &json!(true))
    );
}

async fn a_user_without_rows_reads_an_empty_list(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let list = app.fast(424_242, "").await;
    let empty = json!({"success": true, "recommendations": [], "totalCount": 0, "storedCount": 0,
                       "cached": false, "calculatedAt": null, "error": null});
    assert_eq!((list.status, list.body), (StatusCode::OK, empty));
}

async fn a_list_that_no_listing_fits_any_more_is_emptied(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    assert!(app.calculate(USER).await.body["savedCount"].as_u64().unwrap() > 0);
    database.set_career(USER, "쀍뛟 쮋꿟").await;
    let answer = app.calculate(USER).await;
    assert_eq!((answer.outcome(), &answer.body["savedCount"]), ("computed", &json!(0)));
    assert_eq!(database.row_count(USER).await, 0, "a list without a fitting listing is emptied");
    assert_eq!(app.fast(USER, "").await.body["cached"], false);
}

async fn health_needs_nothing(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let answer = app.get("/health").await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({"status": "healthy"})));
}

async fn a_request_that_did_not_get_the_lock_is_queued_and_done_later(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let redis = RedisServer::start().await;
    let app = TestApp::start(&database, &[("REDIS_URL", &redis.url()), ("LOCK_WAIT_SECS", "1")]).await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "another client"]).await;
    let answer = app.calculate(USER).await;
    let expected = json!({"success": false, "skipped": true, "error": "Already in progress",
                          "code": "already_in_progress",
                          "detail": "추천을 이미 계산하고 있습니다. 잠시 후 다시 확인해 주세요.",
                          "userId": USER, "queued": true});
    assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    assert!(answer.took.as_secs_f64() < 3.0, "{:?}", answer.took);
    assert!(database.state(USER, "requested_seq").await >= 1);
    redis.command(&["DEL", &format!("job_recommendation_lock:user:{USER}")]).await;
    eventually("the queued trigger is done", || async {
        database.state(USER, "requested_seq - completed_seq").await == 0
    })
    .await;
    assert!(database.row_count(USER).await > 0);
}
