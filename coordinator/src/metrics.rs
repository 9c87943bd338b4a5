//! The metrics. Each metric is declared here once: its name with its unit, its label, its help and its row of
//! the reference page.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde::Deserialize as _;
use serde_json::Value;
use sprint_core::agent::Tokens;
use sprint_core::event::EventKind;
use sprint_core::ids::RepoName;

pub type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;

/// The labels of one series; none for a metric with one series.
type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// A metric: a series for each value of its labels.
#[derive(Debug)]
pub struct Series<M> {
    family: Family<Labels, M>,
    /// Their names, with commas between them.
    labels: &'static str,
}

impl<M: Clone> Series<M> {
    /// The series of a value of the one label.
    pub fn of(&self, value: impl Into<Cow<'static, str>>) -> M {
        self.of_each([value.into()])
    }

    /// The series of a value of each label, in their order.
    pub fn of_each<const N: usize>(&self, values: [Cow<'static, str>; N]) -> M {
        self.family.get_or_create_owned(&self.labels.split(',').zip(values).collect())
    }

    /// Removes all series, so that the next measurement has none of entities that are gone.
    pub fn clear(&self) {
        self.family.clear();
    }

    /// The one series of a metric without a label.
    pub fn only(&self) -> M {
        self.family.get_or_create_owned(&Labels::new())
    }
}

/// From 100 µs, a commit on a fast disk, to 10 s, when callers give up.
fn seconds() -> Histogram {
    let bounds = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
    Histogram::new(bounds)
}

/// Up to the most transactions of a batch.
fn transactions() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
}

macro_rules! metrics {
    ($($field:ident: $kind:ident = $family:expr, $name:literal, $labels:literal, $help:literal;)+) => {
        /// Everything that is measured.
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: Series<$kind>,)+
            registry: Registry,
            /// The agents and models that have series.
            models: Mutex<BTreeSet<[String; 2]>>,
        }

        impl Metrics {
            fn new() -> Self {
                let mut registry = Registry::default();
                $(
                    let $field = Series { family: $family, labels: $labels };
                    if $field.labels.is_empty() {
                        // It is shown as 0 until something is measured.
                        $field.only();
                    }
                    // The format adds the suffix of counters, and a full stop to each help.
                    registry.register($name.trim_end_matches("_total"), $help, $field.family.clone());
                )+
                Self { $($field,)+ registry, models: Mutex::default() }
            }
        }

        #[cfg(test)]
        const ROWS: &[[&str; 4]] = &[$([$name, stringify!($kind), $labels, $help]),+];
    };
}

metrics! {
    items: Gauge = Family::default(), "sprint_items", "stage", "Items by stage";
    oldest_item: Gauge = Family::default(), "sprint_oldest_ready_item_age_seconds", "", "The time for which the oldest ready item has been ready; 0 when none is";
    changes: Gauge = Family::default(), "sprint_changes", "state", "Changes by state";
    queue: Gauge = Family::default(), "sprint_merge_queue_changes", "repo", "Changes in the merge queue of a repo";
    oldest_change: Gauge = Family::default(), "sprint_oldest_queued_change_age_seconds", "", "The time since the oldest change in a merge queue was queued; 0 when all queues are empty";
    workers: Gauge = Family::default(), "sprint_workers", "state", "Workers by state";
    outposts: Gauge = Family::default(), "sprint_outposts", "state", "Outposts by state";
    events: Counter = Family::default(), "sprint_events_total", "kind", "Events committed since the start: each transition of an item, worker, change, trial or outpost is one";
    landings: Counter = Family::default(), "sprint_landings_total", "repo", "Changes of a repo that landed";
    gate_results: Counter = Family::default(), "sprint_gate_results_total", "repo,gate,result", "Runs of a gate that ended with a verdict: `passed`, `failed`, or `excused` where the gate timed out or its command was not found";
    commit: Histogram = Family::new_with_constructor(seconds), "sprint_commit_duration_seconds", "result", "The time to commit a batch of transactions to the database, fsync included";
    batch: Histogram = Family::new_with_constructor(transactions), "sprint_commit_batch_transactions", "", "Transactions that share a commit";
    log_bytes: Counter = Family::default(), "sprint_log_bytes_total", "", "Bytes of workers' terminals that were received and written";
    calls: Histogram = Family::new_with_constructor(seconds), "sprint_call_duration_seconds", "method", "The time from a call to its answer, or to the beginning of the answer where that is a stream";
    tokens: Counter = Family::default(), "gen_ai_client_token_usage_total", "gen_ai_agent_name,gen_ai_request_model,gen_ai_token_type", "Tokens that workers' agents have used, by their own word: `input`, `cache_read`, `cache_creation` or `output`; the model is `other` beyond 100 pairs of agent and model";
    passes: Counter = Family::default(), "sprint_loop_passes_total", "loop", "Passes of a loop; `merger/REPO` is the part of the merger that drives one merge queue";
    failures: Counter = Family::default(), "sprint_loop_failures_total", "loop", "Passes of a loop that ended with an error";
    pass: Gauge = Family::default(), "sprint_loop_last_pass_duration_seconds", "loop", "The duration of a loop's last pass";
    running: Gauge = Family::default(), "sprint_loop_running_seconds", "loop", "The time since a loop's pass under way began; 0 between two passes";
}

