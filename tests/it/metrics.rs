//! What Prometheus reads.

use std::collections::BTreeSet;

use reqwest::Method;

use crate::support::token::{SECRET, admin_token, user_token};
use crate::support::{
    Kind, OTHER_USER, RedisServer, TestApp, TestDatabase, USER, eventually, on_every_database,
};

on_every_database!(runs_are_counted_with_their_rows, the_queue_of_all_instances_is_shown);

/// The metrics as text.
async fn scrape(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.body.as_str().unwrap().to_owned()
}

/// The value of the series that begins a line; `None` if there is none.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(&format!("job_agent_{series} "))?.parse().ok())
}

async fn runs_are_counted_with_their_rows(database: TestDatabase) {
    let app = TestApp::start(&database, &[("MAX_RECOMMENDATIONS", "5")]).await;
    database.set_career(USER, "백엔드 개발자").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    assert_eq!(app.calculate(USER).await.outcome(), "up_to_date");
    assert_eq!(app.calculate(OTHER_USER).await.outcome(), "no_profile_analysis");
    database.set_career(USER, "간호사").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let (old, new) = (5.0, database.row_count(USER).await as f64);
    let metrics = scrape(&app).await;
    for (series, expected) in [
        ("run_duration_seconds_count{outcome=\"computed\"}", 2.0),
        ("run_duration_seconds_count{outcome=\"up_to_date\"}", 1.0),
        ("run_duration_seconds_count{outcome=\"no_profile_analysis\"}", 1.0),
        ("rows_total{change=\"inserted\"}", old + new),
        ("rows_total{change=\"updated\"}", 0.0),
        ("rows_total{change=\"deleted\"}", old),
        ("rows_total{change=\"unchanged\"}", old),
        // The second run knows the result of the first.
        ("scoring_duration_seconds_count", 3.0),
        ("lock_wait_seconds_count{outcome=\"acquired\"}", 4.0),
        ("lock_hold_seconds_count", 4.0),
        ("database_up", 1.0),
        ("database_connections_max", if database.kind == Kind::Sqlite { 4.0 } else { 10.0 }),
        ("catalogue_listings", app.get("/health/ready").await.body["listings"].as_f64().unwrap()),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}\n{metrics}");
    }
    assert!(value(&metrics, "catalogue_version").unwrap() >= 1.0);
    assert!(value(&metrics, "catalogue_age_seconds").unwrap() < 60.0);
    assert!(value(&metrics, "database_connections{state=\"idle\"}").is_some());
    assert_eq!(value(&metrics, "redis_available"), None, "no Redis is configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_explained_to_operators() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    app.calculate(USER).await;
    let operate = include_str!("../../docs/operate.md");
    let metrics = scrape(&app).await;
    let names: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE job_agent_")?.split(' ').next())
        .collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(operate.contains(&format!("`{name}`")), "{name} is missing in docs/operate.md");
    }
}

