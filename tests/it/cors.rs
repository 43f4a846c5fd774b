//! Pages of the front end, and paths as they write them.

use reqwest::{Method, RequestBuilder};

use crate::support::{Kind, TestApp, TestDatabase, USER};

/// Where the front end is served, in development and for users.
const ORIGINS: [&str; 5] = [
    "http://localhost:3000",
    "http://localhost:3002",
    "http://localhost:5173",
    "https://dreampathai.link",
    "https://www.dreampathai.link",
];

fn preflight(origin: &str) -> impl FnOnce(RequestBuilder) -> RequestBuilder {
    move |request| {
        request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-requested-with")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_front_end_may_call_with_credentials_and_any_header() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let path = format!("/api/job-agent/recommendations/calculate/{USER}");
    for origin in ORIGINS {
        let answer = app.send(Method::OPTIONS, &path, preflight(origin)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers["access-control-allow-methods"], "POST");
        let headers = &answer.headers["access-control-allow-headers"];
        assert_eq!(headers, "authorization,content-type,x-requested-with");
        let vary = answer.headers["vary"].to_str().unwrap();
        for name in ["origin", "access-control-request-method", "access-control-request-headers"] {
            assert!(vary.contains(name), "{vary}");
        }
        // Errors can be read by the page as well.
        for path in ["/health", "/unknown", "/api/job-agent/recommendations/fast/x"] {
            let answer = app.send(Method::GET, path, |request| request.header("origin", origin)).await;
            assert_eq!(answer.headers["access-control-allow-origin"], origin, "{path}");
            assert_eq!(answer.headers["access-control-allow-credentials"], "true", "{path}");
            assert!(answer.headers["vary"].to_str().unwrap().contains("origin"), "{path}");
        }
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM recommendation_state").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_not_call() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    for origin in
        ["https://elsewhere.example", "http://dreampathai.link", "https://dreampathai.link.example", "null"]
    {
        let answer = app.send(Method::OPTIONS, "/health", preflight(origin)).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_of_a_path_changes_no_answer() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let api = "/api/job-agent/recommendations";
    for (method, path, query) in [
        (Method::GET, "/health".to_owned(), ""),
        (Method::GET, "/health/ready".to_owned(), ""),
        (Method::POST, "/health".to_owned(), ""),
        (Method::GET, format!("{api}/fast/1"), "?limit=3"),
        (Method::GET, format!("{api}/fast/1"), "?limit=0"),
        (Method::POST, format!("{api}/fast/1"), ""),
        (Method::GET, format!("{api}/status/1"), ""),
        (Method::POST, format!("{api}/calculate/424242"), "?background=true"),
        (Method::GET, format!("{api}/calculate/1"), ""),
        (Method::GET, "/api/scheduler/status".to_owned(), ""),
        (Method::GET, "/api/scheduler/trigger".to_owned(), ""),
        (Method::GET, "/unknown".to_owned(), ""),
        (Method::GET, format!("{api}/fast"), ""),
    ] {
        let plain = app.send(method.clone(), &format!("{path}{query}"), |request| request).await;
        for path in [format!("{path}/{query}"), format!("{path}//{query}"), format!("/{path}{query}")] {
            let answer = app.send(method.clone(), &path, |request| request).await;
            assert_eq!((answer.status, &answer.body), (plain.status, &plain.body), "{method} {path}");
            assert_eq!(answer.headers.get("allow"), plain.headers.get("allow"), "{method} {path}");
        }
    }
}
