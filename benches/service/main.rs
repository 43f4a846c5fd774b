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
#[expect(dead_code, reason = "other benches use the rest")]
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
        scenarios::ALL.iter().for_each(|(name, what)| println!("{name:<16} {what}"));
        return;
    }
    let before = arguments.before.as_deref().map(Report::read);
    let earlier = arguments.from.iter().map(|file| Report::read(file)).reduce(Report::add);
    let report = match earlier {
        Some(report) => report,
        None => measure(&arguments).await,
    };
    println!("{}", table::text(&report, before.as_ref()));
    if let Some(file) = &arguments.json {
        report.write(file);
    }
    if let Some(file) = &arguments.chart {
        std::fs::write(file, chart::svg(&report, before.as_ref()) + "\n").expect("written");
    }
    assert_eq!(report.failed(), 0, "calls were not answered as they should be");
}

async fn measure(arguments: &Arguments) -> Report {
    let wanted = scenarios::wanted(&arguments.scenarios);
    let stage = Stage::create(arguments.options(), &wanted).await;
    let mut report = Report { about: about::about(&stage).await, cases: Vec::new() };
    for name in wanted {
        stage::say(&format!("bench: {name}\n"));
        let mut cases = scenarios::measure(&stage, name).await;
        if arguments.quick {
            // Neither the data nor the build are those that the targets are for.
            cases.iter_mut().flat_map(|case| &mut case.sides).for_each(|side| side.wanted.clear());
        }
        cases.iter().for_each(|case| stage::say(&table::rows(case, None)));
        report.cases.extend(cases);
    }
    report
}