async fn the_queue_of_all_instances_is_shown(database: TestDatabase) {
    // An instance that leaves background work to others.
    let app = TestApp::start(&database, &[("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")]).await;
    for user in 1..=4 {
        database.set_career(user, "백엔드 개발자").await;
        assert_eq!(app.calculate_in_background(user).await.status, 202);
    }
    let now = if database.kind == Kind::Sqlite {
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now'"
    } else {
        "UTC_TIMESTAMP(6"
    };
    let ago = |seconds: u32| match database.kind {
        Kind::Sqlite => format!("{now}, '-{seconds} seconds')"),
        _ => format!("{now}) - INTERVAL {seconds} SECOND"),
    };
    for (user, change) in [
        (1, format!("requested_at = {}", ago(500))),
        (2, format!("requested_at = {}, lane = 1", ago(9_000))),
        (3, format!("requested_at = {}, parked_at = due_at, due_at = NULL", ago(90_000))),
        (
            4,
            format!(
                "lease_until = {}",
                ago(0).replace("now'", "now', '+1 hour'").replace("(6)", "(6) + INTERVAL 1 HOUR")
            ),
        ),
    ] {
        database.execute(&format!("UPDATE recommendation_state SET {change} WHERE user_id = {user}")).await;
    }
    let metrics = scrape(&app).await;
    for (series, expected) in [
        ("queue_due_users{lane=\"real_time\"}", 1.0),
        ("queue_due_users{lane=\"batch\"}", 1.0),
        ("queue_running_users", 1.0),
        ("queue_parked_users", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}\n{metrics}");
    }
    for (lane, seconds) in [("real_time", 500.0), ("batch", 9_000.0)] {
        let age = value(&metrics, &format!("queue_oldest_trigger_age_seconds{{lane=\"{lane}\"}}")).unwrap();
        assert!((seconds..seconds + 100.0).contains(&age), "{lane}: {age}");
    }
    // Read at most once per few seconds.
    database.execute("DELETE FROM recommendation_state").await;
    assert_eq!(value(&scrape(&app).await, "queue_parked_users"), Some(1.0));
    eventually("the queue is read again", || async {
        let metrics = scrape(&app).await;
        value(&metrics, "queue_parked_users") == Some(0.0)
            && value(&metrics, "queue_oldest_trigger_age_seconds{lane=\"real_time\"}") == Some(0.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_template_and_status_and_clients_cannot_invent_labels() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    for user in 4_000_001..4_000_004 {
        app.fast(user, "").await;
        app.calculate(user).await;
    }
    app.fast(4_000_001, "?limit=0").await;
    for path in ["/invented/4000001", "/api/job-agent/recommendations/fast/x/y"] {
        assert_eq!(app.get(path).await.status, 404);
    }
    let invented = Method::from_bytes(b"INVENTED").unwrap();
    app.send(invented, "/health", |request| request).await;
    let metrics = scrape(&app).await;
    let fast = "/api/job-agent/recommendations/fast/{user_id}";
    for (method, route, status, expected) in [
        ("GET", fast, 200, 3.0),
        ("GET", fast, 422, 1.0),
        ("POST", "/api/job-agent/recommendations/calculate/{user_id}", 200, 3.0),
        ("GET", "none", 404, 2.0),
        ("other", "/health", 405, 1.0),
    ] {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        let series = format!("http_request_duration_seconds_count{labels}");
        assert_eq!(value(&metrics, &series), Some(expected), "{series}\n{metrics}");
    }
    for invented in ["4000001", "4000002", "4000003", "nvented", "INVENTED"] {
        assert!(!metrics.contains(invented), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_and_the_dashboard_ask_for_metrics_that_exist() {
    // A server that is its own read replica: SQLite has none.
    let database = TestDatabase::create(Kind::Mariadb).await;
    let redis = RedisServer::start().await;
    let settings = [("REDIS_URL", &*redis.url()), ("DATABASE_READ_URL", &*database.url)];
    let app = TestApp::start(&database, &settings).await;
    database.set_career(USER, "백엔드 개발자").await;
    app.calculate(USER).await;
    let metrics = scrape(&app).await;
    let asked = [
        include_str!("../../deploy/prometheus/alerts.yml"),
        include_str!("../../deploy/prometheus/alerts_test.yml"),
        include_str!("../../deploy/grafana/job-agent.json"),
    ];
    let name = regex::Regex::new("job_agent_[a-z_]+").unwrap();
    let names: BTreeSet<&str> =
        asked.iter().flat_map(|text| name.find_iter(text)).map(|found| found.as_str()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        // A family without a series has only its description.
        let is_there = metrics.lines().any(|line| {
            line.starts_with(&format!("{name}{{"))
                || line.starts_with(&format!("{name} "))
                || line.starts_with(&format!("# TYPE {name} "))
        });
        assert!(is_there, "{name}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_redis_is_shown_until_it_is_over() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let mut redis = RedisServer::start().await;
    let app = TestApp::start(&database, &[("REDIS_URL", &redis.url())]).await;
    assert_eq!(value(&scrape(&app).await, "redis_available"), Some(1.0));
    redis.stop();
    app.calculate(USER).await;
    assert_eq!(value(&scrape(&app).await, "redis_available"), Some(0.0));
    redis.start_again().await;
    eventually("Redis is used again", || async {
        value(&scrape(&app).await, "redis_available") == Some(1.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_other_services_and_administrators_unless_they_are_left_open() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let api_token = "service-token-0123456789";
    let settings = [("AUTH_MODE", "required"), ("JWT_SECRET", SECRET), ("API_TOKENS", api_token)];
    let app = TestApp::start(&database, &settings).await;
    for (token, status) in [
        (api_token.to_owned(), 200),
        (admin_token(SECRET, USER), 200),
        (user_token(SECRET, USER), 403),
        ("rubbish".to_owned(), 401),
    ] {
        let answer = app.send(Method::GET, "/metrics", |request| request.bearer_auth(token)).await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(app.get("/metrics").await.outcome(), "token_required");
    let app = TestApp::start(&database, &[settings.as_slice(), &[("METRICS_OPEN", "true")]].concat()).await;
    assert_eq!(app.get("/metrics").await.status, 200);
    assert_eq!(app.get("/api/scheduler/status").await.outcome(), "token_required");
}
