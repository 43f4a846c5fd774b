//! The 03:00 batch of ten million users, simulated with measured values (docs/scale.md).
//!
//! ```sh
//! cargo run --release -p job-agent-scale                        # the tables of docs/scale.md
//! cargo run --release -p job-agent-scale -- --users 100000      # batches of fewer users
//! ```
//!
//! `--seed S` (1) gives other random times. The same seed gives the same tables.
//!
//! ```text
//! measured  the values of measured.json
//! plan      the deployments that are simulated
//! batch/    a batch beside other traffic, step by step as the service does it
//! due       the users that are due
//! engine    discrete events: processors, waits, and a log with group commit
//! report    the tables
//! ```

mod batch;
mod due;
mod engine;
mod measured;
mod plan;
mod report;

use std::error::Error;

use self::measured::Measured;
use self::plan::Plan;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seed, mut users) = (report::SEED, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments
            .next()
            .ok_or("an option without a number")
            .and_then(|number| number.parse().map_err(|_| "not a number"))?;
        match argument.as_str() {
            "--seed" => seed = number,
            "--users" => users = Some(usize::try_from(number)?),
            _ => return Err("usage: job-agent-scale [--users N] [--seed S]".into()),
        }
    }
    let measured = Measured::read()?;
    let mut plans = Plan::ten_million();
    for plan in &mut plans {
        plan.users = users.unwrap_or(plan.users);
    }
    println!(
        "{}\n{}\n{}",
        report::processors(&measured),
        report::points(&measured, seed),
        report::plans(&plans, &measured, seed)
    );
    Ok(())
}
