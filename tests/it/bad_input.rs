//! Requests that are refused, each with its documented answer, and stored rubbish that is survived.

use reqwest::{Method, RequestBuilder};

use crate::support::{Kind, TestApp, TestDatabase, is_korean};

const CALCULATE: &str = "/api/job-agent/recommendations/calculate";
const FAST: &str = "/api/job-agent/recommendations/fast";
const BY_CAREERS: &str = "/api/job-agent/recommendations/by-careers";

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_gets_its_documented_answer() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let post = Method::POST;
    let get = Method::GET;
    let table = [
        // The user id: a positive 64-bit integer in decimal digits.
        (post.clone(), format!("{CALCULATE}/0"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/-1"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/+1"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/01"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/1.5"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/1e3"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/0x10"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/abc"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/null"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/%201"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/1%00"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/%ff"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/１"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/9223372036854775808"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/99999999999999999999"), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/{}", "9".repeat(5000)), 422, "invalid_user_id"),
        (post.clone(), format!("{CALCULATE}/1'%20OR%20'1'='1"), 422, "invalid_user_id"),
        (get.clone(), format!("{FAST}/0"), 422, "invalid_user_id"),
        (get.clone(), format!("{FAST}/x"), 422, "invalid_user_id"),
        (get.clone(), format!("{BY_CAREERS}/0"), 422, "invalid_user_id"),
        // Queries.
        (post.clone(), format!("{CALCULATE}/1?background=maybe"), 422, "invalid_query"),
        (post.clone(), format!("{CALCULATE}/1?background="), 422, "invalid_query"),
        (post.clone(), format!("{CALCULATE}/1?background=2"), 422, "invalid_query"),
        (post.clone(), format!("{CALCULATE}/1?background=true&background=false"), 422, "invalid_query"),
        (post.clone(), format!("{CALCULATE}/1?force=perhaps"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=0"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=101"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=-1"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=ten"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=1e1"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?min_score=101"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?min_score=NaN"), 422, "invalid_query"),
        (get.clone(), format!("{FAST}/1?limit=20;DROP%20TABLE"), 422, "invalid_query"),
        (get.clone(), format!("{BY_CAREERS}/1?limit=0"), 422, "invalid_query"),
        (get.clone(), format!("{BY_CAREERS}/1?limit=101"), 422, "invalid_query"),
        (get.clone(), format!("{BY_CAREERS}/1?limit="), 422, "invalid_query"),
        (get.clone(), format!("{BY_CAREERS}/1?limit=5&limit=6"), 422, "invalid_query"),
        // Paths and methods.
        (get.clone(), "/unknown".to_owned(), 404, "not_found"),
        (post.clone(), CALCULATE.to_owned(), 404, "not_found"),
        (post.clone(), format!("{CALCULATE}/1/2"), 404, "not_found"),
        (get.clone(), "/api/job-agent/recommendations/../../../etc/passwd".to_owned(), 404, "not_found"),
        (get.clone(), format!("{CALCULATE}/1"), 405, "method_not_allowed"),
        (Method::DELETE, format!("{CALCULATE}/1"), 405, "method_not_allowed"),
        (Method::PUT, format!("{CALCULATE}/1"), 405, "method_not_allowed"),
        (post.clone(), format!("{FAST}/1"), 405, "method_not_allowed"),
        (post.clone(), format!("{BY_CAREERS}/1"), 405, "method_not_allowed"),
        (get.clone(), BY_CAREERS.to_owned(), 404, "not_found"),
        (post.clone(), "/health".to_owned(), 405, "method_not_allowed"),
    ];
    for (method, path, status, code) in table {
        check(&app, method, &path, status, code, |request| request).await;
    }
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "refused requests record nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_empty_or_a_json_object_whatever_their_type() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let path = format!("{CALCULATE}/1");
    let refused: [(&[u8], u16, &str); 11] = [
        (b"{", 400, "malformed_body"),
        (b"\t", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b"null", 400, "malformed_body"),
        (b"1", 400, "malformed_body"),
        (b"\"text\"", 400, "malformed_body"),
        (b"a=b", 400, "malformed_body"),
        (b"{} {}", 400, "malformed_body"),
        (b"{\"a\":\xff}", 400, "malformed_body"),
        (b"<xml/>", 400, "malformed_body"),
        (&[b'x'; 70_000], 413, "body_too_large"),
    ];
    for (body, status, code) in refused {
        check(&app, Method::POST, &path, status, code, |request| request.body(body.to_vec())).await;
    }
    let deep = format!("{}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    check(&app, Method::POST, &path, 400, "malformed_body", |request| request.body(deep)).await;
    for accepted in ["", "{}", " {}\n", "{\"unknown\":[1]}"] {
        for content_type in ["application/json", "application/x-www-form-urlencoded", "nonsense"] {
            let send = |request: RequestBuilder| request.header("content-type", content_type).body(accepted);
            let answer = app.send(Method::POST, &path, send).await;
            assert_eq!(answer.status, 200, "{accepted:?} as {content_type}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_headers_and_unknown_parameters_do_no_harm() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    for (name, value) in [
        ("accept", "text/html"),
        ("x-forwarded-for", "'; DROP TABLE users; --"),
        ("cookie", "😀=1"),
        ("if-none-match", "*"),
        ("range", "bytes=0-1"),
        ("origin", "null"),
    ] {
        let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let answer = app.send(Method::GET, "/health", |request| request.header(name, value)).await;
        assert_eq!(answer.status, 200, "{name}");
    }
    let answer = app.post(&format!("{CALCULATE}/424242?_=17000000&utm_source=x&background=FALSE")).await;
    assert_eq!(answer.outcome(), "no_profile_analysis");
}

async fn check(
    app: &TestApp,
    method: Method,
    path: &str,
    status: u16,
    code: &str,
    with: impl FnOnce(RequestBuilder) -> RequestBuilder,
) {
    let answer = app.send(method.clone(), path, with).await;
    let shown: String = path.chars().take(120).collect();
    assert_eq!(answer.status, status, "{method} {shown}: {answer:?}");
    assert_eq!(answer.body["code"], code, "{method} {shown}");
    assert_eq!(answer.body["success"], false, "{method} {shown}");
    for text in ["error", "detail"] {
        let text = answer.body[text].as_str().unwrap();
        assert!(is_korean(text), "a page shows it to users: {method} {shown}: {text}");
        for leak in ["SELECT", "sqlx", "panicked", "src/", "serde"] {
            assert!(!text.contains(leak), "{method} {shown}: {text}");
        }
    }
}
