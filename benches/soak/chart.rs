//! The samples as a picture: four panels over one axis of minutes.

use svg::Document;
use svg::node::element::{Group, Line, Polyline, Rectangle, Text};

use super::samples::{Column, Sample};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 45.0;
const COLOURS: [&str; 3] = ["#1f6feb", "#d1242f", "#2da44e"];

/// A panel: its title, and up to three series on one axis that begins at 0.
const PANELS: [(&str, &[Column]); 4] = [
    ("resident memory, MiB", &[("memory", |sample| sample.memory)]),
    (
        "open",
        &[
            ("descriptors", |sample| sample.descriptors),
            ("connections to MySQL", |sample| sample.database),
            ("connections to Redis", |sample| sample.redis),
        ],
    ),
    ("response time, ms", &[("p50", |sample| sample.p50), ("p99", |sample| sample.p99)]),
    (
        "users who wait for a worker",
        &[("batch", |sample| sample.batch), ("real time", |sample| sample.real_time)],
    ),
];

/// An SVG file.
pub fn draw(title: &str, samples: &[Sample]) -> String {
    let height = TOP + PANELS.len() as f64 * (PANEL + GAP);
    let background = Rectangle::new().set("width", WIDTH).set("height", height).set("fill", "#ffffff");
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(background)
        .add(text(title, LEFT, 24.0, "start").set("font-size", 15));
    let minutes = samples.last().map_or(1.0, |sample| sample.seconds / 60.0);
    for (number, (title, series)) in PANELS.iter().enumerate() {
        let top = TOP + number as f64 * (PANEL + GAP) + 15.0;
        document = document.add(panel(title, series, samples, top, minutes));
    }
    format!("{document}\n")
}

fn panel(title: &str, series: &[Column], samples: &[Sample], top: f64, minutes: f64) -> Group {
    let highest = series.iter().flat_map(|(_, value)| samples.iter().map(value)).fold(0.0, f64::max);
    let highest = round_up(highest);
    let bottom = top + PANEL;
    let x = |sample: &Sample| LEFT + (WIDTH - LEFT - RIGHT) * sample.seconds / 60.0 / minutes;
    let y = |value: f64| bottom - PANEL * value / highest;
    let mut group = Group::new().add(text(title, LEFT, top - 6.0, "start"));
    for part in [0.0, 0.5, 1.0] {
        let height = y(part * highest);
        group = group.add(line((LEFT, height), (WIDTH - RIGHT, height))).add(text(
            &format!("{}", part * highest),
            LEFT - 6.0,
            height + 4.0,
            "end",
        ));
    }
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let place = LEFT + (WIDTH - LEFT - RIGHT) * part;
        let label = format!("{:.1} min", minutes * part);
        group = group.add(text(&label, place, bottom + 16.0, if part < 1.0 { "middle" } else { "end" }));
    }
    for (number, (name, value)) in series.iter().enumerate() {
        let points: Vec<String> =
            samples.iter().map(|sample| format!("{:.1},{:.1}", x(sample), y(value(sample)))).collect();
        let points = Polyline::new()
            .set("points", points.join(" "))
            .set("fill", "none")
            .set("stroke", COLOURS[number])
            .set("stroke-width", 1.5);
        let place = WIDTH - RIGHT - 150.0 * (series.len() - 1 - number) as f64;
        group = group.add(points).add(text(name, place, top - 6.0, "end").set("fill", COLOURS[number]));
    }
    group
}

/// 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|round| *round >= value).unwrap_or(power)
}

fn line(from: (f64, f64), to: (f64, f64)) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
        .set("stroke", "#d0d7de")
        .set("stroke-width", 1)
}

fn text(content: &str, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor.to_owned()).set("fill", "#1f2328")
}
