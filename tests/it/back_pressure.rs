//! Requests beyond what an instance can take are refused at once; nothing else is.

use std::sync::Arc;

use futures::future::join_all;

use crate::support::{RedisServer, TestApp, TestDatabase, USER, eventually, on_every_database};

on_every_database!(requests_beyond_max_runs_are_refused_and_everything_else_goes_on);

async fn requests_beyond_max_runs_are_refused_and_everything_else_goes_on(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("MAX_RUNS", "2"), ("LOCK_WAIT_SECS", "25")];
    let app = Arc::new(TestApp::start(&database, &settings).await);
    for user in USER..USER + 5 {
        database.set_career(user, "간호사").await;
    }
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    // Two runs wait for locks that another client holds.
    for user in [USER, USER + 1] {
        redis.command(&["SET", &format!("job_recommendation_lock:user:{user}"), "another client"]).await;
    }
    let request = |user| {
        let app = app.clone();
        tokio::spawn(async move { app.calculate(user).await })
    };
    let waiting = [request(USER), request(USER + 1)];
    // Two requests, each with its run.
    eventually("both runs are in flight", || async { app.in_flight() == 4 }).await;

    let refused = join_all((0..20).map(|_| app.calculate(USER + 2))).await;
    for answer in refused {
        assert_eq!((answer.status.as_u16(), answer.outcome()), (503, "overloaded"), "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.body["success"], false);
        assert!(answer.body["detail"].is_string());
    }
    let joined = request(USER);
    assert_eq!(app.calculate_in_background(USER + 3).await.status, 202);
    eventually("the background goes on", || async { database.state(USER + 3, "completed_seq").await == 1 })
        .await;
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(app.fast(USER, "").await.status, 200);

    for user in [USER, USER + 1] {
        redis.command(&["DEL", &format!("job_recommendation_lock:user:{user}")]).await;
    }
    for answer in waiting.into_iter().chain([joined]) {
        assert_eq!(answer.await.unwrap().body["success"], true);
    }
    assert_eq!(app.calculate(USER + 2).await.outcome(), "computed", "there is room again");
}
