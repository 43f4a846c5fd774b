//! The id that connects a request, its answer and the log.

use crate::support::{Kind, TestDatabase, TestProcess, USER};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_answer_and_the_log_of_its_run_share_an_id() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let process = TestProcess::start(&database, &[]).await;
    let client = reqwest::Client::new();
    let calculate = format!("{}/api/job-agent/recommendations/calculate/{USER}", process.address);
    let answer = client.post(&calculate).header("x-request-id", "trace-1.a").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "trace-1.a");
    for message in ["calculation started", "recommendations saved"] {
        let event = process.events(message).pop().unwrap();
        assert_eq!(
            (&event["span"]["request_id"], &event["user_id"]),
            (&"trace-1.a".into(), &USER.to_string().into()),
            "{event}"
        );
    }
    // An answer of any kind has an id; one that is not fit for a log is replaced.
    let mut made = Vec::new();
    for (path, id) in
        [("/health", ""), ("/unknown", "a b"), ("/health", "\"}{"), ("/unknown", &"x".repeat(101))]
    {
        let request = client.get(format!("{}{path}", process.address)).header("x-request-id", id);
        made.push(request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    assert!(
        made.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{made:?}"
    );
    made.dedup();
    assert_eq!(made.len(), 4);
}
