//! The id that connects a request, its answer and the log; and runs that explain why they were slow.

use crate::support::{Kind, TestDatabase, TestProcess, USER, eventually, on_every_database};

on_every_database!(a_slow_run_is_logged_once_with_the_time_of_each_phase);

async fn a_slow_run_is_logged_once_with_the_time_of_each_phase(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let calculate = async |process: &TestProcess| {
        let path = format!("{}/api/job-agent/recommendations/calculate/{USER}", process.address);
        assert!(reqwest::Client::new().post(path).send().await.unwrap().status().is_success());
    };
    let process = TestProcess::start(&database, &[("SLOW_RUN_MS", "1")]).await;
    calculate(&process).await;
    let slow = process.events("slow run");
    let [run] = slow.as_slice() else { panic!("{slow:?}") };
    assert_eq!((&run["level"], &run["outcome"]), (&"WARN".into(), &"computed".into()), "{run}");
    assert_eq!((&run["user_id"], &run["attempts"]), (&USER.to_string().into(), &1.into()), "{run}");
    assert_eq!(run["span"]["name"], "run", "{run}");
    let phases = ["lock_wait", "listings", "read", "rank", "write", "release"];
    let spent: u64 = phases.iter().map(|phase| run[format!("{phase}_ms")].as_u64().unwrap()).sum();
    assert!(spent <= run["total_ms"].as_u64().unwrap(), "{run}");
    drop(process);
    let process = TestProcess::start(&database, &[("SLOW_RUN_MS", "0")]).await;
    calculate(&process).await;
    eventually("the run is logged", || async { !process.events("skipped").is_empty() }).await;
    assert_eq!(process.events("slow run").len(), 0, "0: never");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_answer_and_the_log_of_its_run_share_an_id() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let process = TestProcess::start(&database, &[("RUST_LOG", "info,job_agent=debug")]).await;
    let client = reqwest::Client::new();
    let calculate = format!("{}/api/job-agent/recommendations/calculate/{USER}", process.address);
    let answer = client.post(&calculate).header("x-request-id", "trace-1.a").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "trace-1.a");
    for message in ["calculation started", "recommendations saved"] {
        let event = process.events(message).pop().unwrap();
        let (request, run) = (&event["spans"][0], &event["spans"][1]);
        assert_eq!((&request["name"], &run["name"]), (&"request".into(), &"run".into()), "{event}");
        assert_eq!(request["request_id"], "trace-1.a");
        assert_eq!(request["route"], "/api/job-agent/recommendations/calculate/{user_id}");
        for named in [request, run, &event] {
            assert_eq!(named["user_id"], USER.to_string(), "{event}");
        }
        assert_eq!(run["run_id"].as_str().unwrap().len(), 16, "{event}");
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
