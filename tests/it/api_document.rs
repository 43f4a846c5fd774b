//! The OpenAPI document and the page that shows it. `scripts/check-api` sends requests of all kinds by the document.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use regex::Regex;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Kind, TestApp, TestDatabase, config, eventually, is_korean};

const RECOMMENDATIONS: &str = "/api/job-agent/recommendations";

/// The service, and its database, which is removed when it is dropped.
async fn app() -> (TestApp, TestDatabase) {
    let database = TestDatabase::create(Kind::Sqlite).await;
    (TestApp::start(&database, &[]).await, database)
}

async fn document(app: &TestApp) -> Value {
    let answer = app.get("/openapi.json").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    answer.body
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            (path.as_str(), Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), operation)
        })
    });
    operations.collect()
}

/// All values under this key, at any depth.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole_and_of_this_version() {
    let (app, _database) = app().await;
    let document = document(&app).await;
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let ids: BTreeSet<_> = operations(&document)
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations(&document).len(), "{ids:?}");
    for (path, method, operation) in operations(&document) {
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{method} {path}");
    }
    let scheme = &document["components"]["securitySchemes"]["bearerAuth"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
}

/// Routes that `routes!` adds are documented. These are the only others.
#[test]
fn routes_of_the_api_are_added_with_their_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let sources = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = sources.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap());
    let route = Regex::new(r#"\.(?:route|route_service|nest_service)\(\s*([^,]*),"#).unwrap();
    let mut undocumented: Vec<String> = sources
        .flat_map(|source| route.captures_iter(&source).map(|found| found[1].to_owned()).collect::<Vec<_>>())
        .collect();
    undocumented.sort_unstable();
    let expected = ["/", "/console/{file}", "/docs", "/docs/{*file}", "/openapi.json"];
    assert_eq!(undocumented, expected.map(|path| format!("\"{path}\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_documented_path_has_exactly_the_documented_methods() {
    let (app, _database) = app().await;
    let document = document(&app).await;
    assert_eq!(document["paths"].as_object().unwrap().len(), 12);
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<String> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let refused = app.send(Method::DELETE, &path.replace("{user_id}", "1"), |request| request).await;
        assert_eq!(refused.outcome(), "method_not_allowed", "{path}");
        let allowed = refused.headers["allow"].to_str().unwrap().split(',').map(str::to_owned).collect();
        assert_eq!(documented, allowed, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_documented_error_is_answered_as_documented() {
    let (app, _database) = app().await;
    let document = document(&app).await;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            assert_eq!(
                response["headers"]["Retry-After"].is_object(),
                ["429", "503"].contains(&status.as_str()),
                "{method} {path} {status}"
            );
            for (code, example) in response["content"]["application/json"]["examples"].as_object().unwrap() {
                let body = &example["value"];
                assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!(code)));
                assert!(
                    is_korean(body["detail"].as_str().unwrap()) && body["error"] == body["detail"],
                    "{body}"
                );
            }
        }
        let has = |name: &str| {
            operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == name))
        };
        let long = "x".repeat(9_000);
        for (code, applies, id, query, body, header) in [
            ("invalid_user_id", has("user_id"), "0", "", "", ""),
            ("invalid_query", has("limit"), "1", "limit=0", "", ""),
            ("invalid_query", has("background"), "1", "background=2", "", ""),
            ("malformed_body", operation["requestBody"].is_object(), "1", "", "[]", ""),
            ("body_too_large", true, "1", "", &"x".repeat(70_000), ""),
            ("uri_too_long", true, "1", &long, "", ""),
            ("header_too_large", true, "1", "", "", &long.repeat(2)),
        ] {
            let path = format!("{}?{query}", path.replace("{user_id}", id));
            let answer = app
                .send(method.clone(), &path, |request| request.header("x-long", header).body(body.to_owned()))
                .await;
            if applies {
                let response = &responses[answer.status.as_str()]["content"]["application/json"];
                assert_eq!(response["examples"][code]["value"], answer.body, "{method} {path}");
                assert_eq!(answer.body["code"], code);
            } else {
                assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            }
        }
    }
}

