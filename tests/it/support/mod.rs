//! Fresh databases, private Redis servers, and the service on port 0.

mod app;
mod database;
mod process;
pub mod raw;
mod redis_server;

use std::time::{Duration, Instant};

pub use app::{TestApp, config};
pub use database::{Kind, TestDatabase};
pub use process::{TestProcess, command};
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
                    if let Some(database) = $crate::support::TestDatabase::create(kind).await {
                        super::$test(database).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use {on_database, on_every_database, on_servers};

/// Polls until the condition holds; panics after 20 s.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "did not happen within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a transaction of the server waits for a row. InnoDB refreshes this table only if nobody has
/// read it for 100 ms.
pub async fn a_transaction_waits(database: &TestDatabase) {
    let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    eventually("a transaction waits for a row", || async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        database.number(waits).await > 0
    })
    .await;
}

/// A required variable of the environment that `scripts/test` sets up.
fn server_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with scripts/test, which installs and starts the servers")
    })
}
