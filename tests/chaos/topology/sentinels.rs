//! Redis with Sentinel, beside any database.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::{Process, until};

pub struct Sentinels {
    servers: Vec<Process>,
    sentinels: Vec<Process>,
}

/// The name of the set.
const MASTER: &str = "job-agent";

impl Sentinels {
    /// The set that `scripts/with-servers` has started.
    pub fn take_over() -> Self {
        Self { servers: Process::all("redis"), sentinels: Process::all("sentinel") }
    }

    /// The settings of an instance.
    pub fn settings(&self) -> Vec<(String, String)> {
        let sentinels: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
        [("REDIS_SENTINELS", sentinels.join(",")), ("REDIS_SENTINEL_MASTER", MASTER.to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// The primary, as the first sentinel that answers knows it.
    pub async fn primary(&self) -> Option<SocketAddr> {
        for sentinel in &self.sentinels {
            let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
            let Some(answer) = super::super::cluster::redis_command(sentinel.address, &command).await else {
                continue;
            };
            let (host, port): (String, u16) = redis::from_redis_value(answer).ok()?;
            return format!("{host}:{port}").parse().ok();
        }
        None
    }

    /// The primary is killed or stopped, and comes back once another has taken over: for a moment, it may believe
    /// that it still is the primary.
    pub async fn change_primary(&self, rng: &mut fastrand::Rng) {
        let old = until("a Redis primary", || self.primary()).await;
        let Some(server) = self.servers.iter().find(|server| server.address == old) else { return };
        let killed = rng.bool();
        if killed {
            server.kill().await;
        } else {
            server.signal("STOP");
        }
        until("another Redis primary", || async { self.primary().await.filter(|primary| *primary != old) })
            .await;
        sleep(Duration::from_millis(rng.u64(..2_000))).await;
        if killed {
            server.start(&[]);
        } else {
            server.signal("CONT");
        }
    }
}
