//! `SAMPLE_DATA`: what a newcomer's database is filled with, and whose it leaves alone.

use job_agent::app::open_store;
use job_agent::config::Config;
use job_agent::listings::sample;

use crate::support::{TestApp, TestDatabase, USER, config, on_every_database};

on_every_database!(
    on_request_an_empty_database_is_filled_with_the_sample_once,
    instances_that_start_together_load_the_sample_once,
    a_table_that_has_rows_keeps_the_sample_out_of_all;
    servers: a_server_is_not_filled_unless_it_is_asked_for,
);

const SOURCE_TABLES: [&str; 6] = [
    "users",
    "profile_analysis",
    "career_sessions",
    "career_analyses",
    "job_recommendations",
    "job_listings",
];

fn with_sample(database: &TestDatabase) -> Config {
    config(database, &[("SAMPLE_DATA", "true")])
}

async fn count(database: &TestDatabase, table: &str) -> i64 {
    database.number(&format!("SELECT COUNT(*) FROM {table}")).await
}

async fn on_request_an_empty_database_is_filled_with_the_sample_once(filled: TestDatabase) {
    let database = TestDatabase::create_empty(filled.kind).await;
    let app = TestApp::start_with(with_sample(&database)).await;
    for user in sample::users().unwrap() {
        let answer = app.calculate(user.user_id).await;
        assert_eq!(answer.status, 200, "user {}: {:?}", user.user_id, answer.body);
    }
    assert!(app.calculate(1).await.body["savedCount"].as_u64().unwrap() > 0);

    let rows = || async {
        let mut rows = Vec::new();
        for table in SOURCE_TABLES {
            rows.push(count(&database, table).await);
        }
        rows
    };
    let before = rows().await;
    assert!(before.iter().all(|&rows| rows > 0), "{before:?}");
    open_store(&with_sample(&database)).await.unwrap();
    assert_eq!(rows().await, before);
}

async fn instances_that_start_together_load_the_sample_once(filled: TestDatabase) {
    let database = TestDatabase::create_empty(filled.kind).await;
    let config = with_sample(&database);
    let started = tokio::join!(open_store(&config), open_store(&config), open_store(&config));
    assert!(started.0.is_ok() && started.1.is_ok() && started.2.is_ok());
    assert_eq!(count(&database, "users").await as usize, sample::users().unwrap().len());
    assert_eq!(count(&database, "job_listings").await as usize, sample::listings().unwrap().len());
}

async fn a_table_that_has_rows_keeps_the_sample_out_of_all(filled: TestDatabase) {
    let database = TestDatabase::create_empty(filled.kind).await;
    database.execute(&format!("INSERT INTO users (user_id, is_active) VALUES ({USER}, TRUE)")).await;
    open_store(&with_sample(&database)).await.unwrap();
    assert_eq!(count(&database, "users").await, 1);
    for table in &SOURCE_TABLES[1..] {
        assert_eq!(count(&database, table).await, 0, "{table}");
    }
}

async fn a_server_is_not_filled_unless_it_is_asked_for(filled: TestDatabase) {
    let database = TestDatabase::create_empty(filled.kind).await;
    open_store(&config(&database, &[])).await.unwrap();
    for table in SOURCE_TABLES {
        assert_eq!(count(&database, table).await, 0, "{table}");
    }
}
