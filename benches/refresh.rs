//! Refreshes of the catalogue from a real MySQL: what the check of checksums costs, beside the rest and beside reading
//! all listings.
//!
//! ```sh
//! scripts/with-servers --only mysql cargo bench --bench refresh
//! ```
//!
//! `BENCH_LISTINGS` sets the number of listings (1,000,000). `TEST_MYSQL_ARGS="--innodb-buffer-pool-size=4G"` keeps
//! them in the server's memory. CPU times are the server's (statements) and this process's.

#[path = "support/listings.rs"]
#[expect(dead_code, reason = "the bench of the ranking uses the rest")]
mod listings;

use std::time::{Duration, Instant};

use job_agent::domain::JobListing;
use job_agent::storage::{KnownListings, ListingStore, MysqlAddress, MysqlStore, Store};
use listings::Generator;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool};
use sqlx::{AssertSqlSafe, MySql, QueryBuilder, query, query_scalar};

/// Listings per statement.
const CHUNK: usize = 1_000;
/// Refreshes of which the median is printed.
const SAMPLES: usize = 10;

struct Bench {
    pool: MySqlPool,
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
    bench.drop().await;
}

impl Bench {
    async fn create(count: usize) -> Self {
        let server = std::env::var("TEST_MYSQL_URL").expect("run with scripts/with-servers");
        let name = format!("bench_{}", std::process::id());
        let url = format!("{server}/{name}");
        let options: MySqlConnectOptions = url.parse().expect("a URL");
        let root = MySqlPool::connect_lazy_with(options.clone().database("mysql"));
        execute(&root, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await;
        execute(
            &root,
            "UPDATE performance_schema.setup_consumers SET enabled = 'YES' WHERE name = 'events_statements_cpu'",
        )
        .await;
        let store = MysqlStore::new(&MysqlAddress::from_url(&url).expect("a URL"), 4);
        store.migrate().await.expect("migrated");
        store.create_source_tables().await.expect("created");
        let bench = Self { pool: MySqlPool::connect_lazy_with(options), store };
        bench.insert(count).await;
        bench
    }

    /// The listings, last changed over half a year.
    async fn insert(&self, count: usize) {
        let mut generator = Generator::new(1);
        let ids: Vec<i64> = (1..).take(count).collect();
        for ids in ids.chunks(CHUNK) {
            let listings: Vec<JobListing> = ids.iter().map(|id| generator.listing(*id)).collect();
            let mut insert = QueryBuilder::<MySql>::new(
                "INSERT INTO job_listings (id, site_name, job_id, title, company, description, experience, \
                 tech_stack, required_skills, crawled_at, updated_at) ",
            );
            insert.push_values(listings, |mut row, listing| {
                row.push_bind(listing.id.0)
                    .push_bind("bench")
                    .push_bind(listing.id.0.to_string())
                    .push_bind(listing.title)
                    .push_bind(listing.company)
                    .push_bind(listing.description)
                    .push_bind(listing.experience)
                    .push_bind(listing.tech_stack)
                    .push_bind(listing.required_skills)
                    .push_bind(listing.crawled_at)
                    .push_bind(listing.crawled_at);
            });
            insert.build().execute(&self.pool).await.expect("inserted");
        }
        execute(&self.pool, "ANALYZE TABLE job_listings").await;
    }

    async fn read(&self) -> KnownListings {
        let read = self.store.read_catalogue(&mut |_| {}).await.expect("read");
        read.expect("no listing is written meanwhile").0
    }

    async fn refresh(&self, known: &mut KnownListings, expected: usize) {
        assert_eq!(self.changes(known).await, expected);
    }

    async fn changes(&self, known: &mut KnownListings) -> usize {
        let changes = self.store.read_catalogue_changes(known).await.expect("read");
        changes.expect("without reading all listings").changed.len()
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
        .fetch_one(&self.pool)
        .await
        .expect("summed");
        Duration::from_nanos(picoseconds.unsigned_abs() / 1_000)
    }

    async fn execute(&self, statement: &str) {
        execute(&self.pool, statement).await;
    }

    async fn drop(self) {
        self.store.close().await;
        execute(&self.pool, &format!("DROP DATABASE bench_{}", std::process::id())).await;
    }
}

async fn execute(pool: &MySqlPool, statement: &str) {
    query(AssertSqlSafe(statement.to_owned())).execute(pool).await.expect("executed");
}

/// The processor time of this process, in the system's ticks of 10 ms.
fn process_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
