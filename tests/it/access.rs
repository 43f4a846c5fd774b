//! Who may call what, with which token; and how often.

use std::io::Write;

use reqwest::{Method, RequestBuilder};
use ring::hmac;
use serde_json::{Value, json};

use crate::support::token::{
    SECRET, admin_token, algorithm, backend_token, claims, encode, seconds_from_now, token, user_token,
};
use crate::support::{
    Answer, Kind, OTHER_USER, TestApp, TestDatabase, TestProcess, USER, eventually, is_korean,
};

const API_TOKEN: &str = "service-token-0123456789";
const REQUIRED: [(&str, &str); 3] =
    [("AUTH_MODE", "required"), ("JWT_SECRET", SECRET), ("API_TOKENS", API_TOKEN)];
const OPTIONAL: [(&str, &str); 3] =
    [("AUTH_MODE", "optional"), ("JWT_SECRET", SECRET), ("API_TOKENS", API_TOKEN)];

fn fast(user: i64) -> String {
    format!("/api/job-agent/recommendations/fast/{user}")
}

/// Every path of a user.
fn paths_of(user: i64) -> [(Method, String); 4] {
    let path = |name: &str| format!("/api/job-agent/recommendations/{name}/{user}");
    [
        (Method::POST, path("calculate")),
        (Method::GET, path("fast")),
        (Method::GET, path("by-careers")),
        (Method::GET, path("status")),
    ]
}

const OPERATING: [(Method, &str); 2] =
    [(Method::POST, "/api/scheduler/trigger"), (Method::GET, "/api/scheduler/status")];

async fn get(app: &TestApp, path: &str, authorization: &str) -> Answer {
    app.send(Method::GET, path, |request| request.header("authorization", authorization)).await
}

async fn call(app: &TestApp, method: &Method, path: &str, token: &str) -> Answer {
    app.send(method.clone(), path, |request| request.bearer_auth(token)).await
}

/// The answer is the envelope of a refusal, and tells nothing about the token.
fn assert_refused(answer: &Answer, status: u16, code: &str, case: &str) {
    assert_eq!((answer.status.as_u16(), answer.outcome()), (status, code), "{case}: {answer:?}");
    assert_eq!(answer.body["success"], false, "{case}");
    assert_eq!(answer.body["error"], answer.body["detail"], "{case}");
    assert!(is_korean(answer.body["detail"].as_str().unwrap()), "{case}");
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{case}");
    assert_eq!(answer.body.as_object().unwrap().len(), 4, "{case}: {answer:?}");
}

