//! The tables of docs/scale.md.

use std::fmt::Write;

use crate::batch::{Figures, simulate};
use crate::measured::{Change, Measured};
use crate::plan::{Plan, Processors};

/// The seed of the tables in docs/scale.md.
pub const SEED: u64 = 1;

/// Rates of one processor of the database server.
pub fn processors(measured: &Measured) -> String {
    let server = &measured.server;
    let mut table = heading(&["one processor of the server", "a second"]);
    let batch = |change| {
        let (write, _) = measured.run_ms(change);
        server.due_ms / 32.0 + server.claim_ms / 16.0 + server.snapshot_ms + write
    };
    for (what, cost) in [
        ("lists that are read (`fast`)", server.fast_ms),
        ("calculations that find the list current", server.snapshot_ms + server.confirm_ms),
        ("calculations that change a tenth of the list", server.snapshot_ms + server.replace_tenth_ms),
        ("users of a batch, lists current", batch(Change::Nothing)),
        ("users of a batch, a tenth of each list changes", batch(Change::Tenth)),
        ("users of a batch, whole lists change", batch(Change::All)),
        ("refreshes of one million listings", server.refresh_million_ms),
    ] {
        let rate = 1e3 / cost;
        let rate = if rate < 10.0 { format!("{rate:.1}") } else { thousands(rate) };
        row(&mut table, &[what.to_owned(), rate]);
    }
    table
}

/// The simulation beside batches that were measured.
pub fn points(measured: &Measured, seed: u64) -> String {
    let columns =
        ["batch", "measured, users/s", "simulated", "error", "users a claim, measured", "simulated"];
    let mut table = heading(&columns);
    for point in &measured.points {
        let plan = Plan::of_point(point, measured);
        let figures = simulate(&plan, measured, seed);
        let error = 100.0 * (figures.users_per_second / point.users_per_second - 1.0);
        let cells = [
            plan.name,
            thousands(point.users_per_second),
            thousands(figures.users_per_second),
            format!("{error:+.0} %"),
            format!("{:.1}", point.users_per_claim),
            format!("{:.1}", figures.claimed),
        ];
        row(&mut table, &cells);
    }
    table
}

/// The simulation of these deployments, several at a time.
pub fn plans(plans: &[Plan], measured: &Measured, seed: u64) -> String {
    let mut table = heading(&[
        "batch of ten million users",
        "instances × workers",
        "server",
        "takes",
        "users/s",
        "commits/s (syncs/s)",
        "busy: server, instances, log",
        "users a claim",
        "calculation p50 / p99",
    ]);
    let figures = std::thread::scope(|scope| {
        let simulations: Vec<_> =
            plans.iter().map(|plan| scope.spawn(|| simulate(plan, measured, seed))).collect();
        let ended = simulations.into_iter().map(|simulation| simulation.join());
        ended.collect::<Result<Vec<_>, _>>().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    for (plan, figures) in plans.iter().zip(figures) {
        row(&mut table, &of_plan(plan, &figures));
    }
    table
}

fn of_plan(plan: &Plan, figures: &Figures) -> [String; 9] {
    let percent = |share: f64| format!("{:.0}", 100.0 * share);
    let minutes = figures.seconds / 60.0;
    let server = match plan.processors {
        Processors::Shared(server) | Processors::Apart { server, .. } => server,
    };
    [
        plan.name.clone(),
        format!("{} × {}", plan.instances, plan.workers),
        format!("{server} processors"),
        if minutes < 120.0 { format!("{minutes:.0} min") } else { format!("{:.1} h", minutes / 60.0) },
        thousands(figures.users_per_second),
        format!("{} ({})", thousands(figures.commits_per_second), thousands(figures.syncs_per_second)),
        format!("{}, {}, {} %", percent(figures.server), percent(figures.instances), percent(figures.log)),
        format!("{:.1}", figures.claimed),
        format!("{:.1} / {:.0} ms", figures.p50_ms, figures.p99_ms),
    ]
}

fn heading(columns: &[&str]) -> String {
    let mut table = String::new();
    row(&mut table, &columns.iter().map(ToString::to_string).collect::<Vec<_>>());
    let rules: Vec<String> =
        columns.iter().enumerate().map(|(nth, _)| if nth == 0 { "---" } else { "---:" }.to_owned()).collect();
    table + &format!("|{}|\n", rules.join("|"))
}

fn row(table: &mut String, cells: &[String]) {
    // Writing to a String does not fail.
    _ = writeln!(table, "| {} |", cells.join(" | "));
}

/// `12,345`.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    grouped.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: &str = include_str!("../../docs/scale.md");

    #[test]
    fn the_document_has_the_tables_of_costs_and_errors_and_the_row_of_a_shard() {
        let measured = Measured::read().expect("measured.json has the right form");
        let mut shard = Plan::ten_million();
        shard.retain(|plan| plan.name.contains("shard"));
        let shard = plans(&shard, &measured, SEED);
        let row = shard.lines().last().expect("a table has rows");
        for part in [&processors(&measured), &points(&measured, SEED), row] {
            assert!(SCALE.contains(part), "docs/scale.md lacks this:\n{part}");
        }
    }

    #[test]
    #[ignore = "takes a minute"]
    fn the_document_has_the_table_of_batches() {
        let measured = Measured::read().expect("measured.json has the right form");
        let table = plans(&Plan::ten_million(), &measured, SEED);
        assert!(SCALE.contains(&table), "docs/scale.md lacks this table:\n{table}");
    }

    #[test]
    fn the_same_seed_gives_the_same_batch() {
        let measured = Measured::read().expect("measured.json has the right form");
        let plan = Plan { users: 20_000, ..Plan::ten_million().remove(1) };
        let seconds = |seed| simulate(&plan, &measured, seed).seconds;
        assert!(seconds(1) == seconds(1) && seconds(1) != seconds(2));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([7.0, 999.6, 1_234_567.0].map(thousands), ["7", "1,000", "1,234,567"]);
    }
}
