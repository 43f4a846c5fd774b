//! The process: its start, its stop, and a database that goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{
    Kind, TestApp, TestDatabase, TestProcess, USER, can_run_on, command, config, eventually, on_servers,
};

on_servers!(a_database_that_goes_away_is_a_503_and_recovers, a_start_without_rights_does_not_wait);

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_process_finishes_and_exits_with_success() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut process = TestProcess::start(&database, &[]).await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.log());
}

#[tokio::test]
async fn an_unreachable_database_stops_the_start_after_a_bounded_time_with_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("mysql://root:hunter2@127.0.0.1:{port}/dreampath");
    let settings =
        [("DATABASE_URL", url.as_str()), ("DATABASE_START_TIMEOUT_SECS", "1"), ("RUST_LOG", "off")];
    let started = Instant::now();
    let output = command(folder.path(), &settings).output().unwrap();
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&format!("mysql://root@127.0.0.1:{port}/dreampath")), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// A TCP proxy that can cut all connections and refuse new ones.
struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (open, is_open) = watch::channel(true);
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (target, mut is_open, count) = (target.clone(), is_open.clone(), count.clone());
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(&target).await.unwrap();
                    tokio::select! {
                        _ = is_open.wait_for(|open| !open) => {}
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    }
                    drop((client, server));
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, open, connections }
    }

    /// Ends all connections and every new one.
    async fn cut(&self) {
        self.open.send_replace(false);
        eventually("all connections are cut", || async { self.connections.load(Ordering::SeqCst) == 0 })
            .await;
    }
}

async fn a_database_that_goes_away_is_a_503_and_recovers(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let (server, name) = database.url.trim_start_matches("mysql://").split_once('/').unwrap();
    let (login, target) = server.split_once('@').unwrap();
    let proxy = Proxy::start(target.to_owned()).await;
    let url = format!("mysql://{login}@127.0.0.1:{}/{name}?ssl-mode=disabled", proxy.port);
    let app = TestApp::start_with(config(&database, &[("DATABASE_URL", &url)])).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");

    proxy.cut().await;
    for answer in
        [app.calculate(USER).await, app.calculate_in_background(USER).await, app.fast(USER, "").await]
    {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.body["code"], "unavailable");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(answer.took < Duration::from_secs(15), "{:?}", answer.took);
    }
    assert_eq!(app.get("/health").await.status, 200);
    let ready = app.get("/health/ready").await;
    assert_eq!((ready.status.as_u16(), ready.outcome()), (503, "unavailable"));
    let metrics = app.get("/metrics").await;
    assert!(metrics.took < Duration::from_secs(5), "a scrape does not wait long: {:?}", metrics.took);
    let metrics = metrics.body.as_str().unwrap().to_owned();
    assert!(metrics.contains("job_agent_database_up 0"), "{metrics}");
    assert!(!metrics.contains("job_agent_queue"), "unknown, not zero: {metrics}");

    proxy.open.send_replace(true);
    assert_eq!(app.calculate(USER).await.outcome(), "up_to_date");
    assert_eq!(app.fast(USER, "").await.status, 200);
    assert_eq!(app.get("/health/ready").await.status, 200);
    eventually("metrics show that the database is back", || async {
        app.get("/metrics").await.body.as_str().unwrap().contains("job_agent_database_up 1")
    })
    .await;
}

/// The schema cannot be made, and no waiting helps.
async fn a_start_without_rights_does_not_wait(database: TestDatabase) {
    let empty = TestDatabase::create_bare(database.kind).await;
    let url = empty.add_account().await;
    let name = empty.name();
    empty.execute(&format!("REVOKE ALL PRIVILEGES ON {name}.* FROM '{name}_service'@'%'")).await;
    empty.execute(&format!("GRANT SELECT ON {name}.* TO '{name}_service'@'%'")).await;
    let mut process = TestProcess::begin(&url, &[]);
    assert_eq!(process.exit_code().await, Some(1));
    assert!(process.events("waiting for the database").is_empty(), "{}", process.log());
    assert!(process.log().contains("denied"), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_account_of_mysql_is_accepted_with_and_without_tls() {
    if !can_run_on(Kind::Mysql, "process::a_password_account_of_mysql_is_accepted_with_and_without_tls") {
        return;
    }
    let database = TestDatabase::create(Kind::Mysql).await;
    database.set_career(USER, "간호사").await;
    let server = std::env::var("TEST_MYSQL_PASSWORD_URL").expect("set by scripts/test");
    let name = database.url.rsplit('/').next().unwrap();
    for mode in ["required", "disabled"] {
        let url = format!("{}/{name}?ssl-mode={mode}", server.trim_end_matches('/'));
        let app = TestApp::start_with(config(&database, &[("DATABASE_URL", &url)])).await;
        assert_eq!(app.calculate(USER).await.body["success"], true, "{mode}");
    }
}

/// The first steps of a newcomer: start the service with nothing set and paste the commands that it prints.
/// The README shows the same commands.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_work_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let printed = folder.path().join("printed");
    let mut process = command(folder.path(), &[("PORT", "0")])
        .stdout(std::fs::File::create(&printed).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let commands = || {
        let printed = std::fs::read_to_string(&printed).unwrap();
        printed.lines().filter(|line| line.starts_with("  curl ")).map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("the commands are printed", || async { commands().len() == 2 }).await;
    let paste = |line: &str| {
        let output = std::process::Command::new("sh").args(["-c", line]).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("an answer; is curl installed?")
    };
    let commands = commands();
    let first = paste(&commands[0]);
    assert!(first["savedCount"].as_u64().unwrap() > 0, "{first}");
    let again = paste(&commands[0]);
    assert_eq!((&again["skipped"], &again["code"]), (&true.into(), &"up_to_date".into()));
    let list = paste(&commands[1]);
    assert_eq!(list["recommendations"].as_array().unwrap().len(), 3);
    process.kill().unwrap();
    process.wait().unwrap();

    let readme = include_str!("../../README.md");
    let port = commands[0].split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap();
    for line in &commands {
        let line = line.trim().replace(&format!("127.0.0.1:{port}"), "127.0.0.1:8000");
        assert!(readme.lines().any(|readme| readme == line), "{line}");
    }
}
