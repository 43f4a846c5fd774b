//! The page for operators, as it is served; `browser.rs` uses it. And what its files must not hold.

use std::path::Path;

use regex::Regex;
use reqwest::Method;

use crate::support::token::SECRET;
use crate::support::{Kind, TestApp, TestDatabase};

fn sources() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    files.map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_files_are_served_without_a_token_and_under_a_strict_policy() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[("AUTH_MODE", "required"), ("JWT_SECRET", SECRET)]).await;
    for (name, source) in sources() {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/console/{name}") };
        let answer = app.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, Some(source.as_str())), "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy
                .starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("require-trusted-types-for 'script'"),
            "{policy}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let content_type = answer.headers["content-type"].to_str().unwrap();
        let ending = name.rsplit('.').next().unwrap().replace("js", "javascript");
        assert_eq!(content_type, format!("text/{ending}; charset=utf-8"));
    }
    assert_eq!(app.get("/console/unknown.js").await.outcome(), "not_found");
    assert_eq!(app.send(Method::POST, "/", |request| request).await.outcome(), "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_switched_off() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[("CONSOLE", "off")]).await;
    for path in ["/", "/console/console.js"] {
        assert_eq!(app.get(path).await.outcome(), "not_found");
    }
}

#[test]
fn the_files_ask_no_other_server_and_make_no_markup_of_texts() {
    let forbidden = Regex::new(
        r#"(?i)https?://[a-z0-9]|src="//|url\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\son[a-z]+="|style=""#,
    )
    .unwrap();
    for (name, source) in sources() {
        let found: Vec<&str> = forbidden.find_iter(&source).map(|found| found.as_str()).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

/// The names of texts in a language: keys of the dictionary, with those of the objects in it.
fn names(dictionary: &str) -> Vec<String> {
    let name = Regex::new(r#"(?:^|[{,\s])(?:"([^"]+)"|([A-Za-z_]+)):\s*(?:["`({a-z])"#).unwrap();
    name.captures_iter(dictionary)
        .map(|found| found.get(1).or(found.get(2)).unwrap().as_str().to_owned())
        .collect()
}

#[test]
fn korean_and_english_have_the_same_texts_and_all_that_the_page_shows() {
    let sources = sources();
    let source = |name: &str| &sources.iter().find(|(known, _)| known == name).unwrap().1;
    let texts = source("texts.js");
    let (korean, english) = texts.split_once("  en: {").unwrap();
    let english = english.split("\n};").next().unwrap();
    let korean = names(korean.split_once("  ko: {").unwrap().1);
    assert_eq!(korean, names(english));
    let asked = Regex::new(r#"data-(?:text|label)="([a-zA-Z]+)""#).unwrap();
    for name in asked.captures_iter(source("index.html")).map(|found| found[1].to_owned()) {
        assert!(korean.contains(&name), "{name}");
    }
}
