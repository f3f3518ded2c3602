//! The table at the end.

use crate::scenario::{Measured, as_f64};

/// One scenario of several rounds, beside the bare loop of the same rounds.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    /// A round each.
    pub(crate) measured: &'a [Measured],
    pub(crate) bare: &'a [Measured],
    /// What the ratio to the bare loop should not exceed.
    pub(crate) goal: Option<f64>,
}

pub(crate) fn print_cpu_head() {
    println!(
        "{:<34} {:>8} {:>7} {:>6} {:>8} {:>9} {:>10} {:>10}",
        "CPU of this process, median", "µs each", "ratio", "goal", "writes", "a request", "/s of CPU", "/s reached"
    );
}

impl Row<'_> {
    pub(crate) fn print(&self) {
        let of = |figure: &dyn Fn(&Measured) -> f64| median(self.measured.iter().map(figure).collect());
        let ratios = self.measured.iter().zip(self.bare).map(|(one, bare)| one.micros() / bare.micros()).collect();
        let goal = self.goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.1}"));
        println!(
            "{:<34} {:>8.2} {:>7.2} {:>6} {:>8.2} {:>9.1} {:>10.0} {:>10.0}",
            self.name,
            of(&Measured::micros),
            median(ratios),
            goal,
            of(&|one| as_f64(one.writes) / as_f64(one.count)),
            of(&|one| as_f64(one.writes) / as_f64(one.requests)),
            of(&|one| as_f64(one.writes) * 1e6 / one.cpu_micros),
            of(&|one| as_f64(one.writes) / one.writing_seconds),
        );
    }
}

pub(crate) fn print_latency(rate: u64, measured: &[Measured]) {
    let [p50, p99] = [0, 1].map(|index| median(measured.iter().map(|one| one.latency_seconds[index] * 1e3).collect()));
    println!("offered to durable at {rate} changes/s: p50 {p50:.1} ms, p99 {p99:.1} ms");
}

pub(crate) fn print_memory(name: &str, measured: &Measured) {
    let megabytes = as_f64(measured.peak_bytes) / 1e6;
    let Measured { count, writes, writing_seconds, .. } = measured;
    println!("{name}: {megabytes:.0} MB at most ({count} in all, {writes} writes, {writing_seconds:.1} s)");
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
        _ => figures[middle],
    }
}
