//! Refreshes of the catalogue from a real MySQL: what the check of checksums costs, beside the rest and beside reading
//! all listings.
//!
//! ```sh
//! scripts/with-servers --only mysql cargo bench --bench refresh
//! ```
//!
//! `BENCH_LISTINGS` sets the number of listings (1,000,000). `TEST_MYSQL_ARGS="--innodb-buffer-pool-size=4G"` keeps
//! them in the server's memory. CPU times are the server's (statements) and this process's.

#[path = "support/database.rs"]
mod database;
#[path = "support/listings.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod listings;

use std::time::{Duration, Instant};

use database::Database;
use job_agent::storage::{KnownListings, ListingStore, MysqlStore, Store};
use sqlx::query_scalar;

/// Refreshes of which the median is printed.
const SAMPLES: usize = 10;

struct Bench {
    database: Database,
    store: MysqlStore,
}

#[tokio::main]
async fn main() {
    let count = std::env::var("BENCH_LISTINGS").map_or(1_000_000, |count| count.parse().expect("a number"));
    let bench = Bench::create(count).await;
    println!("{count} listings; milliseconds: wall, CPU of the server, CPU of this process");

    let mut known = KnownListings::default();
    bench.measure("all listings read", async || known = bench.read().await).await;
    for _ in 0..2 {
        bench
            .measure("all checksums compared", async || {
                let differing = bench.store.compare_checksums(&known).await.expect("compared");
                assert_eq!(differing.as_deref(), Some(&[][..]), "the server computes other checksums");
            })
            .await;
    }
    let mut walls = Vec::new();
    for _ in 0..SAMPLES {
        walls.push(
            bench.measure("a refresh without changes", async || bench.refresh(&mut known, 0).await).await,
        );
    }
    walls.sort_unstable();
    println!("{:>40} {:>8}", "their median", walls[SAMPLES / 2].as_millis());

    let changed = count / 100;
    bench
        .execute(
            "UPDATE job_listings SET company = 'moved', updated_at = UTC_TIMESTAMP(6) WHERE id % 100 = 7",
        )
        .await;
    bench.measure("1 % changed with updated_at", async || bench.refresh(&mut known, changed).await).await;
    bench
        .execute("UPDATE job_listings SET company = 'silent', updated_at = updated_at WHERE id % 100 = 9")
        .await;
    bench.measure("1 % changed without updated_at", async || bench.refresh(&mut known, changed).await).await;
    bench.execute("UPDATE job_listings SET company = 'one', updated_at = updated_at WHERE id = 1").await;
    for refresh in 1.. {
        let mut found = 0;
        bench
            .measure("one changed without updated_at", async || found = bench.changes(&mut known).await)
            .await;
        if found == 1 {
            println!("{:>40} {refresh} refreshes", "found after");
            break;
        }
    }
    bench.store.close().await;
}

impl Bench {
    async fn create(count: usize) -> Self {
        let database = Database::create("refresh").await;
        database
            .execute(
                "UPDATE performance_schema.setup_consumers SET enabled = 'YES' WHERE name = 'events_statements_cpu'",
            )
            .await;
        database.insert_listings(1, count).await;
        Self { store: database.store(4), database }
    }

    async fn read(&self) -> KnownListings {
        let read = self.store.read_catalogue(&mut |_| {}).await.expect("read");
        read.expect("no listing is written meanwhile").0
    }

    async fn refresh(&self, known: &mut KnownListings, expected: usize) {
        assert_eq!(self.changes(known).await, expected);
    }

    async fn changes(&self, known: &mut KnownListings) -> usize {
        let shown = self.store.read_catalogue_changes(known).await.expect("read");
        let found = self.store.check_listings(known).await.expect("read");
        let all = [shown, found].map(|changes| changes.expect("without reading all listings").changed.len());
        all.iter().sum()
    }

    /// Measures once, and returns the time by the clock on the wall.
    async fn measure(&self, what: &str, measured: impl AsyncFnOnce()) -> Duration {
        let (server, process) = (self.server_time().await, process_time());
        let started = Instant::now();
        measured().await;
        let wall = started.elapsed();
        let (server, process) = (self.server_time().await - server, process_time() - process);
        let [wall_ms, server, process] = [wall, server, process].map(|time| time.as_millis());
        println!("{what:>40} {wall_ms:>8} {server:>8} {process:>8}");
        wall
    }

    /// The processor time of all statements until now.
    async fn server_time(&self) -> Duration {
        let picoseconds: i64 = query_scalar(
            "SELECT CAST(SUM(sum_cpu_time) AS SIGNED) \
             FROM performance_schema.events_statements_summary_global_by_event_name",
        )
        .fetch_one(&self.database.pool)
        .await
        .expect("summed");
        Duration::from_nanos(picoseconds.unsigned_abs() / 1_000)
    }

    async fn execute(&self, statement: &str) {
        self.database.execute(statement).await;
    }
}

/// The processor time of this process, in the system's ticks of 10 ms.
fn process_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
