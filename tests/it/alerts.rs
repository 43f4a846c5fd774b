//! A real Prometheus scrapes a running instance with the rules of `deploy`. `scripts/check-alerts` runs this: most
//! machines that run the other tests have no Prometheus.

use std::time::Instant;

use serde_json::Value;

use crate::support::{
    Kind, OTHER_USER, PrivateServer, Prometheus, RedisServer, TestDatabase, TestProcess, USER, eventually,
};

/// A user whose runs fail.
const POISONED: i64 = 1_003;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: scripts/check-alerts"]
async fn alerts_fire_for_their_trouble_alone_and_the_dashboard_has_data() {
    let mut server = PrivateServer::start(Kind::Mysql).await;
    let database = TestDatabase::create_on(Kind::Mysql, &server.url, "alerts").await;
    let mut redis = RedisServer::start().await;
    let settings = [("REDIS_URL", &*redis.url()), ("QUEUE_MAX_ATTEMPTS", "2")];
    let service = TestProcess::start(&database, &settings).await;
    let prometheus = Prometheus::start(&service.address).await;
    for user in [USER, OTHER_USER, POISONED] {
        database.set_career(user, "간호사").await;
    }

    let calm = Instant::now();
    the_dashboard_has_data(&prometheus, &service).await;
    assert_fired(&prometheus, calm, &[]).await;

    let lost = Instant::now();
    redis.stop();
    fires(&prometheus, &["JobAgentRedisLost"]).await;
    assert!(calculate(&service, USER, "").await, "without Redis, lists are calculated");
    redis.start_again().await;
    fires(&prometheus, &[]).await;
    assert_fired(&prometheus, lost, &["JobAgentRedisLost"]).await;

    let lost = Instant::now();
    server.stop();
    fires(&prometheus, &["JobAgentDatabaseLost"]).await;
    assert_fired(&prometheus, lost, &["JobAgentDatabaseLost"]).await;
    // Requests that are refused are an alert of their own.
    eventually("all alerts of a lost database fire", async || {
        calculate(&service, USER, "").await;
        prometheus.firing().await.contains("JobAgentErrors")
    })
    .await;
    server.start_again().await;
    fires(&prometheus, &[]).await;
    assert_fired(&prometheus, lost, &["JobAgentDatabaseLost", "JobAgentErrors"]).await;

    let parked = Instant::now();
    database.poison(POISONED).await;
    assert!(calculate(&service, POISONED, "?background=true").await);
    fires(&prometheus, &["JobAgentRunsFail", "JobAgentUserParked"]).await;
    database.execute("DROP TRIGGER poison").await;
    assert!(calculate(&service, POISONED, "").await);
    fires(&prometheus, &[]).await;
    assert_fired(&prometheus, parked, &["JobAgentRunsFail", "JobAgentUserParked"]).await;

    let killed = Instant::now();
    service.kill();
    fires(&prometheus, &["JobAgentDown"]).await;
    assert_fired(&prometheus, killed, &["JobAgentDown"]).await;
}

/// Waits until exactly these alerts fire.
async fn fires(prometheus: &Prometheus, alerts: &[&str]) {
    let begun = Instant::now();
    eventually(&format!("the alerts that fire are {alerts:?}"), async || {
        prometheus.firing().await.iter().eq(alerts)
    })
    .await;
    println!("{:>3} s until the alerts were {alerts:?}", begun.elapsed().as_secs());
}

/// No other alert has fired since then, not even for a moment.
async fn assert_fired(prometheus: &Prometheus, since: Instant, alerts: &[&str]) {
    let fired = prometheus.fired_since(since).await;
    assert!(fired.iter().eq(alerts), "{fired:?}, not {alerts:?}");
}

/// Every query of the dashboard returns numbers while the service is used.
async fn the_dashboard_has_data(prometheus: &Prometheus, service: &TestProcess) {
    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana/job-agent.json")).unwrap();
    let queries: Vec<String> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .map(|query| query.replace("$__rate_interval", "20s").replace("$instance", ".*"))
        .collect();
    // Long enough for every alert to wait and fire.
    eventually("Prometheus has scraped for a while", async || {
        for user in [USER, OTHER_USER] {
            calculate(service, user, "?force=true").await;
            calculate(service, user, "?background=true").await;
        }
        let scrapes = prometheus.query("count_over_time(up[1h])").await;
        scrapes.iter().any(|(_, scrapes)| *scrapes >= 12.0)
    })
    .await;
    let mut without_data = Vec::new();
    for query in &queries {
        let values = prometheus.query(query).await;
        if values.is_empty() || values.iter().any(|(_, value)| value.is_nan()) {
            without_data.push(query);
        }
    }
    assert!(without_data.is_empty(), "{without_data:#?}");
    println!("{} queries of the dashboard return data", queries.len());
}

/// Whether the service accepts the trigger or calculates.
async fn calculate(service: &TestProcess, user: i64, query: &str) -> bool {
    let path = format!("{}/api/job-agent/recommendations/calculate/{user}{query}", service.address);
    let answer = reqwest::Client::new().post(path).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["success"] == true
}
