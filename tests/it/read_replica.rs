//! Reads on a replica that lags: never older than what the caller has been told, and from the primary whenever that would
//! not be so.
//!
//! `scripts/check-replica` runs the long form.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::support::{
    Kind, PrivateServer, TestApp, TestDatabase, TestProcess, USER, can_run_on, config, eventually, report,
};

/// Seconds.
const DELAY: u32 = 2;
const CAREER: &str = "간호사";
/// Who calculate and read at the same time.
const USERS: usize = 16;
const DATABASE: &str = "lists";

macro_rules! tests {
    ($($module:ident, $kind:ident;)+) => {
        $(
            mod $module {
                use super::*;

                #[tokio::test(flavor = "multi_thread")]
                async fn a_caller_who_calculates_and_reads_never_sees_an_older_list() {
                    let test = concat!(module_path!(), "::a_caller_who_calculates_and_reads_never_sees_an_older_list");
                    if can_run_on(Kind::$kind, test) {
                        super::a_caller_who_calculates_and_reads_never_sees_an_older_list(Kind::$kind).await;
                    }
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn a_replica_in_trouble_leaves_the_reads_to_the_primary() {
                    let test = concat!(module_path!(), "::a_replica_in_trouble_leaves_the_reads_to_the_primary");
                    if can_run_on(Kind::$kind, test) {
                        super::a_replica_in_trouble_leaves_the_reads_to_the_primary(Kind::$kind).await;
                    }
                }
            }
        )+
    };
}

tests! {
    mysql, Mysql;
    mariadb, Mariadb;
}

struct Deployment {
    primary: TestDatabase,
    replica: TestDatabase,
    replica_server: PrivateServer,
    _primary_server: PrivateServer,
}

impl Deployment {
    /// The replica has all that the primary has, and follows it with this delay.
    async fn start(kind: Kind, delay_secs: u32) -> Self {
        let primary_server = PrivateServer::start_with_log(kind, 1).await;
        let replica_server = PrivateServer::start_with_log(kind, 2).await;
        replica_server.follow(kind, &primary_server, delay_secs).await;
        let primary = TestDatabase::create_on(kind, &primary_server.url, DATABASE).await;
        let listings = primary.number("SELECT COUNT(*) FROM job_listings").await;
        let replica = TestDatabase::existing_on(kind, &replica_server.url, DATABASE);
        eventually("the replica has the listings", async || {
            replica.try_execute("SELECT 1 FROM job_listings").await.is_ok()
                && replica.number("SELECT COUNT(*) FROM job_listings").await == listings
        })
        .await;
        Self { primary, replica, replica_server, _primary_server: primary_server }
    }

    /// Instances without workers, so that a recorded trigger stays pending.
    async fn app(&self) -> TestApp {
        let settings = [
            ("DATABASE_READ_URL", self.replica.url.as_str()),
            ("DATABASE_READ_WAIT_MS", "20"),
            ("QUEUE_WORKERS", "0"),
            ("BATCH_WORKERS", "0"),
        ];
        TestApp::start_with(config(&self.primary, &settings)).await
    }
}

fn path(call: &str, user: i64) -> String {
    format!("/api/job-agent/recommendations/{call}/{user}")
}

/// What the calls that read show of a user whose list is that of `career`.
async fn reads(app: &TestApp, user: i64, career: &str, number: usize) {
    let answer = app.get(&path(["fast", "by-careers", "status"][number % 3], user)).await;
    let shown = match number % 3 {
        0 => &answer.body["recommendations"][0]["matchedCareer"],
        1 => {
            assert_eq!(answer.body["careerNames"][0], career, "{answer:?}");
            &answer.body["recommendations"][0]["matchedCareers"][0]
        }
        _ => {
            assert_eq!(answer.body["state"], "current", "{answer:?}\n{}", report().await);
            return;
        }
    };
    assert_eq!(shown, career, "an older list: {answer:?}\n{}", report().await);
}

/// `REPLICA_TRIES` of them, 300 unless it is set.
fn tries() -> usize {
    std::env::var("REPLICA_TRIES").map_or(300, |tries| tries.parse().expect("a number"))
}

async fn a_caller_who_calculates_and_reads_never_sees_an_older_list(kind: Kind) {
    let deployment = Deployment::start(kind, DELAY).await;
    let apps = [deployment.app().await, deployment.app().await];
    let (tries, begun) = (tries(), Instant::now());
    let (done, shown_older, compared) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let caller = async |place: usize| {
        let user = USER + place as i64;
        for round in 0.. {
            let number = done.fetch_add(1, Ordering::Relaxed);
            if number >= tries {
                return;
            }
            let (writer, reader) = (&apps[number % 2], &apps[(number / 2) % 2]);
            // Never the name of an earlier list.
            let career = &format!("{round}병동 {CAREER}");
            deployment.primary.set_career(user, career).await;
            if number % 5 == 4 {
                assert_eq!(writer.calculate_in_background(user).await.status, 202);
                assert_eq!(reader.get(&path("status", user)).await.body["state"], "pending");
            }
            assert_eq!(writer.calculate(user).await.outcome(), "computed");
            reads(reader, user, career, number).await;
            if number % 10 == 0 {
                compared.fetch_add(1, Ordering::Relaxed);
                let is_older = deployment.replica.stored_careers(user).await != [career.clone()];
                shown_older.fetch_add(usize::from(is_older), Ordering::Relaxed);
            }
        }
    };
    join_all((0..USERS).map(caller)).await;
    println!(
        "{kind:?}: {tries} tries in {:?}; the replica itself would have shown an older list in {} of {}",
        begun.elapsed(),
        shown_older.load(Ordering::Relaxed),
        compared.load(Ordering::Relaxed),
    );
    assert!(
        2 * shown_older.load(Ordering::Relaxed) > compared.load(Ordering::Relaxed),
        "the replica does not lag"
    );
    let behind = apps[0].metric("read_replica_reads_total{outcome=\"behind\"}").await.unwrap();
    assert!(behind > 0.0, "no read met a replica that was behind");
    the_replica_serves_what_it_has(&deployment, &apps).await;
}

async fn the_replica_serves_what_it_has(deployment: &Deployment, apps: &[TestApp; 2]) {
    let served =
        async |app: &TestApp| app.metric("read_replica_reads_total{outcome=\"served\"}").await.unwrap();
    for place in 0..USERS {
        let user = USER + place as i64;
        let careers = deployment.primary.stored_careers(user).await;
        eventually("the replica has the list", async || {
            deployment.replica.stored_careers(user).await == careers
                && deployment.replica.state(user, "version + confirmations + requested_seq").await
                    == deployment.primary.state(user, "version + confirmations + requested_seq").await
        })
        .await;
        for app in apps {
            for number in 0..2 {
                let before = served(app).await;
                reads(app, user, &careers[0], number).await;
                assert_eq!(served(app).await, before + 1.0);
            }
        }
    }
}

async fn a_replica_in_trouble_leaves_the_reads_to_the_primary(kind: Kind) {
    let mut deployment = Deployment::start(kind, 0).await;
    let settings = [("DATABASE_READ_URL", deployment.replica.url.as_str()), ("QUEUE_WORKERS", "0")];
    let process = TestProcess::start(&deployment.primary, &settings).await;
    assert_eq!(process.events("read replica ready").len(), 1);
    let client = reqwest::Client::new();
    let get = async |path: &str| -> serde_json::Value {
        let begun = Instant::now();
        let answer = client.get(format!("{}{path}", process.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}: {}", process.log());
        assert!(begun.elapsed() < Duration::from_secs(4), "{path}: {:?}", begun.elapsed());
        answer.json().await.unwrap()
    };
    deployment.primary.set_career(USER, CAREER).await;
    let calculate = client.post(format!("{}{}", process.address, path("calculate", USER)));
    assert_eq!(calculate.send().await.unwrap().status(), 200);
    let read = async || get(&path("fast", USER)).await["recommendations"][0]["matchedCareer"].clone();
    assert_eq!(read().await, CAREER);
    let state = async || get("/health/ready").await["readReplica"].clone();
    assert_eq!(state().await, "available");

    for (number, trouble) in ["stopped", "killed", "without a table"].into_iter().enumerate() {
        match trouble {
            "stopped" => deployment.replica_server.signal("STOP"),
            "killed" => deployment.replica_server.stop(),
            _ => {
                // As on a replica whose copying has gone wrong.
                deployment.replica.execute("STOP REPLICA").await;
                deployment.replica.execute("RENAME TABLE recommendation_state TO gone").await;
            }
        }
        for _ in 0..20 {
            assert_eq!(read().await, CAREER, "{trouble}");
        }
        assert_eq!(state().await, "unavailable", "{trouble}");
        assert_eq!(process.events("read replica unavailable").len(), number + 1, "one warning: {trouble}");
        match trouble {
            "stopped" => deployment.replica_server.signal("CONT"),
            "killed" => deployment.replica_server.start_again().await,
            _ => deployment.replica.execute("RENAME TABLE gone TO recommendation_state").await,
        }
        eventually("the replica is used again", async || state().await == "available").await;
        assert_eq!(process.events("read replica available again").len(), number + 1, "{trouble}");
        assert_eq!(read().await, CAREER, "{trouble}");
    }
}
