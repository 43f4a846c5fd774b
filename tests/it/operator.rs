//! What operators look at: the last runs of an instance, and parked users.

use std::collections::HashSet;

use reqwest::Method;

use crate::support::token::{SECRET, admin_token, user_token};
use crate::support::{Kind, OTHER_USER, TestApp, TestDatabase, USER, eventually, on_every_database};

const OPERATOR: &str = "/api/job-agent/operator";

on_every_database!(a_parked_user_is_listed_until_a_retry_succeeds);

async fn a_parked_user_is_listed_until_a_retry_succeeds(database: TestDatabase) {
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "1")]).await;
    let parked = async || app.get(&format!("{OPERATOR}/parked")).await.body["users"].clone();
    assert_eq!(parked().await.as_array().unwrap().len(), 0);
    database.set_career(USER, "간호사").await;
    database.set_career(OTHER_USER, "백엔드 개발자").await;
    database.poison(USER).await;
    // Two lists that are written show that the failure is the user's own.
    app.calculate(OTHER_USER).await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    eventually("the user is parked", || async { !parked().await.as_array().unwrap().is_empty() }).await;
    let user = &parked().await[0];
    assert_eq!((&user["userId"], &user["attempts"]), (&USER.into(), &1.into()), "{user}");
    assert_eq!(user["lastError"], "internal_error");
    assert!(user["parkedAt"].as_str().unwrap().ends_with('Z'), "{user}");
    assert!(!user.to_string().contains("poison"), "the cause is for those who may read the database: {user}");

    database.execute("DROP TRIGGER poison").await;
    let retried = app.post(&format!("{OPERATOR}/retry/{USER}")).await;
    assert_eq!((retried.status.as_u16(), &retried.body["due"]), (200, &true.into()), "{retried:?}");
    eventually("the list is written", || async { database.row_count(USER).await > 0 }).await;
    assert_eq!(parked().await.as_array().unwrap().len(), 0);

    let retried = app.post(&format!("{OPERATOR}/retry/424242")).await;
    assert_eq!((retried.status.as_u16(), &retried.body["due"]), (200, &false.into()), "{retried:?}");
    let unknown = "SELECT COUNT(*) FROM recommendation_state WHERE user_id = 424242";
    assert_eq!(database.number(unknown).await, 0, "an unknown user is left unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_with_its_phases_under_the_id_that_its_callers_get() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[("INSTANCE_NAME", "one-of-three")]).await;
    let computed = app.calculate(USER).await;
    let forced = app.post(&format!("/api/job-agent/recommendations/calculate/{USER}?force=true")).await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    eventually("the worker has run", || async {
        app.get(&format!("{OPERATOR}/runs")).await.body["runs"].as_array().unwrap().len() == 3
    })
    .await;
    let answer = app.get(&format!("{OPERATOR}/runs")).await;
    assert_eq!(answer.body["instance"], "one-of-three");
    let runs = answer.body["runs"].as_array().unwrap();
    let shown: Vec<_> = runs.iter().map(|run| (run["began"].as_str().unwrap(), &run["force"])).collect();
    assert_eq!(shown, [("worker", &false.into()), ("request", &true.into()), ("request", &false.into())]);
    let outcomes: Vec<_> = runs.iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["up_to_date", "computed", "computed"]);
    for (run, answer) in [(&runs[1], &forced), (&runs[2], &computed)] {
        assert_eq!(run["runId"], answer.headers["x-run-id"].to_str().unwrap());
        assert_eq!(answer.headers["x-run-role"], "began");
    }
    for run in runs {
        let phases = run["phases"].as_object().unwrap();
        let spent: f64 = phases.values().map(|time| time.as_f64().unwrap()).sum();
        assert_eq!((phases.len(), &run["userId"]), (6, &USER.into()));
        // Each is rounded to a hundredth of a millisecond.
        assert!(spent > 0.0 && spent <= run["tookMs"].as_f64().unwrap() + 0.08, "{run}");
        assert!(run["endedAgoMs"].as_f64().unwrap() >= 0.0, "{run}");
    }
}

/// Of many requests at once, the first begins a run, and the others share another one that begins after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_whether_it_began_its_run_or_joined_it() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    let answers = futures::future::join_all((0..20).map(|_| app.calculate(USER))).await;
    let role = |role: &str| answers.iter().filter(|answer| answer.headers["x-run-role"] == role).count();
    let runs: HashSet<_> = answers.iter().map(|answer| answer.headers["x-run-id"].clone()).collect();
    // One request begins each run.
    assert_eq!((role("began"), role("began") + role("joined")), (runs.len(), 20));
    assert!(runs.len() < 20, "some joined");
    let computed = answers.iter().filter(|answer| answer.outcome() == "computed");
    let computed: HashSet<_> = computed.map(|answer| answer.headers["x-run-id"].clone()).collect();
    assert_eq!(computed.len(), 1, "the others found the list current");
}

#[tokio::test(flavor = "multi_thread")]
async fn operating_is_for_other_services_and_administrators() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let api_token = "service-token-0123456789";
    let settings = [("AUTH_MODE", "required"), ("JWT_SECRET", SECRET), ("API_TOKENS", api_token)];
    // An open scheduler opens nothing else.
    let app = TestApp::start(&database, &[settings.as_slice(), &[("SCHEDULER_OPEN", "true")]].concat()).await;
    for (method, path) in [(Method::GET, "runs"), (Method::GET, "parked"), (Method::POST, "retry/1")] {
        let path = format!("{OPERATOR}/{path}");
        for (token, status) in [
            (api_token.to_owned(), 200),
            (admin_token(SECRET, USER), 200),
            (user_token(SECRET, 1), 403),
            ("rubbish".to_owned(), 401),
        ] {
            let answer = app.send(method.clone(), &path, |request| request.bearer_auth(token)).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
        let answer = app.send(method, &path, |request| request).await;
        assert_eq!(answer.outcome(), "token_required");
    }
}
