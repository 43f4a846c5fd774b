//! A soak: one instance of the real binary under a mixed load at a fixed rate, for minutes or hours. At the end, memory,
//! connections and response times must be what they were at the beginning. `scripts/soak` runs it.

#[path = "../support/cluster.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod cluster;
#[path = "../support/database.rs"]
mod database;
#[path = "../support/instance.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod instance;
#[path = "../support/listings.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod listings;

mod chart;
mod load;
mod samples;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use cluster::Cluster;
use load::Load;
use samples::{Sample, Sampler};

/// Callers at the same time while the maximum is measured.
const CALLERS: usize = 32;

/// Puts a mixed load on one instance and watches it.
#[derive(Parser)]
struct Options {
    /// Minutes of load; the first fifth is the warm-up.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Requests per second. By default half of the maximum, which is measured first.
    #[arg(long)]
    rate: Option<f64>,
    /// Job listings.
    #[arg(long, default_value_t = 20_000)]
    listings: i64,
    /// Users.
    #[arg(long, default_value_t = 2_000)]
    users: i64,
    /// The folder for the samples (CSV) and the chart (SVG).
    #[arg(long, default_value = "target/soak")]
    folder: PathBuf,
    /// The name of both files, without their ends.
    #[arg(long, default_value = "soak")]
    name: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let cluster = Arc::new(Cluster::create(options.listings, options.users).await);
    let instance = cluster.start(1, &[("CATALOGUE_REFRESH_SECS", "10")]).await.remove(0);
    let first = cluster.trigger(&instance).await;
    cluster.finished(&instance, first).await;
    let load = Load::new(cluster.clone(), &instance);
    let rate = match options.rate {
        Some(rate) => rate,
        None => {
            // The first seconds open connections and fill caches.
            load.maximum(CALLERS, Duration::from_secs(5)).await;
            let maximum = load.maximum(CALLERS, Duration::from_secs(30)).await;
            println!("at most {maximum:.0} requests/s ({CALLERS} callers, 30 s)");
            (maximum / 2.0).round()
        }
    };
    load.take_window();
    println!("{rate} requests/s for {} min", options.minutes);

    let time = Duration::from_secs(60 * options.minutes);
    let sampler = Sampler::new(cluster.clone(), &instance).await;
    let mut samples = Vec::new();
    let end = {
        let mut running = std::pin::pin!(load.run(&instance, rate, time));
        loop {
            tokio::select! {
                end = &mut running => break end,
                sample = sampler.next(&load, time) => if !load.is_over() { samples.push(sample) },
            }
        }
    };
    println!("{} requests, {} failed; {} batches", end.requests, end.failed, end.batches);
    write(&options, rate, &samples);
    verdict::show(&samples, &end)
}

/// The samples and the chart.
fn write(options: &Options, rate: f64, samples: &[Sample]) {
    std::fs::create_dir_all(&options.folder).expect("a folder");
    let title = format!(
        "{} min at {rate} requests/s, {} listings, {} users",
        options.minutes, options.listings, options.users
    );
    let csv = options.folder.join(format!("{}.csv", options.name));
    std::fs::write(&csv, samples::csv(samples)).expect("written");
    let svg = options.folder.join(format!("{}.svg", options.name));
    std::fs::write(&svg, chart::draw(&title, samples)).expect("written");
    println!("{}, {}", csv.display(), svg.display());
}
