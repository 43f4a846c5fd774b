//! How much work a run is for the servers, by their own counters.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Row, raw_sql};

/// The counters of MySQL and Redis.
pub struct Servers {
    pub mysql: MySqlPool,
    pub redis: MultiplexedConnection,
}

/// The counters at a moment.
#[derive(Clone, Copy, Default)]
pub struct Reading {
    statements: f64,
    prepared: f64,
    received: f64,
    sent: f64,
    commands: f64,
}

/// The work of a run, on average.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Costs {
    /// Statements and prepares that MySQL has answered: each is a round trip.
    pub mysql_round_trips: f64,
    /// KB that MySQL has received.
    pub mysql_kb_received: f64,
    /// KB that MySQL has sent.
    pub mysql_kb_sent: f64,
    /// Commands and scripts that Redis has answered: each is a round trip.
    pub redis_round_trips: f64,
}

const STATUS: &str = "SHOW GLOBAL STATUS WHERE variable_name IN \
    ('Questions', 'Com_stmt_prepare', 'Com_stmt_reprepare', 'Bytes_received', 'Bytes_sent')";

impl Servers {
    /// Reads all counters.
    pub async fn read(&self) -> Reading {
        let mut connection = self.mysql.acquire().await.expect("connected");
        let status = status(&mut connection).await;
        Reading {
            statements: status["Questions"],
            prepared: status["Com_stmt_prepare"],
            received: status["Bytes_received"],
            sent: status["Bytes_sent"],
            commands: self.commands().await,
        }
    }

    /// Commands that clients have sent. Those that the scripts of a release call are counted by Redis as well, and left
    /// out here: a GET for each script, and a DEL and a PUBLISH for each release.
    async fn commands(&self) -> f64 {
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(&mut self.redis.clone())
            .await
            .expect("Redis answers");
        let mut calls = HashMap::<&str, f64>::new();
        for line in info.lines() {
            let Some((name, figures)) = line.split_once(":calls=") else { continue };
            let count = figures.split(',').next().and_then(|count| count.parse().ok());
            calls.insert(name.trim_start_matches("cmdstat_"), count.unwrap_or_default());
        }
        let of = |name: &str| calls.get(name).copied().unwrap_or_default();
        let scripts = of("eval") + of("evalsha");
        calls.values().sum::<f64>() - of("info") - scripts - 2.0 * of("del")
    }
}

async fn status(connection: &mut MySqlConnection) -> HashMap<String, f64> {
    let rows = raw_sql(STATUS).fetch_all(connection).await.expect("readable");
    rows.iter()
        .map(|row| (row.get::<String, _>(0), row.get::<String, _>(1).parse().expect("a number")))
        .collect()
}

impl Reading {
    /// The work since an earlier reading, for each of `runs`.
    pub fn since(self, earlier: Self, runs: u64) -> Costs {
        let runs = runs.max(1) as f64;
        // One of the two readings is counted itself.
        let statements = self.statements - earlier.statements - 1.0;
        Costs {
            mysql_round_trips: (statements + self.prepared - earlier.prepared) / runs,
            mysql_kb_received: (self.received - earlier.received) / 1_000.0 / runs,
            mysql_kb_sent: (self.sent - earlier.sent) / 1_000.0 / runs,
            redis_round_trips: (self.commands - earlier.commands) / runs,
        }
    }
}
