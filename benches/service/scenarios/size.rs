//! How long a start takes, how much memory an instance needs, and how long a refresh takes, by the number of listings.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::database::Database;
use crate::instance::Instance;
use crate::load::{Order, Turn, closed};
use crate::report::{Bound, Case, Figures, Measure, Spread};
use crate::stage::{Link, Request, Stage, say};
use crate::users::Change;

/// From the start of the process until it is ready, and its memory then.
pub async fn start(stage: &Stage, scenario: &str) -> Vec<Case> {
    let many = many_listings(stage).await;
    let (few, lots) = (stage.options.listings, stage.options.many_listings);
    let mut cases = Vec::new();
    for (count, link, seconds) in [(few, stage.link(), 2.0), (lots, link(stage, many), 12.0)] {
        let mut times = Vec::new();
        for _ in 0..stage.options.course.rounds {
            let began = Instant::now();
            let service = stage.start(&link, &[]).await;
            assert_eq!(until_ready(&service).await, count);
            times.push(began.elapsed().as_secs_f64());
        }
        let figures = Figures::of("service", Spread::of(times)).want(Measure::Value, Bound::AtMost(seconds));
        cases.push(Case::new(scenario, format!("until ready, {count} listings"), "s", vec![figures]));
    }
    cases
}

/// The allocator gives memory that is free back within ten seconds, so that what a start leaves is gone by then.
const REST: Duration = Duration::from_secs(15);

/// Resident memory without listings, with few and many, at rest; and under load.
pub async fn memory(stage: &Stage, scenario: &str) -> Vec<Case> {
    let (none, many) = (Database::create("none").await, many_listings(stage).await);
    let few = stage.options.listings;
    let places = [
        ("at rest, no listings".to_owned(), link(stage, &none), Some(30.0)),
        (format!("at rest, {few} listings"), stage.link(), None),
        (format!("at rest, {} listings", stage.options.many_listings), link(stage, many), Some(450.0)),
    ];
    let mut cases = Vec::new();
    for (name, link, most) in places {
        let mut sizes = Vec::new();
        for _ in 0..stage.options.course.rounds {
            let service = stage.start(&link, &[]).await;
            until_ready(&service).await;
            if !stage.options.quick {
                tokio::time::sleep(REST).await;
            }
            sizes.push(resident_mb(&service));
        }
        let figures = Figures::of("service", Spread::of(sizes));
        let figures = match most {
            Some(most) => figures.want(Measure::Value, Bound::AtMost(most)),
            None => figures,
        };
        cases.push(Case::new(scenario, name, "MB", vec![figures]));
    }
    cases.push(Case::new(
        scenario,
        format!("under load, {few} listings"),
        "MB",
        vec![under_load(stage).await],
    ));
    cases
}

/// While 32 callers calculate and 256 read lists.
async fn under_load(stage: &Stage) -> Figures {
    let service = stage.start(&stage.link(), &[]).await;
    let users = stage.options.users;
    stage.settle(&service, users).await;
    let mut runs = stage.callers(&service, Request::Calculate(Change::Nothing), 32).await;
    let mut reads = stage.callers(&service, Request::Fast, 256).await;
    let time = stage.options.course.time;
    let mut sizes = Vec::new();
    for _ in 0..stage.options.course.rounds {
        let (runs_turn, reads_turn) = (Turn::new(users, Order::Apart), Turn::new(users, Order::Any));
        let look = async {
            tokio::time::sleep(time.mul_f64(0.9)).await;
            resident_mb(&service)
        };
        let (_, _, size) =
            tokio::join!(closed(&mut runs, &runs_turn, time), closed(&mut reads, &reads_turn, time), look);
        sizes.push(size);
    }
    Figures::of("service", Spread::of(sizes))
}

/// One listing in a hundred changes, scattered over all: how long the service needs to take them in.
pub async fn refresh(stage: &Stage, scenario: &str) -> Vec<Case> {
    let many = many_listings(stage).await;
    let service = stage.start(&link(stage, many), &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    until_ready(&service).await;
    let changed = stage.options.many_listings / 100;
    let mut times = Vec::new();
    for round in 0..stage.options.course.rounds {
        let seen = refreshes(&service, changed).len();
        many.execute(&format!(
            "UPDATE job_listings SET company = 'moved {round}', updated_at = UTC_TIMESTAMP(6) WHERE id % 100 = 7"
        ))
        .await;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(took) = refreshes(&service, changed).get(seen) {
                times.push(took.as_secs_f64());
                break;
            }
            assert!(Instant::now() < deadline, "the changes are not noticed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let figures = Figures::of("service", Spread::of(times)).want(Measure::Value, Bound::AtMost(0.5));
    let name = format!("{changed} of {} listings, scattered", stage.options.many_listings);
    vec![Case::new(scenario, name, "s", vec![figures])]
}

/// The times of refreshes with so many changes, by the log.
fn refreshes(service: &Instance, changed: usize) -> Vec<Duration> {
    let log = fs::read_to_string(&service.log).expect("a log");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["message"] == "catalogue refreshed" && event["changed"] == changed)
        .map(|event| duration(event["took"].as_str().expect("a duration")))
        .collect()
}

/// Reads `1.2s` or `345.6ms`.
fn duration(text: &str) -> Duration {
    let (number, unit) =
        text.strip_suffix("ms").map_or((text.trim_end_matches('s'), 1.0), |number| (number, 1e-3));
    Duration::from_secs_f64(number.parse::<f64>().expect("a number") * unit)
}

fn link(stage: &Stage, database: &Database) -> Link {
    Link { mysql: database.url.clone(), connections: 10, ..stage.link() }
}

/// The database with many listings, which is made when it is first needed.
async fn many_listings(stage: &Stage) -> &Database {
    let count = stage.options.many_listings;
    stage
        .many_listings
        .get_or_init(|| async {
            say(&format!("bench: {count} listings\n"));
            let database = Database::create("many").await;
            database.insert_listings(1, count).await;
            database
        })
        .await
}

/// Waits until the instance is ready; returns the number of its listings.
async fn until_ready(service: &Instance) -> usize {
    let mut client = Client::connect(&service.address).await;
    loop {
        let answer = client.send(hyper::Method::GET, "/health/ready").await.expect("an answer");
        if answer.status == 200 {
            let ready: Value = serde_json::from_slice(&answer.body).expect("JSON");
            return ready["listings"].as_u64().expect("a number") as usize;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Millions of bytes.
fn resident_mb(service: &Instance) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.id())).expect("Linux");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("a number") * 1_024.0 / 1e6
}
