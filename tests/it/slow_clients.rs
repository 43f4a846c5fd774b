//! Clients that take their time: silent, with half a request, byte by byte, or not reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::support::raw::{self, Slow};
use crate::support::{Kind, RedisServer, TestApp, TestDatabase, TestProcess, USER, eventually};

const CLIENTS: usize = 200;
const DESCRIPTORS: u32 = 128;
/// Shortest time between two connections of a client.
const PAUSE: Duration = Duration::from_millis(500);
const SHORT: [(&str, &str); 4] = [
    ("HEAD_TIMEOUT_SECS", "1"),
    ("BODY_TIMEOUT_SECS", "1"),
    ("RESPONSE_TIMEOUT_SECS", "1"),
    ("KEEP_ALIVE_TIMEOUT_SECS", "1"),
];

/// A database whose user has a list that is long enough not to fit into the buffers of a connection.
async fn database_with_a_list() -> TestDatabase {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let careers = r#"["백엔드 개발자","프론트엔드 개발자","데이터 엔지니어","DevOps 엔지니어","간호사","마케터","디자이너",
        "회계사","영업 관리자","교사"]"#;
    database.add_analysis(USER, careers, "[]", 1).await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    assert!(app.fast(USER, "?limit=100").await.body["recommendations"].as_array().unwrap().len() > 30);
    app.stop().await;
    database
}

