//! The speed of the service beside the bare work of MySQL and Redis. `scripts/bench --help` says how to run it;
//! `CONTRIBUTING.md` how figures are made.

mod about;
mod bare;
mod client;
mod contest;
mod counters;
#[path = "../support/database.rs"]
mod database;
mod exchange;
#[path = "../support/instance.rs"]
#[expect(dead_code, reason = "the bench of batches stops and kills instances")]
mod instance;
#[path = "../support/listings.rs"]
mod listings;
mod load;
mod options;
mod report;
mod scenarios;
mod stage;
mod table;
mod users;

use clap::Parser;
use options::Arguments;
use report::Report;
use stage::Stage;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if arguments.list {
        for (name, what) in scenarios::ALL {
            println!("{name:<16} {what}");
        }
        return;
    }
    let before: Option<Report> = arguments.before.as_ref().map(|file| {
        let text = std::fs::read_to_string(file).expect("readable");
        serde_json::from_str(&text).expect("figures of this bench")
    });
    let stage = Stage::create(arguments.options()).await;
    let mut report = Report { about: about::about(&stage).await, cases: Vec::new() };
    for (name, _) in scenarios::ALL {
        let is_wanted =
            arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|wanted| wanted == name);
        if is_wanted {
            stage::eprint_step(name);
            report.cases.extend(scenarios::measure(&stage, name).await);
        }
    }
    println!("{}", table::text(&report, before.as_ref()));
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report).expect("serialisable");
        std::fs::write(file, text + "\n").expect("written");
    }
}
