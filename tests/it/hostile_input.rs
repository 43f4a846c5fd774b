//! Properties that hold for any input: requests, stored analyses, the name of an instance.

use std::collections::HashSet;

use job_agent::coordination::Instance;
use job_agent::profile::Inputs;
use job_agent::storage::{CareerAnalysis, MAX_CAREERS, ProfileAnalysis, StoredAnalysis, StoredCareer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::support::{Kind, TestApp, TestDatabase, USER};

/// A request as a client might send it, right or wrong.
#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    path: String,
    content_type: String,
    body: Vec<u8>,
}

fn request() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![
        Just(Method::GET),
        Just(Method::POST),
        Just(Method::PUT),
        Just(Method::DELETE),
        Just(Method::PATCH)
    ];
    let resource = prop_oneof![
        Just("/api/job-agent/recommendations/calculate/"),
        Just("/api/job-agent/recommendations/by-careers/"),
        Just("/api/job-agent/recommendations/fast/"),
        Just("/api/job-agent/recommendations/status/"),
        Just("/api/job-agent/operator/retry/"),
        Just("/api/scheduler/"),
        Just("/health"),
        Just("/"),
    ];
    let id = prop_oneof![
        3 => Just(USER.to_string()),
        1 => "[0-9]{1,25}",
        1 => Just("trigger".to_owned()),
        1 => Just("status".to_owned()),
        1 => "[-+.%0-9a-fA-F/]{0,10}",
        1 => "\\PC{0,10}",
    ];
    let name = prop_oneof![
        4 => prop_oneof![Just("background"), Just("force"), Just("limit"), Just("min_score")]
            .prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    let value =
        prop_oneof![Just("true".to_owned()), "[0-9]{1,4}", "[-.eE0-9]{1,6}", "\\PC{0,8}", "[%+&=]{0,4}"];
    let query = vec((name, value), 0..3);
    let body = prop_oneof![
        2 => Just(Vec::new()),
        1 => Just(b"{}".to_vec()),
        1 => json_text().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ];
    let content_type = prop_oneof![Just("application/json".to_owned()), "[a-z/;= ]{0,20}"];
    (method, resource, id, query, content_type, body).prop_map(
        |(method, resource, id, query, content_type, body)| {
            let query: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mark = if query.is_empty() { "" } else { "?" };
            Sent { method, path: format!("{resource}{id}{mark}{}", query.join("&")), content_type, body }
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_gets_an_answer_of_the_contract() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    // Its page is no answer of the contract.
    let app = TestApp::start(&database, &[("CONSOLE", "off")]).await;
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let checked = tokio::task::block_in_place(|| {
        runner.run(&request(), |Sent { method, path, content_type, body }| {
            let answer = Handle::current().block_on(app.send(method, &path, |request| {
                request.header("content-type", content_type.trim()).body(body)
            }));
            follows_the_contract(answer.status.as_u16(), &answer.body)
        })
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

fn follows_the_contract(status: u16, body: &Value) -> Result<(), TestCaseError> {
    prop_assert!([200, 202, 400, 404, 405, 413, 422].contains(&status), "{status}: {body}");
    prop_assert!(body.is_object(), "{status}: {body}");
    if *body == json!({"status": "healthy"}) {
        return Ok(());
    }
    prop_assert!(body["success"].is_boolean(), "{status}: {body}");
    if status >= 400 {
        prop_assert_eq!(&body["success"], &json!(false), "{}", body);
        for text in ["error", "code", "detail"] {
            prop_assert!(body[text].as_str().is_some_and(|text| !text.is_empty()), "{status}: {body}");
        }
    }
    Ok(())
}

/// Texts that other services may have stored as JSON: right, nearly right, and anything else.
fn json_text() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        (0..=100u8).prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("간호사")),
        "[0-9.%-]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => prop_oneof![
            Just("careerName"), Just("name"), Just("career_name"), Just("matchScore"), Just("category"),
            Just("level"), Just("reasons"),
        ]
        .prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    let value = leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Value::from),
            vec((key.clone(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string()),
        1 => (0..200usize).prop_map(|depth| "[".repeat(depth)),
        1 => "\\PC{0,40}",
        1 => "[{}\\[\\]\",:a0.-]{0,40}",
    ]
}

fn stored_analysis() -> impl Strategy<Value = StoredAnalysis> {
    let text = || proptest::option::of(json_text());
    let career = (text(), proptest::option::of("\\PC{0,10}"), text())
        .prop_map(|(job_name, match_score, category)| StoredCareer { job_name, match_score, category });
    let analysis = (text(), text()).prop_map(|(recommended_careers, interest_areas)| CareerAnalysis {
        recommended_careers,
        interest_areas,
    });
    let profile = (text(), text(), text(), text()).prop_map(|(interests, strengths, goals, summary)| {
        ProfileAnalysis { interests, strengths, goals, summary }
    });
    (vec(career, 0..12), proptest::option::of(analysis), proptest::option::of(profile)).prop_map(
        |(job_recommendations, career_analysis, profile)| StoredAnalysis {
            job_recommendations,
            career_analysis,
            profile,
        },
    )
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_is_stored_reads_as_a_bounded_profile(stored in stored_analysis()) {
        let reading = Inputs::parse(&stored);
        let careers = &reading.profile.careers;
        prop_assert!(careers.len() <= MAX_CAREERS);
        prop_assert!(careers.iter().all(|career| !career.name.trim().is_empty()));
        prop_assert!(careers.iter().all(|career| career.match_score.basis_points() <= 10_000));
        prop_assert!(careers.is_sorted_by(|one, next| one.match_score >= next.match_score), "best first");
        prop_assert!(reading.has_analysis || careers.is_empty());
        prop_assert_eq!(Inputs::parse(&stored), reading, "the same inputs are the same profile");
    }

    #[test]
    fn tokens_fit_their_column_and_are_unique_whatever_the_instance_is_called(name in any::<String>()) {
        let instance = Instance::new(&name);
        let tokens: HashSet<String> = (0..100).map(|_| instance.token()).collect();
        prop_assert_eq!(tokens.len(), 100);
        prop_assert!(tokens.iter().all(|token| token.chars().count() <= 150));
    }
}
