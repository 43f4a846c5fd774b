//! The report as a table in Markdown.

use std::fmt::Write as _;

use super::report::{Bound, Case, Figures, Measure, Report, Spread, Wanted};

const HEAD: &str = "\
| scenario | case | side | median (range) | p50 / p99 ms | MySQL round trips | KB to / from it | Redis round trips \
| service / side (range) | wanted | before |
|---|---|---|---:|---:|---:|---:|---:|---:|---|---|
";

/// The whole report; `before` is an older one.
pub fn text(report: &Report, before: Option<&Report>) -> String {
    let mut text = String::new();
    for (name, value) in &report.about {
        let _ = writeln!(text, "{name}: {value}");
    }
    text += "\n";
    text += HEAD;
    for case in &report.cases {
        text += &rows(case, before.and_then(|before| before.case(case)));
    }
    text
}

/// The rows of a case.
pub fn rows(case: &Case, before: Option<&Case>) -> String {
    let mut text = String::new();
    for (number, figures) in case.sides.iter().enumerate() {
        let [scenario, name] =
            if number == 0 { [case.scenario.as_str(), case.name.as_str()] } else { ["", ""] };
        let before = before.and_then(|before| before.side(&figures.side));
        let _ = writeln!(
            text,
            "| {scenario} | {name} | {} | {} {}{} | {} | {} | {} | {} | {} | {} | {} |",
            figures.side,
            spread(figures.value),
            case.unit,
            if figures.failed > 0 { format!(" ({} FAILED)", figures.failed) } else { String::new() },
            times(figures),
            figures.costs.map_or_else(String::new, |costs| format!("{:.1}", costs.mysql_round_trips)),
            figures.costs.map_or_else(String::new, |costs| format!(
                "{:.1} / {:.1}",
                costs.mysql_kb_received, costs.mysql_kb_sent
            )),
            figures.costs.map_or_else(String::new, |costs| format!("{:.1}", costs.redis_round_trips)),
            figures.ratio.map_or_else(String::new, ratio),
            figures.wanted.iter().map(|wanted| target(figures, wanted)).collect::<Vec<_>>().join("; "),
            before.map_or_else(String::new, |before| earlier(before, &case.unit)),
        );
    }
    text
}

fn times(figures: &Figures) -> String {
    match (figures.p50, figures.p99) {
        (Some(p50), Some(p99)) => format!("{} / {}", number(p50.median), number(p99.median)),
        _ => String::new(),
    }
}

fn earlier(figures: &Figures, unit: &str) -> String {
    let value = format!("{} {unit}", number(figures.value.median));
    figures.ratio.map_or(value.clone(), |earlier| format!("{value}, {}", ratio(earlier)))
}

fn target(figures: &Figures, wanted: &Wanted) -> String {
    let what = match wanted.measure {
        Measure::Value | Measure::Ratio => "",
        Measure::P50 => "p50 ",
        Measure::P99 => "p99 ",
        Measure::MysqlRoundTrips => "MySQL ",
        Measure::RedisRoundTrips => "Redis ",
    };
    let bound = match wanted.bound {
        Bound::AtLeast(bound) => format!("≥ {bound}"),
        Bound::AtMost(bound) => format!("≤ {bound}"),
    };
    let missed = if figures.reaches(wanted) { "" } else { " MISSED" };
    format!("{what}{bound}{missed}")
}

fn ratio(spread: Spread) -> String {
    if spread.low == spread.high {
        return format!("{:.2}", spread.median);
    }
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.low, spread.high)
}

fn spread(spread: Spread) -> String {
    if spread.low == spread.high {
        return number(spread.median);
    }
    format!("{} ({}–{})", number(spread.median), number(spread.low), number(spread.high))
}

/// Three digits that count, with thousands set apart.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => {
            let whole = value.round() as i64;
            format!("{},{:03}", whole / 1_000, whole % 1_000)
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