/// Something to count once the event that says it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    Event(EventKind),
    Landing(RepoName),
    GateResult { repo: RepoName, gate: String, result: &'static str },
    Tokens { agent: String, model: String, tokens: Tokens },
}

impl Count {
    /// The counter that an event adds to.
    pub fn of(kind: &EventKind, repo: Option<&RepoName>, data: &Value) -> impl Iterator<Item = Self> + use<> {
        let more = repo.and_then(|repo| match GATE_RESULTS.iter().find(|(of, _)| of == kind) {
            Some((_, result)) => {
                let gate = data.get("verdict")?.get("gate")?.as_str()?.to_owned();
                Some(Self::GateResult { repo: repo.clone(), gate, result })
            }
            None => (*kind == EventKind::CHANGE_LANDED).then(|| Self::Landing(repo.clone())),
        });
        let usage = if *kind == EventKind::WORKER_USAGE { Self::tokens(data).unwrap_or_default() } else { vec![] };
        [Self::Event(kind.clone())].into_iter().chain(more).chain(usage)
    }
}

impl Count {
    /// The tokens of each model that an agent has named.
    fn tokens(data: &Value) -> Option<Vec<Self>> {
        let agent = data.get("agent")?.as_str()?;
        let of_model = |(model, usage): (&String, &Value)| {
            let tokens = Tokens::deserialize(usage.get("tokens")?).ok()?;
            Some(Self::Tokens { agent: agent.to_owned(), model: model.clone(), tokens })
        };
        Some(data.get("usage")?.as_object()?.iter().filter_map(of_model).collect())
    }
}

/// The most pairs of agent and model that are told apart: both are a worker's word.
const MODELS: usize = 100;

/// The events that end a run of a gate with a verdict, and the label for each.
static GATE_RESULTS: [(EventKind, &str); 3] = [
    (EventKind::TRIAL_GATE_PASSED, "passed"),
    (EventKind::TRIAL_GATE_FAILED, "failed"),
    (EventKind::TRIAL_GATE_EXCUSED, "excused"),
];

/// The metrics of this process; several coordinators in one process share them.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

impl Metrics {
    pub fn count(&self, count: Count) {
        match count {
            Count::Event(kind) => self.events.of(String::from(kind)).inc(),
            Count::Landing(repo) => self.landings.of(repo.to_string()).inc(),
            Count::GateResult { repo, gate, result } => {
                self.gate_results.of_each([repo.to_string().into(), gate.into(), result.into()]).inc()
            }
            Count::Tokens { agent, model, tokens } => {
                let [agent, model] = self.named(agent, model);
                let Tokens { input, cached, cache_written, output } = tokens;
                let kinds =
                    [("input", input), ("cache_read", cached), ("cache_creation", cache_written), ("output", output)];
                for (kind, tokens) in kinds {
                    let labels = [agent.clone().into(), model.clone().into(), kind.into()];
                    self.tokens.of_each(labels).inc_by(tokens);
                }
                0
            }
        };
    }