/// Where the answer has other fields or types than the example, `null` being of any type.
fn differences(example: &Value, answer: &Value, at: &str, found: &mut Vec<String>) {
    match (example, answer) {
        (Value::Object(example), Value::Object(answer)) => {
            for name in example.keys().chain(answer.keys()).collect::<BTreeSet<_>>() {
                match (example.get(name), answer.get(name)) {
                    (Some(example), Some(answer)) => {
                        differences(example, answer, &format!("{at}.{name}"), found)
                    }
                    (None, _) => found.push(format!("{at}.{name} is not in the example")),
                    (_, None) => found.push(format!("{at}.{name} is not in the answer")),
                }
            }
        }
        (Value::Array(example), Value::Array(answer)) => {
            if let (Some(example), Some(answer)) = (example.first(), answer.first()) {
                differences(example, answer, &format!("{at}[0]"), found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(example) != std::mem::discriminant(answer) => {
            found.push(format!("{at}: {example}, {answer}"));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_answers_have_the_fields_of_answers() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start_with(config(&database, &[("SAMPLE_DATA", "true")])).await;
    let document = document(&app).await;
    let path = |path: &str| format!("{RECOMMENDATIONS}/{path}");
    let check = |path: &str, method: &str, name: &str, answer: Answer| {
        let operation = &document["paths"][path][method];
        let content = &operation["responses"][answer.status.as_str()]["content"]["application/json"];
        let example = if name.is_empty() { &content["example"] } else { &content["examples"][name]["value"] };
        let mut found = Vec::new();
        differences(example, &answer.body, "", &mut found);
        assert_eq!(found, Vec::<String>::new(), "{method} {path} {name}");
    };
    let calculate = path("calculate/{user_id}");
    let computed = app.calculate(1).await;
    // Its fields, and its text.
    let text =
        &document["paths"][&calculate]["post"]["responses"]["200"]["content"]["application/json"]["examples"];
    assert_eq!(text["computed"]["value"]["message"], computed.body["message"]);
    check(&calculate, "post", "computed", computed);
    check(&calculate, "post", "up_to_date", app.calculate(1).await);
    check(&calculate, "post", "no_profile_analysis", app.calculate(424_242).await);
    check(&calculate, "post", "", app.calculate_in_background(1).await);
    check(&path("fast/{user_id}"), "get", "list", app.fast(1, "").await);
    check(&path("fast/{user_id}"), "get", "none", app.fast(424_242, "").await);
    check(&path("by-careers/{user_id}"), "get", "list", app.get(&path("by-careers/1")).await);
    let nothing = app.get(&path("by-careers/424242")).await;
    check(&path("by-careers/{user_id}"), "get", "no_profile_analysis", nothing);
    check(&path("status/{user_id}"), "get", "", app.get(&path("status/1")).await);
    check("/api/scheduler/trigger", "post", "", app.post("/api/scheduler/trigger").await);
    eventually("the batch is done", || async {
        app.get("/api/scheduler/status").await.body["batch"]["running"] == false
    })
    .await;
    check("/api/scheduler/status", "get", "", app.get("/api/scheduler/status").await);
    let operator = |path: &str| format!("/api/job-agent/operator/{path}");
    check(&operator("runs"), "get", "", app.get(&operator("runs")).await);
    check(&operator("parked"), "get", "", app.get(&operator("parked")).await);
    check(&operator("retry/{user_id}"), "post", "", app.post(&operator("retry/1")).await);
    check("/health", "get", "", app.get("/health").await);
    check("/health/ready", "get", "", app.get("/health/ready").await);
}

async fn fetch(address: &str, path: &str) -> Response {
    Client::new().get(format!("{address}{path}")).send().await.unwrap()
}

async fn text(response: Response) -> String {
    let zipped = response.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    if zipped {
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_api_needs_no_other_server() {
    let (app, _database) = app().await;
    for path in ["/docs", "/docs/"] {
        let page = fetch(&app.address, path).await;
        assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/docs/index.html"));
    }
    let page = fetch(&app.address, "/docs/index.html").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
    let html = text(page).await;
    let start = text(fetch(&app.address, "/docs/swagger-initializer.js").await).await;
    assert!(
        start.contains(r#""url": "../openapi.json""#) && start.contains(r#""validatorUrl": "none""#),
        "{start}"
    );
    let address = Regex::new(r#"(?i)(https?:)?//[a-z0-9]"#).unwrap();
    assert!(!address.is_match(&html), "{html}");
    // `//` also begins the comments of the script.
    assert!(!start.contains("http"), "{start}");
    let link = Regex::new(r#"(?:src|href)="([^"]+)""#).unwrap();
    let files: Vec<&str> = link.captures_iter(&html).map(|found| found.extract::<1>().1[0]).collect();
    assert!(files.len() >= 5, "{html}");
    for file in files {
        let response = fetch(&app.address, &format!("/docs/{file}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        assert!(!response.headers()["content-type"].is_empty());
        assert!(!response.bytes().await.unwrap().is_empty(), "{file}");
    }
    assert_eq!(app.get("/docs/unknown.js").await.outcome(), "not_found");
}
