//! What is measured. Each metric is declared here once: its name with its unit, its labels, its help and its row of
//! the reference page.

use std::sync::LazyLock;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// A metric.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    /// The label that tells its series apart; empty for a metric with one series.
    pub label: &'static str,
    pub help: &'static str,
}

#[derive(Debug)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// From 100 µs, a commit on a fast disk, to 10 s, where callers give up.
const SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Up to the most transactions of a batch.
const TRANSACTIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

macro_rules! metrics {
    ($($constant:ident = $kind:expr, $name:literal, $label:literal, $help:literal;)+) => {
        $(pub const $constant: Metric = Metric { name: $name, kind: $kind, label: $label, help: $help };)+
        /// All metrics, in the order of the reference page.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

use MetricKind::{Counter, Gauge, Histogram};

metrics! {
    ITEMS = Gauge, "sprint_items", "stage", "Items by stage";
    OLDEST_ITEM = Gauge, "sprint_oldest_ready_item_age_seconds", "", "The time for which the oldest ready item has been ready; 0 when none is";
    CHANGES = Gauge, "sprint_changes", "state", "Changes by state";
    QUEUE = Gauge, "sprint_merge_queue_changes", "repo", "Changes in the merge queue of a repo";
    OLDEST_CHANGE = Gauge, "sprint_oldest_queued_change_age_seconds", "", "The time since the oldest change in a merge queue was queued; 0 when all queues are empty";
    WORKERS = Gauge, "sprint_workers", "state", "Workers by state";
    OUTPOSTS = Gauge, "sprint_outposts", "state", "Outposts by state";
    EVENTS = Counter, "sprint_events_total", "kind", "Events committed since the start: each transition of an item, worker, change, trial or outpost is one. A landing is `change_landed`; the results of gates are `trial_gate_passed`, `trial_gate_failed`, `trial_gate_excused` and `trial_gate_lost`";
    COMMIT = Histogram(SECONDS), "sprint_commit_duration_seconds", "result", "The time to commit a batch of transactions to the database, fsync included";
    BATCH = Histogram(TRANSACTIONS), "sprint_commit_batch_transactions", "", "Transactions that share a commit";
    LOG_BYTES = Counter, "sprint_log_bytes_total", "", "Bytes of workers' terminals that were received and written";
    CALLS = Histogram(SECONDS), "sprint_call_duration_seconds", "method", "The time from a call to its answer, or to the beginning of the answer where that is a stream";
    PASSES = Counter, "sprint_loop_passes_total", "loop", "Passes of a loop";
    FAILURES = Counter, "sprint_loop_failures_total", "loop", "Passes of a loop that ended with an error";
    PASS = Gauge, "sprint_loop_last_pass_duration_seconds", "loop", "The duration of a loop's last pass";
    RUNNING = Gauge, "sprint_loop_running_seconds", "loop", "The time since a loop's pass under way began; 0 between two passes";
}

/// The recorder of this process; several coordinators in one process share it.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let histograms = ALL.iter().filter_map(|metric| match metric.kind {
        Histogram(bounds) => Some((metric.name, bounds)),
        Counter | Gauge => None,
    });
    let builder = histograms.fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        let matcher = metrics_exporter_prometheus::Matcher::Full(name.to_owned());
        builder.set_buckets_for_metric(matcher, bounds).expect("a histogram has buckets")
    });
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if let Err(error) = metrics::set_global_recorder(recorder) {
        tracing::error!(%error, "metrics are not recorded");
    }
    for Metric { name, kind, label: _, help } in ALL {
        match kind {
            Counter => describe_counter!(*name, *help),
            Gauge => describe_gauge!(*name, *help),
            Histogram(_) => describe_histogram!(*name, *help),
        }
    }
    handle
});

/// Records from now on.
pub fn start() {
    LazyLock::force(&RECORDER);
}

/// Sorts what was recorded into buckets; without it, each observation of a histogram stays in memory.
pub fn settle() {
    RECORDER.run_upkeep();
}

/// All metrics in the text format of Prometheus.
pub fn text() -> String {
    RECORDER.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_lists_every_metric() {
        let mut table = "| Metric | Type | Label | Meaning |\n|---|---|---|---|\n".to_owned();
        for Metric { name, kind, label, help } in ALL {
            let kind = match kind {
                Counter => "counter",
                Gauge => "gauge",
                Histogram(_) => "histogram",
            };
            let label = if label.is_empty() { String::new() } else { format!("`{label}`") };
            table += &format!("| `{name}` | {kind} | {label} | {help} |\n");
        }
        let page = include_str!("../../docs/reference/metrics.md");
        assert!(page.contains(&format!("\n{table}")), "docs/reference/metrics.md holds:\n{table}");
    }
}
