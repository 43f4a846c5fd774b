//! The speed of the service beside the bare work of MySQL and Redis. `scripts/bench --help` says how to run it;
//! `CONTRIBUTING.md` how figures are made.

mod about;
mod bare;
mod chart;
mod client;
mod contest;
mod counters;
#[path = "../support/database.rs"]
mod database;
mod delay;
mod exchange;
mod handler;
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
    if let Some([database, connections]) = arguments.serve_handler.as_deref() {
        return handler::serve(database, connections.parse().expect("a number")).await;
    }
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
    let wanted: Vec<&str> = scenarios::wanted(&arguments.scenarios);
    let stage = Stage::create(arguments.options(), &wanted).await;
    let mut report = Report { about: about::about(&stage).await, cases: Vec::new() };
    for name in wanted {
        stage::say(&format!("bench: {name}\n"));
        let cases = scenarios::measure(&stage, name).await;
        cases.iter().for_each(|case| stage::say(&table::rows(case, None)));
        report.cases.extend(cases);
    }
    println!("{}", table::text(&report, before.as_ref()));
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report).expect("serialisable");
        std::fs::write(file, text + "\n").expect("written");
    }
    if let Some(file) = &arguments.chart {
        std::fs::write(file, chart::svg(&report, before.as_ref()) + "\n").expect("written");
    }
    let failed: u64 = report.cases.iter().flat_map(|case| &case.sides).map(|side| side.failed).sum();
    assert_eq!(failed, 0, "calls were not answered as they should be");
}
