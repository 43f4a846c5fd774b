//! A bare handler for `fast`: axum, one SELECT with the join, and the same rows as JSON. It runs in a process of its own,
//! like the service.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use hyper::Method;
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::mysql::MySqlPool;
use sqlx_macros::FromRow;

use super::bare::pool;
use super::client::Client;
use super::load::Caller;
use super::stage::Link;

/// A process that serves the handler, killed when it is dropped.
pub struct Handler {
    pub address: String,
    child: Child,
}

impl Handler {
    /// Starts this program again, as a server.
    pub fn start(link: &Link) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--serve-handler", &link.mysql, &link.connections.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("piped");
        std::io::BufReader::new(stdout).read_line(&mut address).expect("an address");
        Self { address: address.trim().to_owned(), child }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until the process is killed; writes its address to standard output.
pub async fn serve(url: &str, connections: u32) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new().route("/fast/{user}", get(fast)).with_state(pool(url, connections));
    axum::serve(listener, router).await.expect("served");
}

const LIST: &str = r"
SELECT r.calculated_at, CAST(r.job_listing_id AS SIGNED) AS id, CAST(r.match_score AS DOUBLE) AS match_score,
       r.match_reason, CAST(r.recommendation_data AS CHAR) AS data, l.title, l.company, l.location, l.url,
       LEFT(l.description, 300) AS description, l.site_name, l.tech_stack, l.required_skills, l.experience
FROM user_job_recommendations AS r
JOIN job_listings AS l ON l.id = r.job_listing_id
WHERE r.user_id = ?
ORDER BY r.match_score DESC, r.job_listing_id DESC
LIMIT 20
";

#[derive(FromRow)]
struct ListRow {
    calculated_at: DateTime<Utc>,
    id: i64,
    match_score: f64,
    match_reason: String,
    data: String,
    title: String,
    company: String,
    location: String,
    url: String,
    description: String,
    site_name: String,
    tech_stack: String,
    required_skills: String,
    experience: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    success: bool,
    recommendations: Vec<Listing>,
    total_count: usize,
    stored_count: usize,
    cached: bool,
    calculated_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    id: i64,
    title: String,
    company: String,
    location: String,
    url: String,
    description: String,
    site_name: String,
    tech_stack: String,
    required_skills: String,
    match_score: f64,
    match_reason: String,
    experience: String,
    #[serde(flatten)]
    data: Map<String, Value>,
}

/// The rows of a user.
async fn rows(pool: &MySqlPool, user: i64) -> Vec<ListRow> {
    sqlx::query_as(LIST).bind(user).fetch_all(pool).await.expect("read")
}

async fn fast(State(pool): State<MySqlPool>, Path(user): Path<i64>) -> Json<List> {
    let rows = rows(&pool, user).await;
    Json(List {
        success: true,
        total_count: rows.len(),
        stored_count: rows.len(),
        cached: !rows.is_empty(),
        calculated_at: rows.first().map(|row| row.calculated_at),
        error: None,
        recommendations: rows.into_iter().map(listing).collect(),
    })
}

fn listing(row: ListRow) -> Listing {
    Listing {
        id: row.id,
        title: row.title,
        company: row.company,
        location: row.location,
        url: row.url,
        description: row.description,
        site_name: row.site_name,
        tech_stack: row.tech_stack,
        required_skills: row.required_skills,
        match_score: row.match_score,
        match_reason: row.match_reason,
        experience: row.experience,
        data: serde_json::from_str(&row.data).expect("an object"),
    }
}

/// A caller of the handler.
pub struct HandlerCaller(pub Client);

#[async_trait]
impl Caller for HandlerCaller {
    async fn call(&mut self, user: i64) -> bool {
        let answer = self.0.send(Method::GET, &format!("/fast/{user}")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

/// A caller of the SELECT alone, without HTTP.
pub struct SelectCaller(pub MySqlPool);

#[async_trait]
impl Caller for SelectCaller {
    async fn call(&mut self, user: i64) -> bool {
        !rows(&self.0, user).await.is_empty()
    }
}