    /// An agent and a model as they are told apart.
    fn named(&self, agent: String, model: String) -> [String; 2] {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = [agent, model];
        if models.contains(&pair) || models.len() < MODELS {
            models.insert(pair.clone());
            return pair;
        }
        ["other".to_owned(), "other".to_owned()]
    }

    /// All metrics in the text format of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reference_page_lists_every_metric() {
        let quoted = |label: &str| if label.is_empty() { String::new() } else { format!("`{label}`") };
        let row = |[name, kind, labels, help]: &[&str; 4]| {
            let labels = labels.split(',').map(quoted).collect::<Vec<_>>().join(", ");
            format!("| `{name}` | {} | {labels} | {help} |\n", kind.to_lowercase())
        };
        let table = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
        let table = table + &ROWS.iter().map(row).collect::<String>();
        let page = include_str!("../../docs/reference/metrics.md");
        assert!(page.contains(&format!("\n{table}")), "docs/reference/metrics.md holds:\n{table}");
    }

    #[test]
    fn a_landing_and_a_verdict_are_counted_beside_their_events() {
        let repo = "web".parse::<RepoName>().expect("a name");
        let verdict = json!({ "verdict": { "gate": "test" } });
        let counts = |kind: &EventKind, data: &Value| Count::of(kind, Some(&repo), data).skip(1).collect::<Vec<_>>();
        assert_eq!(counts(&EventKind::CHANGE_LANDED, &json!({})), [Count::Landing(repo.clone())]);
        let result = |result| Count::GateResult { repo: repo.clone(), gate: "test".to_owned(), result };
        assert_eq!(counts(&EventKind::TRIAL_GATE_EXCUSED, &verdict), [result("excused")]);
        // The host of a gate that was lost is to blame; the gate has said nothing.
        assert_eq!(counts(&EventKind::TRIAL_GATE_LOST, &verdict), []);
        let metrics = Metrics::new();
        for count in Count::of(&EventKind::TRIAL_GATE_FAILED, Some(&repo), &verdict) {
            metrics.count(count);
        }
        let text = metrics.text();
        let line = r#"sprint_gate_results_total{repo="web",gate="test",result="failed"} 1"#;
        assert!(text.contains(line) && text.contains(r#"sprint_events_total{kind="trial_gate_failed"} 1"#), "{text}");
    }

    #[test]
    fn tokens_are_counted_by_agent_and_model_and_names_without_end_are_one() {
        let metrics = Metrics::new();
        let usage = |model: &str| {
            let tokens = json!({ "input": 10, "cached": 5, "cache_written": 0, "output": 2 });
            json!({ "agent": "claude", "usage": { model: { "tokens": tokens, "cost_micros": 3 } } })
        };
        for number in 0..MODELS + 20 {
            for count in Count::of(&EventKind::WORKER_USAGE, None, &usage(&format!("m{number}"))) {
                metrics.count(count);
            }
        }
        let text = metrics.text();
        let line = |agent: &str, model: &str, kind: &str, tokens: u64| {
            format!(
                "gen_ai_client_token_usage_total{{gen_ai_agent_name=\"{agent}\",gen_ai_request_model=\"{model}\",gen_ai_token_type=\"{kind}\"}} {tokens}\n"
            )
        };
        assert!(text.contains(&line("claude", "m0", "cache_read", 5)), "{text}");
        assert!(text.contains(&line("other", "other", "input", 200)) && !text.contains("\"m100\""), "{text}");
    }

    #[test]
    fn a_counter_is_written_with_its_label_and_its_suffix() {
        let metrics = Metrics::new();
        metrics.events.of("item_added").inc();
        metrics.log_bytes.only().inc_by(5);
        let text = metrics.text();
        assert!(text.contains("sprint_events_total{kind=\"item_added\"} 1\n"), "{text}");
        assert!(text.contains("sprint_log_bytes_total 5\n") && text.ends_with("# EOF\n"), "{text}");
    }
}
