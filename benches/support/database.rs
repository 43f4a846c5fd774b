//! Databases on a server of `scripts/with-servers`, and listings in them.

use job_agent::domain::JobListing;
use job_agent::storage::{MysqlAddress, MysqlStore, Store};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, MySql, QueryBuilder, raw_sql};

use super::listings::Generator;

/// Listings per statement.
const CHUNK: usize = 1_000;

/// A database of its own, with all tables. It goes with its server.
pub struct Database {
    pub url: String,
    pub pool: MySqlPool,
}

/// The address of a server that `scripts/with-servers` has started.
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run with scripts/with-servers"))
}

impl Database {
    /// A fresh database; `name` is unique within this process.
    pub async fn create(name: &str) -> Self {
        let name = format!("bench_{}_{name}", std::process::id());
        let url = format!("{}/{name}", server("TEST_MYSQL_URL"));
        let options: MySqlConnectOptions = url.parse().expect("a URL");
        let root = MySqlPool::connect_lazy_with(options.clone().database("mysql"));
        execute(&root, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await;
        let pool = MySqlPoolOptions::new().max_connections(4).connect_lazy_with(options);
        let database = Self { url, pool };
        let store = database.store(4);
        store.migrate().await.expect("migrated");
        store.create_source_tables().await.expect("created");
        store.close().await;
        database
    }

    /// A store of the service on this database.
    pub fn store(&self, connections: u32) -> MysqlStore {
        MysqlStore::new(&MysqlAddress::from_url(&self.url).expect("a URL"), connections)
    }

    /// Inserts the listings of a seed with the ids from 1 on, last changed over half a year.
    pub async fn insert_listings(&self, seed: u64, count: usize) {
        let mut generator = Generator::new(seed);
        let ids: Vec<i64> = (1..).take(count).collect();
        for ids in ids.chunks(CHUNK) {
            let listings: Vec<JobListing> = ids.iter().map(|id| generator.listing(*id)).collect();
            let mut insert = QueryBuilder::<MySql>::new(
                "INSERT INTO job_listings (id, site_name, job_id, title, company, description, experience, \
                 tech_stack, required_skills, location, url, crawled_at, updated_at) ",
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
                    .push_bind("서울 강남구")
                    .push_bind(format!("https://jobs.example/view/{}", listing.id))
                    .push_bind(listing.crawled_at)
                    .push_bind(listing.crawled_at);
            });
            insert.build().execute(&self.pool).await.expect("inserted");
        }
        self.execute("ANALYZE TABLE job_listings").await;
    }

    /// Executes any statements.
    pub async fn execute(&self, sql: &str) {
        execute(&self.pool, sql).await;
    }
}

async fn execute(pool: &MySqlPool, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.expect("executed");
}
