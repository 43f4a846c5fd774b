//! The scenarios, by name.

mod calculate;

use super::report::Case;
use super::stage::Stage;
use super::users::Change;

/// The names, as on the command line, and what they measure.
pub const ALL: &[(&str, &str)] = &[
    ("all", "runs whose whole list changes: 1, 8 and 32 callers, and at a fixed rate"),
    ("tenth", "runs that change a tenth of the list"),
    ("nothing", "runs that find the list current"),
];

/// For the command line.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Measures one scenario.
pub async fn measure(stage: &Stage, name: &str) -> Vec<Case> {
    match name {
        "all" => calculate::measure(stage, name, Change::All).await,
        "tenth" => calculate::measure(stage, name, Change::Tenth).await,
        "nothing" => calculate::measure(stage, name, Change::Nothing).await,
        name => unreachable!("{name} is no scenario"),
    }
}
