//! A server in trouble is not the users' fault: acknowledged triggers outlast it, and no user is parked.

use std::time::Instant;

use crate::support::{
    Forwarder, Kind, OTHER_USER, PrivateServer, TestApp, TestDatabase, TestProcess, USER, can_run_on, config,
    eventually, report, report_skipped,
};

const USERS: std::ops::Range<i64> = 2_000..2_040;
const WITHOUT_WORKERS: [(&str, &str); 2] = [("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")];
/// With the second failure that is counted, a user is parked.
const SETTINGS: [(&str, &str); 2] = [("QUEUE_MAX_ATTEMPTS", "2"), ("RUST_LOG", "warn,job_agent=debug")];

macro_rules! tests {
    ($($module:ident, $kind:ident;)+) => {
        $(
            mod $module {
                use super::*;

                #[tokio::test(flavor = "multi_thread")]
                async fn acknowledged_triggers_outlast_a_server_in_trouble() {
                    let test = concat!(module_path!(), "::acknowledged_triggers_outlast_a_server_in_trouble");
                    if can_run_on(Kind::$kind, test) {
                        super::acknowledged_triggers_outlast_a_server_in_trouble(Kind::$kind).await;
                    }
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn acknowledged_triggers_outlast_a_full_disk() {
                    let test = concat!(module_path!(), "::acknowledged_triggers_outlast_a_full_disk");
                    if can_run_on(Kind::$kind, test) {
                        super::acknowledged_triggers_outlast_a_full_disk(Kind::$kind, test).await;
                    }
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn connections_to_a_primary_that_is_read_only_now_are_given_up() {
                    let test =
                        concat!(module_path!(), "::connections_to_a_primary_that_is_read_only_now_are_given_up");
                    if can_run_on(Kind::$kind, test) {
                        super::connections_to_a_primary_that_is_read_only_now_are_given_up(Kind::$kind).await;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    ReadOnly,
    Offline,
    Stopped,
    ResourceLimit,
    OtherPassword,
}

struct Deployment {
    server: PrivateServer,
    database: TestDatabase,
    /// With the service's account, which is not root.
    url: String,
    account: String,
}

impl Deployment {
    async fn new(kind: Kind, server: PrivateServer) -> Self {
        let database = TestDatabase::create_on(kind, &server.url, "deployment").await;
        let url = database.add_account().await;
        Self { server, database, url, account: "'deployment_service'@'%'".to_owned() }
    }

    async fn begin(&mut self, trouble: Trouble) {
        let account = &self.account;
        match trouble {
            Trouble::ReadOnly => self.database.execute("SET GLOBAL read_only = 1").await,
            Trouble::Offline => self.database.execute("SET GLOBAL offline_mode = 1").await,
            Trouble::Stopped => self.server.stop(),
            Trouble::ResourceLimit => {
                let limit = format!("ALTER USER {account} WITH MAX_QUERIES_PER_HOUR 1");
                self.database.execute(&limit).await;
                self.server.end_sessions().await;
            }
            Trouble::OtherPassword => {
                self.database.execute(&format!("ALTER USER {account} IDENTIFIED BY 'other'")).await;
                self.server.end_sessions().await;
            }
        }
    }

    async fn end(&mut self, trouble: Trouble) {
        let account = &self.account;
        match trouble {
            Trouble::ReadOnly => self.database.execute("SET GLOBAL read_only = 0").await,
            Trouble::Offline => self.database.execute("SET GLOBAL offline_mode = 0").await,
            Trouble::Stopped => self.server.start_again().await,
            Trouble::ResourceLimit => {
                self.database.execute(&format!("ALTER USER {account} WITH MAX_QUERIES_PER_HOUR 0")).await;
                self.database.execute("FLUSH USER_RESOURCES").await;
                self.server.end_sessions().await;
            }
            Trouble::OtherPassword => {
                self.database.execute(&format!("ALTER USER {account} IDENTIFIED BY 'secret'")).await;
            }
        }
    }

    async fn set_careers(&self, career: &str) {
        for user in USERS {
            self.database.set_career(user, career).await;
        }
    }

    async fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM recommendation_state WHERE {condition}");
        self.database.number(&sql).await
    }

    /// Every trigger is served, and no failure is left on any user.
    async fn all_are_served(&self, trouble: &str, workers: &TestProcess) {
        eventually(&format!("all triggers are served after {trouble}"), || async {
            let parked = self.count("parked_at IS NOT NULL").await;
            assert_eq!(parked, 0, "users parked by {trouble}: {}", workers.log());
            self.count("requested_seq > completed_seq").await == 0
        })
        .await;
        assert_eq!(self.count("attempts > 0 OR last_error IS NOT NULL OR lease_token IS NOT NULL").await, 0);
    }
}

/// Steps of workers and requests that failed.
fn failures(process: &TestProcess) -> usize {
    let events = [
        "calculation failed",
        "a due user could not be claimed",
        "the queue cannot be read",
        "a lease could not be ended",
    ];
    events.iter().map(|event| process.events(event).len()).sum()
}

async fn post(process: &TestProcess, user: i64) -> reqwest::Response {
    let url = format!("{}/api/job-agent/recommendations/calculate/{user}", process.address);
    reqwest::Client::new().post(url).send().await.unwrap()
}

async fn acknowledged_triggers_outlast_a_server_in_trouble(kind: Kind) {
    let mut deployment = Deployment::new(kind, PrivateServer::start(kind).await).await;
    let front = TestApp::start_with(config(&deployment.database, &WITHOUT_WORKERS)).await;
    let mut workers = TestProcess::begin(&deployment.url, &SETTINGS);
    workers.listens().await;
    let troubles = [
        (Trouble::ReadOnly, "간호사"),
        (Trouble::Offline, "회계 담당자"),
        (Trouble::ResourceLimit, "간호사"),
        (Trouble::OtherPassword, "회계 담당자"),
        (Trouble::Stopped, "간호사"),
    ];
    for (trouble, career) in troubles {
        if trouble == Trouble::Offline && kind == Kind::Mariadb {
            continue; // MariaDB has no such mode.
        }
        deployment.set_careers(career).await;
        // The triggers are acknowledged, and none is served before the trouble begins.
        workers.signal("STOP");
        for user in USERS {
            assert_eq!(front.calculate_in_background(user).await.status, 202);
        }
        deployment.begin(trouble).await;
        let known = workers.events("database in trouble").len();
        let before = failures(&workers);
        workers.signal("CONT");
        let mut starting = TestProcess::begin(&deployment.url, &WITHOUT_WORKERS);
        eventually("workers and callers fail often", || async {
            let answer = post(&workers, USERS.start).await;
            let status = answer.status().as_u16();
            assert!(answer.headers().contains_key("retry-after") || status == 200, "{trouble:?}: {answer:?}");
            assert!([200, 503].contains(&status), "{trouble:?}: {answer:?}");
            failures(&workers) >= before + 20
        })
        .await;
        eventually("a start waits", || async { !starting.events("waiting for the database").is_empty() })
            .await;
        deployment.end(trouble).await;
        deployment.all_are_served(&format!("{trouble:?}"), &workers).await;
        starting.listens().await;
        starting.kill();
        let told = workers.events("database in trouble").len() - known;
        assert!((1..=3).contains(&told), "{trouble:?} was told {told} times: {}", workers.log());
        assert!(!workers.events("database available again").is_empty());
    }
}

async fn acknowledged_triggers_outlast_a_full_disk(kind: Kind, test: &str) {
    let Some(server) = PrivateServer::start_on_disk(kind, 320).await else {
        return report_skipped(test, "this user may not mount a disk to fill");
    };
    let mut deployment = Deployment::new(kind, server).await;
    let front = TestApp::start_with(config(&deployment.database, &WITHOUT_WORKERS)).await;
    let mut workers = TestProcess::begin(&deployment.url, &SETTINGS);
    workers.listens().await;
    // Users have rows in the queue, and no list.
    deployment.set_careers("없는 직업").await;
    for user in USERS {
        assert_eq!(front.calculate_in_background(user).await.status, 202);
    }
    deployment.all_are_served("the first run", &workers).await;
    deployment.set_careers("백엔드 개발자").await;
    workers.signal("STOP");
    for user in USERS {
        assert_eq!(front.calculate_in_background(user).await.status, 202);
    }
    let filler = deployment.server.fill_disk();
    fill_table(&deployment.database).await;
    let before = failures(&workers);
    workers.signal("CONT");
    eventually("the trouble is known", || async { !workers.events("database in trouble").is_empty() }).await;
    eventually("workers and callers fail often", || async {
        let answer = post(&workers, USERS.start).await;
        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
        failures(&workers) >= before + 60
    })
    .await;

    let freed = Instant::now();
    drop(filler);
    if !deployment.server.is_running() {
        // MariaDB ends itself when it finds no room for a rollback.
        deployment.server.start_again().await;
    }
    deployment.all_are_served("a full disk", &workers).await;
    println!("{kind:?}: served {:?} after there was room", freed.elapsed());
    assert!(!workers.events("database available again").is_empty());
}

/// Takes the room that the table of the lists has already.
async fn fill_table(database: &TestDatabase) {
    let mut listing = 1_000_000;
    for size in [4_000, 200] {
        loop {
            listing += 1;
            let row = format!(
                "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, match_reason, calculated_at) \
                 VALUES (1, {listing}, 1, REPEAT('x', {size}), NOW())"
            );
            if database.try_execute(&row).await.is_err() {
                break;
            }
        }
    }
}

async fn connections_to_a_primary_that_is_read_only_now_are_given_up(kind: Kind) {
    let new = TestDatabase::create(kind).await;
    let server = PrivateServer::start(kind).await;
    let old = TestDatabase::create_on(kind, &server.url, new.name()).await;
    let (url, _) = (old.add_account().await, new.add_account().await);
    let (login, target) = url.split_once('@').unwrap();
    let (target, _) = target.split_once('/').unwrap();
    let forwarder = Forwarder::start(target).await;
    for database in [&old, &new] {
        for user in [USER, OTHER_USER] {
            database.set_career(user, "간호사").await;
        }
    }
    let url = format!("{login}@127.0.0.1:{}/{}", forwarder.port, new.name());
    let app = TestApp::start_with(config(&old, &[("DATABASE_URL", &url)])).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");

    old.execute("SET GLOBAL read_only = 1").await;
    let server_of_new = new.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    forwarder.switch(server_of_new);
    let switched = Instant::now();
    eventually("the service writes on the new primary", || async {
        let answer = app.calculate(USER).await;
        assert!([200, 503].contains(&answer.status.as_u16()), "{answer:?}\n{}", report().await);
        answer.status == 200
    })
    .await;
    println!("{kind:?}: served {:?} after the switch", switched.elapsed());
    assert!(new.row_count(USER).await > 0);
    assert_eq!(app.calculate_in_background(OTHER_USER).await.status, 202);
    eventually("the workers serve it there", || async { new.row_count(OTHER_USER).await > 0 }).await;
    assert_eq!(new.number("SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL").await, 0);
    // Not one of the connections that are left leads to the old primary.
    assert_eq!(app.fast(USER, "").await.body["cached"], true);
}
