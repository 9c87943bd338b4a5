//! The table of figures, and the arithmetic behind it.

use std::time::Duration;

/// Figures as they come in.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<[String; 4]>,
}

impl Figures {
    /// Takes a figure, and shows it at once: a run is long.
    pub fn add(&mut self, what: &str, ours: String, floor: &str, aim: &str) {
        println!("{what}: {ours}  (floor: {floor}; aim: {aim})");
        self.rows.push([what.to_owned(), ours, floor.to_owned(), aim.to_owned()]);
    }

    pub fn print(&self) {
        println!("\n| figure | measured | floor | aim |\n|---|---|---|---|");
        for [what, ours, floor, aim] in &self.rows {
            println!("| {what} | {ours} | {floor} | {aim} |");
        }
    }
}

/// Durations of one kind.
#[derive(Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        self.0.get(self.0.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {}, p99 {}", millis(self.percentile(50)), millis(self.percentile(99)))
    }
}

pub fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
