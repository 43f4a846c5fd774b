//! The commands of the binary.

use std::fs;
use std::path::Path;
use std::process::Output;

use job_agent::domain::BatchId;

use crate::support::{
    Kind, RedisServer, TestApp, TestDatabase, TestProcess, USER, command, eventually, on_every_database,
};

on_every_database!(
    importing_a_file_and_recalculating_from_the_command_line,
    a_batch_from_the_command_line_is_watched_to_its_end,
    a_batch_is_for_whom_the_command_line_says,
    status_and_retry_serve_an_operator,
    parked_users_are_tried_again_all_or_by_the_code_of_their_failure,
    careers_that_the_vocabulary_lacks_are_listed_by_their_users,
);

fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(folder, settings).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

async fn importing_a_file_and_recalculating_from_the_command_line(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let long = "가".repeat(400_000);
    let lines = [
        r#"{"id":"1","title":"도선사 모집","company":"항구","description":"배를 이끕니다","tech_stack":"해도,레이더"}"#,
        "not json",
        r#"{"id":"2","company":"제목이 없음"}"#,
        r#"{"id":"3","title":"1급 도선사","crawled_at":"2026-11-01T00:00:00Z","required_skills":["항해"]}"#,
        &format!(r#"{{"id":"4","title":"도선사","description":"{long}"}}"#),
    ];
    let file = folder.path().join("listings.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let import = ["import", file.to_str().unwrap(), "--site-name", "port"];
    let (code, out, log) = run(folder.path(), &settings, &import);
    assert_eq!((code, out.as_str()), (Some(2), "2 listings imported, 3 lines skipped\n"), "{log}");
    for line in [2, 3, 5] {
        assert!(log.contains(&format!("\"line\":{line}")), "{log}");
    }
    fs::write(&file, [lines[0], lines[3]].join("\n")).unwrap();
    assert_eq!(run(folder.path(), &settings, &import).0, Some(0));
    assert_eq!(database.number("SELECT COUNT(*) FROM job_listings WHERE site_name = 'port'").await, 2);

    database.set_career(USER, "도선사").await;
    let user = USER.to_string();
    let (code, out, _) = run(folder.path(), &settings, &["recalculate", &user]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001: computed: 2 stored\n"));
    let (code, out, _) = run(folder.path(), &settings, &["recalculate", &user]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001: up to date: 2 stored\n"));
    let (code, out, _) = run(folder.path(), &settings, &["recalculate", &user, "--force"]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001: computed: 2 stored\n"));
    let (code, out, _) = run(folder.path(), &settings, &["recalculate", "424242"]);
    assert_eq!((code, out.as_str()), (Some(2), "user 424242: the user has no analysis\n"));
    assert_eq!(run(folder.path(), &settings, &["recalculate", "0"]).0, Some(2));
    assert_eq!(run(folder.path(), &settings, &["migrate"]).0, Some(0));
}

async fn a_batch_from_the_command_line_is_watched_to_its_end(database: TestDatabase) {
    for user in USER..USER + 5 {
        database.add_user(user, true, "간호사", 0).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let _app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "1")]).await;
    let watch = |arguments: &[&str]| {
        let (folder, arguments) = (folder.path().to_owned(), arguments.to_vec());
        tokio::task::block_in_place(|| {
            run(&folder, &settings, &[vec!["batch", "--watch"], arguments].concat())
        })
    };
    let (code, out, log) = watch(&[]);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(out.lines().nth(1), Some("5 users: 5 calculated, 0 current, 0 parked"), "{out}");
    let (code, out, _) = watch(&["--all"]);
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().nth(1), Some("5 users: 0 calculated, 5 current, 0 parked"), "{out}");

    database.poison(USER).await;
    database
        .execute(&format!(
            "UPDATE career_analyses SET recommended_careers = '[\"회계 담당자\"]' WHERE session_id = {USER}"
        ))
        .await;
    let (code, out, _) = watch(&[]);
    assert_eq!(code, Some(2), "a user is parked");
    assert_eq!(out.lines().nth(1), Some("5 users: 0 calculated, 4 current, 1 parked"), "{out}");
}

async fn a_batch_is_for_whom_the_command_line_says(database: TestDatabase) {
    database.add_user(1, true, "간호사", 0).await;
    database.add_user(2, false, "간호사", 90).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let batch = |arguments: &[&str]| run(folder.path(), &settings, &[&["batch"], arguments].concat());
    let marked = async || {
        let marked = "SELECT user_id FROM recommendation_state WHERE due_at IS NOT NULL ORDER BY user_id";
        database.numbers(marked).await
    };
    let write = |text: &str| fs::write(folder.path().join("users"), text).unwrap();
    // No user is marked before the file has been read to its end.
    for (text, complaint) in [("1\n0\n", "line 2: \"0\""), ("2 3", "line 1: \"2 3\"")] {
        write(text);
        let (code, out, error) = batch(&["--users", "users"]);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(error.contains(complaint), "{error}");
    }
    assert_eq!(batch(&["--users", "none"]).0, Some(1));
    assert_eq!(batch(&["--users", "users", "--all"]).0, Some(2), "one or the other");
    assert_eq!(marked().await, [0; 0]);

    write("# after the incident\n7\n\n2 # the second\n7\n");
    let (code, out, log) = batch(&["--users", "users"]);
    assert_eq!((code, out.as_str()), (Some(0), "batch 1 opened\n2 users are due\n"), "{log}");
    assert_eq!(marked().await, [2, 7]);

    let (code, out, error) = batch(&["--all"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "its users would not be marked");
    assert!(error.contains("batch 1 is running"), "{error}");
    assert_eq!(batch(&[]).1, "batch 1 is running already: joined\n2 users are due\n");

    database.execute("UPDATE recommendation_state SET due_at = NULL, requested_seq = completed_seq").await;
    database.store().finish_batch(BatchId(1)).await.unwrap();
    assert_eq!(batch(&["--all"]).1, "batch 2 opened\n2 users are due\n");
    assert_eq!(marked().await, [1, 2], "the inactive one, too");
}

async fn parked_users_are_tried_again_all_or_by_the_code_of_their_failure(database: TestDatabase) {
    let parked = async |users: std::ops::Range<i64>, code: &str| {
        for user in users {
            database.store().request_run(user.try_into().unwrap()).await.unwrap();
            database
                .execute(&format!(
                    "UPDATE recommendation_state SET due_at = NULL, parked_at = requested_at, attempts = 5, \
                     last_error_code = '{code}' WHERE user_id = {user}"
                ))
                .await;
        }
    };
    parked(1..6, "internal_error").await;
    parked(6..8, "process_ended").await;
    // A user that waits is none of them.
    database.store().request_run(8.try_into().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let retry = |arguments: &[&str]| run(folder.path(), &settings, &[&["retry"], arguments].concat());
    let due = async || {
        let due = "SELECT user_id FROM recommendation_state \
                   WHERE due_at IS NOT NULL AND parked_at IS NULL AND attempts = 0 ORDER BY user_id";
        database.numbers(due).await
    };
    for arguments in [&[][..], &["1", "--all"], &["--all", "--code", "internal_error"]] {
        assert_eq!(retry(arguments).0, Some(2), "{arguments:?}: one of the three");
    }
    assert_eq!(due().await, [8]);
    let (code, out, log) = retry(&["--code", "process_ended"]);
    assert_eq!((code, out.as_str()), (Some(0), "2 parked users are due\n"), "{log}");
    assert_eq!(due().await, [6, 7, 8]);
    assert_eq!(retry(&["--all"]).1, "5 parked users are due\n");
    assert_eq!(due().await, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(retry(&["--all"]).1, "0 parked users are due\n");
}

async fn status_and_retry_serve_an_operator(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let job_agent = |arguments: &[&str]| run(folder.path(), &settings, arguments);
    let user = USER.to_string();
    let (code, out, _) = job_agent(&["status"]);
    let idle = "queue: 0 due in real time, 0 due in a batch, 0 running, 0 parked\nno batch yet\n";
    assert_eq!((code, out.as_str()), (Some(0), idle));
    let (code, out, _) = job_agent(&["status", &user]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001: nothing is recorded\n"));
    let (code, out, error) = job_agent(&["retry", &user]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "a slip must not leave a trace");
    assert!(error.contains("user 1001 is not known"), "{error}");
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "an unknown user is not recorded"
    );

    database.set_career(USER, "간호사").await;
    database.poison(USER).await;
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    let parked = "SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL";
    eventually("the user is parked", || async { database.number(parked).await == 1 }).await;
    let (_, out, _) = job_agent(&["status", &user]);
    assert!(out.starts_with("user 1001: 0 rows, calculated never, last found current never\n"), "{out}");
    assert!(out.contains("parked since ") && out.contains(" after 1 attempts\n"), "{out}");
    assert!(out.contains("last error: internal_error: ") && out.contains("poison"), "{out}");
    assert!(job_agent(&["status"]).1.contains("0 running, 1 parked\n"));

    database.execute("DROP TRIGGER poison").await;
    let (code, out, _) = job_agent(&["retry", &user]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001 is due\n"));
    eventually("the user is served", || async { database.row_count(USER).await > 0 }).await;
    let (_, out, _) = job_agent(&["status", &user]);
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(
        out.starts_with(&format!("user 1001: {} rows, calculated 2", database.row_count(USER).await)),
        "{out}"
    );

    assert_eq!(app.post("/api/scheduler/trigger").await.status, 202);
    let finished = "SELECT COUNT(*) FROM recommendation_batches WHERE finished_at IS NOT NULL";
    eventually("the batch is finished", || async { database.number(finished).await == 1 }).await;
    let (_, out, _) = job_agent(&["status"]);
    let batch = out.lines().nth(1).unwrap();
    assert!(batch.starts_with("batch 1 (active users) opened 2") && batch.contains(", finished 2"), "{out}");
    assert!(batch.ends_with("0 marked, 0 due, 0 running, 0 calculated, 0 current, 0 parked"), "{out}");
}

async fn careers_that_the_vocabulary_lacks_are_listed_by_their_users(database: TestDatabase) {
    database.add_user(1, true, "간호사", 0).await;
    database.add_user(2, true, "꿈 설계 안내인", 0).await;
    database.add_user(3, false, "꿈 설계 안내인", 0).await;
    database.add_user(4, true, "친환경 제품 품질관리 담당자", 0).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let (code, out, error) = run(folder.path(), &settings, &["vocabulary", "--unknown"]);
    let lines = "2\t꿈 설계 안내인\t-\n1\t친환경 제품 품질관리 담당자\t품질관리자\n";
    assert_eq!((code, out.as_str()), (Some(0), lines), "{error}");
}

#[test]
fn names_of_a_file_are_resolved_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("names.txt"), "꿈 설계 안내인\n\n친환경 제품 품질관리 담당자\n").unwrap();
    let (code, out, error) = run(folder.path(), &[], &["vocabulary", "--resolve", "names.txt"]);
    let lines = "꿈 설계 안내인\t-\n친환경 제품 품질관리 담당자\t품질관리자\n";
    assert_eq!((code, out.as_str()), (Some(0), lines), "{error}");
    assert!(error.contains("1 of 2 names are resolved"), "{error}");
}

#[test]
fn evaluate_measures_the_lists_of_whole_users() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[&str]| fs::write(folder.path().join(name), lines.join("\n")).unwrap();
    write("corpus.jsonl", &[r#"{"id":"a","title":"도선사 모집"}"#, r#"{"id":"b","title":"간호사"}"#]);
    write(
        "users.jsonl",
        &[r#"{"uid":"u","careers":[{"careerName":"도선사","matchScore":90}],"strengths":["영어"]}"#],
    );
    write("qrels.tsv", &["u\ta\t2", "u\tb\t0"]);
    let arguments =
        ["evaluate", "--corpus", "corpus.jsonl", "--users", "users.jsonl", "--qrels", "qrels.tsv"];
    let (code, run_file, report) = run(folder.path(), &[], &arguments);
    assert_eq!(code, Some(0), "{report}");
    let columns: Vec<&str> = run_file.trim_end().split('\t').collect();
    assert_eq!(columns[..2], ["u", "a"]);
    assert!(columns[2].parse::<f64>().unwrap() > 70.0, "{run_file}");
    assert!(report.starts_with("1 users: right@10 1.0000  wrong@10 0.0000  nDCG@10 1.0000"), "{report}");
    let (_, explained, _) = run(folder.path(), &[], &[&arguments[..], &["--explain"]].concat());
    assert!(explained.starts_with("u: 도선사 90\n  2 "), "{explained}");
    assert!(explained.contains("도선사 모집 | 공고 제목이"), "{explained}");
}

#[test]
fn evaluate_ranks_any_listings_for_any_queries_and_measures_against_grades() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[&str]| fs::write(folder.path().join(name), lines.join("\n")).unwrap();
    write(
        "corpus.jsonl",
        &[
            r#"{"id":"a","title":"도선사 모집","description":"배를 이끕니다","company":null}"#,
            r#"{"id":"b","title":"간호사","crawled_at":"2026-10-01"}"#,
            r#"{"id":"c","title":"1급 도선사 (신입)","tech_stack":"레이더"}"#,
        ],
    );
    write(
        "queries.jsonl",
        &[r#"{"qid":"q","career":"도선사","skills":["레이더"],"match_score":0.9,"granularity":"fine"}"#],
    );
    write("qrels.tsv", &["q\ta\t2", "q\tc\t2"]);
    let arguments =
        ["evaluate", "--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--qrels", "qrels.tsv"];
    let (code, run_file, report) = run(folder.path(), &[], &arguments);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(run_file.lines().take(2).collect::<Vec<_>>(), ["q\tc", "q\ta"]);
    let fine = report.lines().find(|line| line.starts_with("fine")).unwrap();
    assert!(fine.contains("1.0000"), "{report}");
    assert_eq!(run(folder.path(), &[], &["evaluate", "--corpus", "none", "--queries", "none"]).0, Some(1));
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in
        [("PORT", "http"), ("LOCK_WAIT_SECS", "-1"), ("REDIS_URL", "http://x"), ("DATABASE_URL", "x")]
    {
        let (code, out, error) = run(folder.path(), &[(name, value)], &[]);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn an_error_about_a_file_names_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "careers = 1").unwrap();
    let (blocked, inside) = (blocked.to_str().unwrap(), blocked.join("inside.db"));
    let database = format!("sqlite://{}", inside.display());
    for (variable, value, path) in [
        ("VOCABULARY_FILE", "missing.toml", "missing.toml"),
        ("VOCABULARY_FILE", blocked, blocked),
        ("DATABASE_URL", &database, blocked),
        ("DATABASE_URL", "sqlite:///proc/job-agent.db", "/proc/job-agent.db"),
    ] {
        let (code, _, log) = run(folder.path(), &[(variable, value)], &["serve"]);
        let named = log.lines().any(|line| line.starts_with("job-agent: ") && line.contains(path));
        assert!(code == Some(1) && named, "{variable}={value}: {log}");
    }
}

#[test]
fn settings_are_read_from_a_dot_env_file_and_the_environment_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "PORT=from_file\n").unwrap();
    assert!(run(folder.path(), &[], &["migrate"]).2.contains("from_file"));
    assert_eq!(run(folder.path(), &[("PORT", "8000")], &["migrate"]).0, Some(0));
    assert!(folder.path().join("data/job-agent.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_tells_a_healthy_service_from_none() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let process = TestProcess::start(&database, &[]).await;
    let port = process.address.rsplit(':').next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let settings = [("PORT", port.as_str()), ("HOST", "0.0.0.0")];
    assert_eq!(run(folder.path(), &settings, &["healthcheck"]).0, Some(0));
    process.kill();
    assert_eq!(run(folder.path(), &settings, &["healthcheck"]).0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unlock_shows_the_holder_and_removes_the_lock() {
    let redis = RedisServer::start().await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "seoul-1:42"]).await;
    let folder = tempfile::tempdir().unwrap();
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str())];
    let (code, out, _) = run(folder.path(), &settings, &["unlock", "1001"]);
    assert_eq!((code, out.as_str()), (Some(0), "user 1001: removed the lock of seoul-1:42\n"));
    assert_eq!(redis.lock_of(USER).await, None);
    let (_, out, _) = run(folder.path(), &settings, &["unlock", "1001"]);
    assert_eq!(out, "user 1001 is not locked\n");
    assert_eq!(run(folder.path(), &[], &["unlock", "1001"]).0, Some(1));
}
