//! A stop as load balancers see it: not ready first, then no listener.

use std::time::{Duration, Instant};

use crate::support::{Kind, RedisServer, TestApp, TestDatabase, TestProcess, USER, eventually, raw};

const READY: &str = "GET /health/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn readiness_ends_before_the_listener_closes() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let mut process = TestProcess::start(&database, &[("SHUTDOWN_DELAY_SECS", "1")]).await;
    let ready = raw::exchange(&process.address, READY).await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""status":"ready""#), "{ready}");
    let stopped = Instant::now();
    process.signal("TERM");
    eventually("the instance is not ready", || async {
        let answer = raw::exchange(&process.address, READY).await;
        answer.starts_with("HTTP/1.1 503") && answer.contains(r#""code":"stopping""#)
    })
    .await;
    let (alive, _) = raw::health(&process.address).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let path = format!("/api/job-agent/recommendations/calculate/{USER}");
    let served = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(raw::exchange(&process.address, &served).await.contains(r#""success":true"#));
    assert_eq!(process.exit_code().await, Some(0));
    let took = stopped.elapsed();
    assert!(Duration::from_secs(1) <= took && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_load_balancers() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut process = TestProcess::start(&database, &[("SHUTDOWN_DELAY_SECS", "60")]).await;
    process.signal("TERM");
    eventually("the first signal has been seen", || async { !process.events("stopping").is_empty() }).await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_its_redis_is_ready_and_says_so() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.get("/health/ready").await.body["redis"], "not configured");
    let mut redis = RedisServer::start().await;
    let app = TestApp::start(&database, &[("REDIS_URL", &redis.url())]).await;
    let ready = app.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.body["redis"]), (200, &"available".into()));
    assert!(ready.body["listings"].as_u64().unwrap() > 0);
    // It has nothing to do, and notices nevertheless.
    redis.stop();
    let ready = app.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.body["redis"]), (200, &"unavailable".into()));
    assert!(app.get("/metrics").await.body.as_str().unwrap().contains("job_agent_redis_available 0"));
    let app = TestApp::start(&database, &[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    let ready = app.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.body["redis"]), (200, &"unavailable".into()));
}