/// Values of the header `Authorization` that no mode accepts, each with its kind.
fn bad_credentials() -> Vec<(&'static str, String)> {
    let bearer = |token: String| format!("Bearer {token}");
    let good = user_token(SECRET, USER);
    let parts: Vec<&str> = good.split('.').collect();
    let (name, digest) = algorithm(SECRET);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims(USER, "USER");
        change(&mut claims);
        bearer(backend_token(SECRET, &claims))
    };
    let without = |claim: &'static str| {
        with(&|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        })
    };
    let headed =
        |header: Value, digest, key: &[u8]| bearer(token(&header, &claims(USER, "USER"), digest, key));
    let key = SECRET.as_bytes();
    let unsigned = |alg: &str| {
        let header = encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        bearer(format!("{header}.{}.", parts[1]))
    };
    let forged = encode(claims(OTHER_USER, "ADMIN").to_string());
    vec![
        ("an empty header", String::new()),
        ("a scheme without a token", "Bearer ".to_owned()),
        ("a token without a scheme", good.clone()),
        ("another scheme", format!("Basic {}", encode("user:password"))),
        ("an unknown API token", bearer("service-token-0123456788".to_owned())),
        ("the beginning of an API token", bearer(API_TOKEN[..20].to_owned())),
        ("an API token and more", bearer(format!("{API_TOKEN}0"))),
        ("two API tokens", bearer(format!("{API_TOKEN},{API_TOKEN}"))),
        ("not a token", bearer("a.b.c".to_owned())),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("no signature", bearer(format!("{}.{}.", parts[0], parts[1]))),
        ("a signature that is cut off", bearer(good[..good.len() - 9].to_owned())),
        ("two parts", bearer(format!("{}.{}", parts[0], parts[1]))),
        ("four parts", bearer(format!("{good}.{}", parts[2]))),
        ("claims of another token", bearer(format!("{}.{forged}.{}", parts[0], parts[2]))),
        (
            "another secret",
            bearer(user_token("another-secret-of-fifty-nine-bytes-as-long-as-the-other-one", USER)),
        ),
        ("a secret that was read as Base64", headed(json!({"alg": name}), digest, encode(key).as_bytes())),
        ("HS256 for a long secret", headed(json!({"alg": "HS256"}), hmac::HMAC_SHA256, key)),
        ("HS512 for a short secret", headed(json!({"alg": "HS512"}), hmac::HMAC_SHA512, key)),
        ("an algorithm of another kind", headed(json!({"alg": "RS256"}), digest, key)),
        ("an unknown algorithm", headed(json!({"alg": "HS1"}), digest, key)),
        (
            "an unknown critical extension",
            headed(json!({"alg": name, "crit": ["b64"], "b64": false}), digest, key),
        ),
        ("an expired token", with(&|claims| claims["exp"] = seconds_from_now(-60).into())),
        ("a token of the future", with(&|claims| claims["nbf"] = seconds_from_now(600).into())),
        ("no end", without("exp")),
        ("an end that is a text", with(&|claims| claims["exp"] = "4102444800".into())),
        ("no user", without("sub")),
        ("a user that is a number", with(&|claims| claims["sub"] = USER.into())),
        ("a user with a sign", with(&|claims| claims["sub"] = format!("+{USER}").into())),
        ("a user that is a name", with(&|claims| claims["sub"] = "admin".into())),
        ("no role", without("role")),
        ("an unknown role", with(&|claims| claims["role"] = "ROOT".into())),
        ("a token for another audience", with(&|claims| claims["aud"] = "elsewhere".into())),
        ("a huge token", bearer("x".repeat(12_000))),
        ("a huge signed token", with(&|claims| claims["username"] = "x".repeat(8_000).into())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_of_every_kind_are_refused_alike_in_both_modes() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    for settings in [REQUIRED, OPTIONAL] {
        let app = TestApp::start(&database, &settings).await;
        for (case, authorization) in bad_credentials() {
            for (method, path) in paths_of(USER)
                .iter()
                .map(|(method, path)| (method, path.as_str()))
                .chain(OPERATING.iter().map(|(method, path)| (method, *path)))
            {
                let send = |request: RequestBuilder| request.header("authorization", &authorization);
                let answer = app.send(method.clone(), path, send).await;
                assert_refused(&answer, 401, "invalid_token", case);
                assert_eq!(
                    answer.headers["www-authenticate"],
                    "Bearer realm=\"job-agent\", error=\"invalid_token\""
                );
            }
        }
        let twice = |request: RequestBuilder| request.bearer_auth(API_TOKEN).bearer_auth(API_TOKEN);
        let answer = app.send(Method::GET, &fast(USER), twice).await;
        assert_refused(&answer, 401, "invalid_token", "two headers");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM recommendation_state").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_reaches_their_own_paths_and_an_administrator_or_a_service_reaches_all() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &REQUIRED).await;
    let user = user_token(SECRET, USER);
    for (method, path) in paths_of(USER) {
        let answer = call(&app, &method, &path, &user).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        for slashes in [format!("{path}/"), format!("/{path}//")] {
            assert_eq!(call(&app, &method, &slashes, &user).await.status, 200, "{method} {slashes}");
        }
        let answer = app.send(method, &path, |request| request).await;
        assert_refused(&answer, 401, "token_required", &path);
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"job-agent\"");
    }
    for (method, path) in paths_of(OTHER_USER) {
        assert_refused(&call(&app, &method, &path, &user).await, 403, "forbidden", &path);
        let slashes = format!("/{path}/");
        assert_refused(&call(&app, &method, &slashes, &user).await, 403, "forbidden", &slashes);
    }
    for (method, path) in OPERATING {
        assert_refused(&call(&app, &method, path, &user).await, 403, "forbidden", path);
        let answer = app.send(method, path, |request| request).await;
        assert_refused(&answer, 401, "token_required", path);
    }
    let all: Vec<_> =
        paths_of(OTHER_USER).into_iter().chain(OPERATING.map(|(m, p)| (m, p.to_owned()))).collect();
    for token in [API_TOKEN.to_owned(), admin_token(SECRET, USER)] {
        for (method, path) in &all {
            let answer = call(&app, method, path, &token).await;
            assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        }
        let answer = get(&app, "/api/job-agent/recommendations/fast/x", &format!("bearer {token}")).await;
        assert_eq!(answer.outcome(), "invalid_user_id");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_preflight_requests_need_no_token() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &REQUIRED).await;
    for path in ["/health", "/health/ready"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
        assert_eq!(get(&app, path, "Bearer rubbish").await.status, 200, "{path}");
    }
    let origin = "http://localhost:3000";
    let preflight = |request: RequestBuilder| {
        let request = request.header("origin", origin).header("access-control-request-method", "GET");
        request.header("access-control-request-headers", "authorization")
    };
    let answer = app.send(Method::OPTIONS, &fast(USER), preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization");
    // The page can read why it was refused.
    let answer = app.send(Method::GET, &fast(USER), |request| request.header("origin", origin)).await;
    assert_refused(&answer, 401, "token_required", "from a page");
    assert_eq!(answer.headers["access-control-allow-origin"], origin);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_optional_mode_calls_without_a_token_pass_and_tokens_still_bind() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &OPTIONAL).await;
    for (method, path) in paths_of(USER).into_iter().chain(OPERATING.map(|(m, p)| (m, p.to_owned()))) {
        let answer = app.send(method.clone(), &path, |request| request).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
    let user = user_token(SECRET, USER);
    assert_eq!(call(&app, &Method::GET, &fast(USER), &user).await.status, 200);
    assert_refused(
        &call(&app, &Method::GET, &fast(OTHER_USER), &user).await,
        403,
        "forbidden",
        "another user",
    );
    let answer = call(&app, &Method::GET, "/api/scheduler/status", &user).await;
    assert_refused(&answer, 403, "forbidden", "the scheduler");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mode_tokens_are_not_looked_at() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &REQUIRED[1..]).await;
    for authorization in ["Bearer rubbish", "Basic rubbish"] {
        assert_eq!(get(&app, &fast(USER), authorization).await.status, 200);
    }
    let user = user_token(SECRET, USER);
    assert_eq!(call(&app, &Method::GET, &fast(OTHER_USER), &user).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_can_be_left_open() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let settings = [REQUIRED.as_slice(), &[("SCHEDULER_OPEN", "true")]].concat();
    let app = TestApp::start(&database, &settings).await;
    for (method, path) in OPERATING {
        assert!(app.send(method, path, |request| request).await.status.is_success(), "{path}");
    }
    assert_refused(&app.get(&fast(USER)).await, 401, "token_required", "a path of a user");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_the_secret_in_bytes_decides_the_algorithm() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let korean = "비밀은-바이트로-세며-서른두-바이트-이상이어야-한다";
    for (secret, name) in [
        ("thirty-two-bytes-are-the-minimum", "HS256"),
        ("forty-seven-bytes-are-one-too-few-for-hs384-xxx", "HS256"),
        ("forty-eight-bytes-are-just-enough-for-hs384-xxxx", "HS384"),
        (SECRET, "HS384"),
        ("sixty-three-bytes-are-one-too-few-for-hs512-xxxxxxxxxxxxxxxxxxx", "HS384"),
        ("sixty-four-bytes-are-just-enough-for-hs512-xxxxxxxxxxxxxxxxxxxxx", "HS512"),
        (korean, "HS512"),
    ] {
        assert_eq!(algorithm(secret).0, name, "the test's own signer");
        let app = TestApp::start(&database, &[("AUTH_MODE", "required"), ("JWT_SECRET", secret)]).await;
        let answer = call(&app, &Method::GET, &fast(USER), &user_token(secret, USER)).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        for (other, digest) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let token = token(&json!({"alg": other}), &claims(USER, "USER"), digest, secret.as_bytes());
            let answer = call(&app, &Method::GET, &fast(USER), &token).await;
            assert_eq!(answer.status == 200, other == name, "{other} for {name}");
        }
        let answer = call(&app, &Method::GET, &fast(USER), API_TOKEN).await;
        assert_refused(&answer, 401, "invalid_token", "no API token is set");
    }
}

/// Signed with Python's `hmac`, for the user 1001 until 2100.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_another_program_has_signed_is_accepted() {
    let signed = "eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiIxMDAxIiwidXNlcm5hbWUiOiJhIiwicm9sZSI6IlVTRVIiLCJpYXQiOjE3NjQwMDAwMDAs\
                  ImV4cCI6NDEwMjQ0NDgwMH0.w9O3mO4JDMh1kHMmhFZzYmOHDYmiR1RFH1gapvsQVbTRoWFBVJiiHhq6Wu8YyKPy";
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &REQUIRED).await;
    assert_eq!(call(&app, &Method::GET, &fast(USER), signed).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_accepted_for_a_few_seconds_beyond_its_end() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let app = TestApp::start(&database, &REQUIRED).await;
    let mut claims = claims(USER, "USER");
    claims["exp"] = seconds_from_now(0).into();
    let answer = call(&app, &Method::GET, &fast(USER), &backend_token(SECRET, &claims)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_tokens_are_rotated_by_accepting_two_and_come_from_a_file_as_well() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let (old, new) = ("old-token-0123456789", "new-token-0123456789");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "# of the backend\n{new}\n\n  file-token-0123456789  ").unwrap();
    let path = file.path().to_str().unwrap();
    let both = format!("{old}, {new}");
    let accepted = async |settings: &[(&str, &str)]| {
        let settings = [&[("AUTH_MODE", "required")], settings].concat();
        let app = TestApp::start(&database, &settings).await;
        let mut accepted = Vec::new();
        for token in [old, new, "file-token-0123456789", "# of the backend"] {
            accepted.push(call(&app, &Method::GET, &fast(USER), token).await.status == 200);
        }
        accepted
    };
    assert_eq!(accepted(&[("API_TOKENS", &both)]).await, [true, true, false, false]);
    assert_eq!(accepted(&[("API_TOKENS", new)]).await, [false, true, false, false]);
    assert_eq!(accepted(&[("API_TOKENS_FILE", path)]).await, [false, true, true, false]);
    assert_eq!(accepted(&[("API_TOKENS", old), ("API_TOKENS_FILE", path)]).await, [true, true, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_tokens_counts_as_it_is_now_and_a_broken_one_changes_nothing() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let (old, new) = ("old-token-0123456789", "new-token-0123456789");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let file = path.to_str().unwrap();
    std::fs::write(file, old).unwrap();
    let settings = [("AUTH_MODE", "required"), ("API_TOKENS_FILE", file)];
    let process = TestProcess::start(&database, &settings).await;
    let accepts = async |token: &str| {
        let request = reqwest::Client::new().get(format!("{}{}", process.address, fast(USER)));
        request.bearer_auth(token).send().await.unwrap().status() == 200
    };
    assert!(accepts(old).await && !accepts(new).await);
    std::fs::write(file, format!("{old}\n{new}")).unwrap();
    eventually("both tokens are accepted", async || accepts(new).await && accepts(old).await).await;
    std::fs::write(file, new).unwrap();
    eventually("the old token is refused", async || !accepts(old).await).await;
    for broken in [None, Some(""), Some("short")] {
        match broken {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        eventually("the log says so", async || {
            !process.events("the file of API tokens cannot be used").is_empty()
        })
        .await;
        assert!(accepts(new).await);
    }
    std::fs::write(file, old).unwrap();
    eventually("a file that is right again counts", async || accepts(old).await && !accepts(new).await).await;
    assert_eq!(process.events("the file of API tokens cannot be used").len(), 1, "once per outage");
    assert!(!process.log().contains(old) && !process.log().contains("short"));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_secrets_nor_tokens_reach_the_log_at_any_level() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let settings = [REQUIRED.as_slice(), &[("RUST_LOG", "trace")]].concat();
    let process = TestProcess::start(&database, &settings).await;
    let client = reqwest::Client::new();
    let user = user_token(SECRET, USER);
    let mut sent = vec![SECRET.to_owned(), API_TOKEN.to_owned(), user.clone()];
    let credentials = [format!("Bearer {API_TOKEN}"), format!("Bearer {user}")];
    for authorization in credentials.into_iter().chain(bad_credentials().into_iter().map(|(_, bad)| bad)) {
        let request = client.get(format!("{}{}", process.address, fast(USER)));
        let body =
            request.header("authorization", &authorization).send().await.unwrap().text().await.unwrap();
        let token = authorization.split(' ').next_back().unwrap().to_owned();
        assert!(token.len() < 16 || !body.contains(&token), "{body}");
        sent.push(token);
    }
    let log = process.log();
    assert!(log.contains("a token was refused"));
    // A signature or a few claims alone would be enough to go on from.
    for secret in sent.iter().flat_map(|token| token.split('.')).filter(|part| part.len() >= 16) {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_listens_beyond_loopback_without_tokens_warns_once() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let warnings = async |settings: &[(&str, &str)]| {
        let process = TestProcess::start(&database, settings).await;
        // Logged right after the event that the start was waited for.
        reqwest::get(format!("{}/health", process.address.replace("0.0.0.0", "127.0.0.1"))).await.unwrap();
        process.events("callers need no token").len()
    };
    assert_eq!(warnings(&[("HOST", "0.0.0.0")]).await, 1);
    assert_eq!(warnings(&[]).await, 0);
    let required = [REQUIRED.as_slice(), &[("HOST", "0.0.0.0")]].concat();
    assert_eq!(warnings(&required).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_user_beyond_the_limit_are_told_when_to_return() {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let limit = [("USER_REQUESTS_PER_MINUTE", "3")];
    let app = TestApp::start(&database, &[OPTIONAL.as_slice(), &limit].concat()).await;
    let user = user_token(SECRET, USER);
    for (method, path) in paths_of(USER).into_iter().take(3) {
        assert_eq!(call(&app, &method, &path, &user).await.status, 200);
    }
    // Refused calls for the user, or those by others, do not count.
    assert_refused(&get(&app, &fast(OTHER_USER), "Bearer rubbish").await, 401, "invalid_token", "no token");
    let answer = call(&app, &Method::GET, &fast(USER), &user).await;
    assert_refused(&answer, 429, "rate_limited", "the fourth");
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_refused(&app.get(&fast(USER)).await, 429, "rate_limited", "without a token");
    assert_eq!(app.get(&fast(OTHER_USER)).await.status, 200);
    for token in [API_TOKEN.to_owned(), admin_token(SECRET, OTHER_USER)] {
        assert_eq!(call(&app, &Method::GET, &fast(USER), &token).await.status, 200, "acts for many users");
    }
    assert_eq!(app.get("/health").await.status, 200);
}
