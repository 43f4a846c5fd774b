//! The ratios of a report as a chart, readable on light and dark pages.

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text, Title};

use super::report::{Bound, Case, Figures, Measure, Report, Spread};
use super::table::number;

/// Pixels.
const WIDTH: f64 = 1_040.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 320.0;
const TOP: f64 = 72.0;
const ROW: f64 = 26.0;
/// A ratio beyond it is cut off; its number still stands beside the bar.
const MOST: f64 = 1.5;

const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.quiet { fill: #59636e; }
.head { font-weight: 600; font-size: 15px; }
.now { fill: #0969da; }
.before { fill: #afb8c1; }
.range { stroke: #1f2328; stroke-width: 1.5; }
.wanted { stroke: #cf222e; stroke-width: 2; }
.grid { stroke: #8c959f; stroke-opacity: .35; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .now { fill: #4493f8; }
  .before { fill: #656c76; }
  .range { stroke: #e6edf3; }
  .wanted { stroke: #f85149; }
}
";

/// A row of the chart.
struct Bar<'a> {
    case: &'a Case,
    against: &'a Figures,
    ratio: Spread,
    before: Option<Spread>,
}

/// Every case in which the service is compared with another side: the one that has a target, or else the last.
pub fn svg(report: &Report, before: Option<&Report>) -> String {
    let bars: Vec<Bar<'_>> = report.cases.iter().filter_map(|case| bar(case, before)).collect();
    let height = TOP + ROW * bars.len() as f64 + 16.0;
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH as i64, height as i64))
        .set("role", "img")
        .add(Title::new("The service beside the bare work of its databases"))
        .add(Style::new(STYLE))
        .add(text(8.0, 22.0, "head", "The service beside the bare work of MySQL and Redis"))
        .add(legend(before.is_some()));
    for step in 0..=(MOST / 0.25) as usize {
        let ratio = step as f64 * 0.25;
        let line = line("grid", x(ratio), TOP - 4.0, x(ratio), height - 12.0);
        let label = text(x(ratio), TOP - 8.0, "quiet", &format!("{ratio:.2}")).set("text-anchor", "middle");
        document = document.add(line).add(label);
    }
    let rows = bars.iter().enumerate().map(|(row, bar)| bar.draw(TOP + ROW * row as f64));
    rows.fold(document, Document::add).to_string()
}

fn bar<'a>(case: &'a Case, before: Option<&Report>) -> Option<Bar<'a>> {
    // A ratio of times says the opposite.
    if case.unit == "ms" {
        return None;
    }
    let compared = || case.sides.iter().filter(|side| side.ratio.is_some());
    let has_target = |side: &&Figures| side.wanted.iter().any(|wanted| wanted.measure == Measure::Ratio);
    let against = compared().find(has_target).or_else(|| compared().next_back())?;
    let before = before.and_then(|before| before.case(case)?.side(&against.side)?.ratio);
    Some(Bar { case, against, ratio: against.ratio?, before })
}

impl Bar<'_> {
    fn draw(&self, y: f64) -> Group {
        let mut group = Group::new().add(
            text(LEFT - 10.0, y + 16.0, "", &format!("{} · {}", self.case.scenario, self.case.name))
                .set("text-anchor", "end"),
        );
        if let Some(before) = self.before {
            group = group.add(rectangle("before", y + 3.0, 18.0, before.median));
        }
        let middle = y + 12.0;
        group = group.add(rectangle("now", y + 7.0, 10.0, self.ratio.median)).add(line(
            "range",
            x(self.ratio.low),
            middle,
            x(self.ratio.high),
            middle,
        ));
        for wanted in &self.against.wanted {
            if let (Measure::Ratio, Bound::AtLeast(bound)) = (wanted.measure, wanted.bound) {
                group = group.add(line("wanted", x(bound), y + 2.0, x(bound), y + 22.0));
            }
        }
        let earlier = self.before.map_or_else(String::new, |before| format!("{:.2} → ", before.median));
        let service = &self.case.sides[0];
        let figures = format!(
            "{earlier}{:.2} of {}; {} {}",
            self.ratio.median,
            self.against.side,
            number(service.value.median),
            self.case.unit
        );
        group.add(text(WIDTH - RIGHT + 12.0, y + 16.0, "", &figures))
    }
}

fn legend(with_before: bool) -> Group {
    let before = if with_before { "wide grey bar: before; " } else { "" };
    let legend =
        format!("rates, service / other side; {before}line: range over the rounds; red mark: target",);
    Group::new().add(text(8.0, 40.0, "quiet", &legend))
}

fn x(ratio: f64) -> f64 {
    (LEFT + ratio.clamp(0.0, MOST) / MOST * (WIDTH - LEFT - RIGHT)).round()
}

fn rectangle(class: &str, y: f64, height: f64, ratio: f64) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", x(0.0))
        .set("y", y)
        .set("width", x(ratio) - x(0.0))
        .set("height", height)
        .set("rx", 2)
}

fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Line {
    Line::new().set("class", class).set("x1", x1).set("y1", y1).set("x2", x2).set("y2", y2)
}

fn text(x: f64, y: f64, class: &str, content: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("class", class)
}
