//! Whether the instance is at the end what it was after the warm-up.

use std::process::ExitCode;

use super::load::End;
use super::samples::Sample;

/// Share of the samples that counts as the warm-up.
const WARM_UP: f64 = 0.2;
/// Growth of memory that is allowed: a share, and MiB for the steps in which an allocator grows.
const MEMORY_SHARE: f64 = 0.05;
const MEMORY_MIB: f64 = 4.0;
/// Descriptors that the last part may hold more than the first: connections of callers come and go.
const DESCRIPTORS: f64 = 10.0;
/// How much slower the last part may be than the first.
const SLOWER: f64 = 1.5;
/// Times below this many milliseconds count as equal.
const NOISE_MS: f64 = 10.0;

/// Prints every condition, and fails if one does not hold.
pub fn show(samples: &[Sample], end: &End) -> ExitCode {
    let steady = &samples[(samples.len() as f64 * WARM_UP) as usize..];
    let part = steady.len() / 4;
    if part == 0 {
        println!("too short for a verdict");
        return ExitCode::FAILURE;
    }
    let (first, last) = (&steady[..part], &steady[steady.len() - part..]);
    let of = |value: fn(&Sample) -> f64| (median(first, value), median(last, value));
    let mut all_hold = true;
    let mut check = |holds: bool, sentence: String| {
        println!("{}: {sentence}", if holds { "ok" } else { "FAILED" });
        all_hold &= holds;
    };

    let (per_hour, growth) = trend(steady, |sample| sample.memory);
    let (before, after) = of(|sample| sample.memory);
    check(
        growth <= MEMORY_SHARE * before + MEMORY_MIB,
        format!(
            "memory is flat: {before:.1} MiB, {after:.1} MiB at the end, a trend of {per_hour:+.1} MiB/h"
        ),
    );
    let (before, after) = of(|sample| sample.descriptors);
    check(after <= before + DESCRIPTORS, format!("no descriptor leaks: {before} and {after} at the end"));
    // The pool has as many as the load needs, which comes and goes: one that is never given back raises the least number.
    let (before, after) = (least(first, |sample| sample.database), least(last, |sample| sample.database));
    check(
        after <= before + 1.0,
        format!("no connection to MySQL leaks: at least {before}, and {after} at the end"),
    );
    let (before, after) = of(|sample| sample.redis);
    check(after <= before, format!("no connection to Redis leaks: {before} and {after} at the end"));
    let (before, after) = of(|sample| sample.p99);
    check(
        after <= (SLOWER * before).max(NOISE_MS),
        format!("p99 is stable: {before:.1} ms and {after:.1} ms at the end"),
    );
    check(end.failed == 0, format!("no request has failed: {} of {}", end.failed, end.requests));
    check(end.left_over == 0, format!("all triggers are served: {} wait", end.left_over));
    let (p50, processors) = (median(steady, |sample| sample.p50), median(steady, |sample| sample.processors));
    println!("median of p50 {p50:.1} ms; {processors:.2} processors");
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn median(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(value).fold(f64::INFINITY, f64::min)
}

/// The line of least squares: its slope in units per hour, and its growth over all samples.
fn trend(samples: &[Sample], value: fn(&Sample) -> f64) -> (f64, f64) {
    let count = samples.len() as f64;
    let x_mean = samples.iter().map(|sample| sample.seconds).sum::<f64>() / count;
    let y_mean = samples.iter().map(value).sum::<f64>() / count;
    let covariance: f64 =
        samples.iter().map(|sample| (sample.seconds - x_mean) * (value(sample) - y_mean)).sum();
    let variance: f64 = samples.iter().map(|sample| (sample.seconds - x_mean).powi(2)).sum();
    let slope = covariance / variance;
    let seconds = samples[samples.len() - 1].seconds - samples[0].seconds;
    (3_600.0 * slope, slope * seconds)
}