/// Clients that come again whenever they are closed; they end with the set. Those that do not read are left
/// out: filling buffers keeps the service busy, and this is not about load.
fn crowd(address: &str, connected: &Arc<AtomicUsize>) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    let kinds = Slow::ALL.into_iter().filter(|how| *how != Slow::NotReading);
    for how in kinds.cycle().take(CLIENTS) {
        let (address, connected) = (address.to_owned(), connected.clone());
        crowd.spawn(async move {
            let mut first = true;
            let mut again = tokio::time::interval(PAUSE);
            again.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let count = || {
                    if std::mem::take(&mut first) {
                        connected.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let _ = raw::be_slow(&address, how, count).await;
                again.tick().await;
            }
        });
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_at_once_while_slow_clients_use_up_all_connections() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let process = TestProcess::start_with_descriptors(&database, &[], DESCRIPTORS).await;
    // Shows how busy the machine is with other things.
    let control = TestProcess::start(&database, &[]).await;
    let connected = Arc::new(AtomicUsize::new(0));
    let _crowd = crowd(&process.address, &connected);
    let (mut took, mut control_took) = (Vec::new(), Vec::new());
    while took.len() < 200 || connected.load(Ordering::Relaxed) < CLIENTS {
        let (answer, time) = raw::health(&process.address).await;
        assert!(answer.ends_with(r#"{"status":"healthy"}"#), "{answer:?} after {} others", took.len());
        took.push(time);
        control_took.push(raw::health(&control.address).await.1);
    }
    for took in [&mut took, &mut control_took] {
        took.sort();
        let (most, slowest) = (took[took.len() * 95 / 100], took[took.len() - 1]);
        println!("of {} answers: 95 % within {most:?}, slowest {slowest:?}", took.len());
    }
    let most = took.len() * 95 / 100;
    let limit = control_took[most] + Duration::from_millis(100);
    assert!(took[most] < limit, "{:?} is not below {limit:?}", took[most]);
    assert!(process.events("a connection could not be accepted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_slow_clients() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut process = TestProcess::start_with_descriptors(&database, &[], DESCRIPTORS).await;
    let connected = Arc::new(AtomicUsize::new(0));
    let _crowd = crowd(&process.address, &connected);
    eventually("all clients have connected", || async { connected.load(Ordering::Relaxed) == CLIENTS }).await;
    let stopped = Instant::now();
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
    // Far below DRAIN_TIMEOUT_SECS (30), which one slow client used to take.
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slow_client_is_closed_at_its_limit() {
    let database = database_with_a_list().await;
    let app = TestApp::start(&database, &SHORT).await;
    let mut clients = JoinSet::new();
    for how in Slow::ALL {
        let address = app.address.clone();
        clients.spawn(async move { (how, raw::be_slow(&address, how, || ()).await.unwrap()) });
    }
    while let Some(ended) = clients.join_next().await {
        let (how, (answer, took)) = ended.unwrap();
        assert!(took > Duration::from_millis(900), "{how:?} closed after {took:?}");
        assert!(took < Duration::from_secs(5), "{how:?} closed after {took:?}");
        if how == Slow::Body {
            assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timed_out"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &SHORT).await;
    let mut stream = raw::connect(&app.address).await.unwrap();
    let mut answer = [0; 1024];
    let used = Instant::now();
    // More often than the limit, for longer than the limit.
    while used.elapsed() < Duration::from_secs(2) {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut answer).await.unwrap() > 0);
    }
    let idle = Instant::now();
    assert_eq!(raw::rest(&mut stream).await, "");
    let idle = idle.elapsed();
    assert!(Duration::from_millis(900) < idle && idle < Duration::from_secs(5), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_leave_room_for_health() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("MAX_CONNECTIONS", "8"), ("LOCK_WAIT_SECS", "25")];
    let app = Arc::new(TestApp::start(&database, &settings).await);
    for user in USER..USER + 7 {
        database.set_career(user, "간호사").await;
        redis.command(&["SET", &format!("job_recommendation_lock:user:{user}"), "another holder"]).await;
    }
    let mut waiting = JoinSet::new();
    for user in USER..USER + 6 {
        let app = app.clone();
        waiting.spawn(async move { app.calculate(user).await });
    }
    eventually("six runs are in flight", || async { app.in_flight() == 12 }).await;
    let refused = app.calculate(USER + 6).await;
    assert_eq!((refused.status.as_u16(), refused.outcome()), (503, "overloaded"));
    for _ in 0..20 {
        let (answer, took) = raw::health(&app.address).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    for user in USER..USER + 6 {
        redis.command(&["DEL", &format!("job_recommendation_lock:user:{user}")]).await;
    }
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().body["success"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_with_the_last_run_and_its_client_gets_the_answer() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url), ("LOCK_WAIT_SECS", "25")]).await;
    let lock = format!("job_recommendation_lock:user:{USER}");
    redis.command(&["SET", &lock, "another holder"]).await;
    let mut slow = JoinSet::new();
    let connected = Arc::new(AtomicUsize::new(0));
    for how in Slow::ALL {
        let (address, connected) = (app.address.clone(), connected.clone());
        slow.spawn(async move {
            let count = || _ = connected.fetch_add(1, Ordering::Relaxed);
            raw::be_slow(&address, how, count).await
        });
    }
    let mut run = raw::connect(&app.address).await.unwrap();
    let request = format!("POST /api/job-agent/recommendations/calculate/{USER} HTTP/1.1\r\nhost: a\r\n\r\n");
    run.write_all(request.as_bytes()).await.unwrap();
    eventually("the run waits, and so do the slow clients", || async {
        app.in_flight() == 2 && connected.load(Ordering::Relaxed) == Slow::ALL.len()
    })
    .await;
    let mut idle = raw::connect(&app.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);

    let address = app.address.clone();
    let stop = tokio::spawn(app.stop());
    assert_eq!(raw::rest(&mut idle).await, "", "idle connections are closed at once");
    while let Some(closed) = slow.join_next().await {
        let (answer, _) = closed.unwrap().unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!(raw::connect(&address).await.is_err(), "the listener is closed");
    assert!(!stop.is_finished(), "the run still waits");
    redis.command(&["DEL", &lock]).await;
    let answer = raw::rest(&mut run).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    let answered = Instant::now();
    stop.await.unwrap();
    assert!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_are_too_large_are_refused() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let head = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    let long = |bytes: usize| format!("/health?{}", "x".repeat(bytes));
    let field = |bytes: usize| format!("cookie: {}\r\n", "x".repeat(bytes));
    for (request, status, code) in [
        (head(&long(9_000), ""), 414, "uri_too_long"),
        (head(&long(60_000), ""), 414, "uri_too_long"),
        (head("/health", &field(20_000)), 431, "header_too_large"),
        // hyper's own answers have no body.
        (head("/health", &field(70_000)), 431, ""),
        (head("/health", &"a: b\r\n".repeat(101)), 431, ""),
        (head("/health", "a b: c\r\n"), 400, ""),
    ] {
        let answer = raw::exchange(&app.address, &request).await;
        let shown: String = request.chars().take(60).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(answer.contains(code), "{shown:?}: {answer}");
    }
    let path = "/api/job-agent/recommendations/calculate/1";
    for bytes in [70_000, 900_000] {
        let body = "x".repeat(bytes);
        for length in [
            format!("content-length: {bytes}\r\n\r\n{body}"),
            format!("transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"),
        ] {
            let answer =
                raw::exchange(&app.address, &format!("POST {path} HTTP/1.1\r\nhost: a\r\n{length}")).await;
            assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
        }
    }
    let announced = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999\r\n\r\n");
    let answer = raw::exchange(&app.address, &announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
