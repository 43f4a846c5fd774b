//! Fresh databases, private Redis servers, and the service on port 0.

mod app;
pub mod browser;
mod database;
mod evidence;
mod forwarder;
mod old_service;
mod private_server;
mod process;
mod prometheus;
pub mod raw;
pub mod redis_group;
mod redis_server;
pub mod source;
pub mod token;

use std::io::Write;
use std::time::{Duration, Instant};

pub use app::{Answer, TestApp, config};
pub use database::{Kind, TestDatabase};
pub use evidence::report;
pub use forwarder::Forwarder;
pub use old_service::OldService;
pub use private_server::PrivateServer;
pub use process::{TestProcess, command};
pub use prometheus::Prometheus;
pub use redis_group::RedisGroup;
pub use redis_server::RedisServer;

/// Users of the tests; the sample users of the embedded database have ids below.
pub const USER: i64 = 1001;
pub const OTHER_USER: i64 = 1002;

/// Settings with which the work of a process that dies is taken over within seconds.
pub const SHORT_LEASES: [(&str, &str); 3] =
    [("RUN_TIMEOUT_SECS", "2"), ("LOCK_WAIT_SECS", "1"), ("QUEUE_LEASE_SECS", "4")];

/// Declares each test once per database: `on_every_database!(a; servers: b)` runs `a(TestDatabase)` as
/// `mysql::a`, `mariadb::a` and `sqlite::a`, and `b`, which only a server can show, on the first two.
macro_rules! on_every_database {
    ($($test:ident),* $(,)? $(; servers: $($on_servers:ident),* $(,)?)?) => {
        $crate::support::on_database!(mysql, Mysql, $($test),* $($(, $on_servers)*)?);
        $crate::support::on_database!(mariadb, Mariadb, $($test),* $($(, $on_servers)*)?);
        $crate::support::on_database!(sqlite, Sqlite, $($test),*);
    };
}

/// Declares tests for the servers alone.
macro_rules! on_servers {
    ($($test:ident),+ $(,)?) => {
        $crate::support::on_database!(mysql, Mysql, $($test),+);
        $crate::support::on_database!(mariadb, Mariadb, $($test),+);
    };
}

macro_rules! on_database {
    ($module:ident, $kind:ident, $($test:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    let kind = $crate::support::Kind::$kind;
                    if $crate::support::can_run_on(kind, concat!(module_path!(), "::", stringify!($test))) {
                        super::$test($crate::support::TestDatabase::create(kind).await).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use {on_database, on_every_database, on_servers};

/// Whether users can read the text.
pub fn is_korean(text: &str) -> bool {
    text.chars().any(|c| ('가'..='힣').contains(&c))
}

/// Polls until the condition holds. After a minute, far more than anything takes on a busy machine, it panics
/// and shows the state of the users and the last log events.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        if Instant::now() >= deadline {
            panic!("did not happen within 60 s: {what}\n{}", evidence::report().await);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a transaction of this database waits for a row.
pub async fn a_transaction_waits(database: &TestDatabase) {
    transactions_wait(database, 1).await;
}

/// Waits until so many transactions of this database wait for rows.
pub async fn transactions_wait(database: &TestDatabase, transactions: i64) {
    eventually("transactions wait for rows", || async {
        database.transactions("trx_state = 'LOCK WAIT'").await >= transactions
    })
    .await;
}

/// Whether a test has its server. If the machine has no MySQL, which `scripts/with-servers` has said, the test is
/// reported as skipped.
pub fn can_run_on(kind: Kind, test: &str) -> bool {
    if kind != Kind::Mysql || std::env::var_os("TEST_MYSQL_UNAVAILABLE").is_none() {
        return true;
    }
    report_skipped(test, "this machine has no MySQL (TEST_MYSQL_UNAVAILABLE)");
    false
}

/// Reports a test as skipped: on standard error, whatever becomes of the test's own output, and in the file that
/// `TEST_SKIPPED` names.
pub fn report_skipped(test: &str, reason: &str) {
    let test = test.split_once("::").map_or(test, |(_, test)| test);
    let line = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(list) = std::env::var_os("TEST_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}

/// A required variable of the environment that `scripts/test` sets up.
fn server_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with scripts/test, which installs and starts the servers")
    })
}
