//! SARIF 2.1.0, as linters and scanners write it.
//!
//! A result counts when it is a failure that is neither suppressed nor gone since the baseline.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sprint_core::gates::{FindingLevel, Metric};

use crate::measured::{Measured, Tally};
use crate::paths::relative;
use crate::unreadable::{Unreadable, not_json};

const FORM: &str = "SARIF 2.1.0";

#[derive(Deserialize)]
struct Log {
    version: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Option<Vec<SarifResult>>,
    invocations: Option<Vec<Invocation>>,
    artifacts: Option<Vec<Artifact>>,
    external_property_file_references: Option<References>,
}

#[derive(Deserialize)]
struct References {
    results: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    extensions: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Component {
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    default_configuration: Option<Configuration>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<Level>,
}

#[derive(Deserialize, Default)]
struct Properties {
    #[serde(rename = "security-severity")]
    severity: Option<Value>,
    complexity: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
}

#[derive(Deserialize)]
struct Artifact {
    location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    kind: Option<Kind>,
    level: Option<Level>,
    message: Option<Message>,
    locations: Option<Vec<Location>>,
    suppressions: Option<Vec<Suppression>>,
    baseline_state: Option<Baseline>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleReference {
    id: Option<String>,
    index: Option<i64>,
    tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
struct ComponentReference {
    index: Option<i64>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Kind {
    NotApplicable,
    Pass,
    Fail,
    Review,
    Open,
    Informational,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Level {
    None,
    Note,
    Warning,
    Error,
}

#[derive(Deserialize)]
struct Message {
    text: Option<String>,
    markdown: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<PhysicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Option<ArtifactLocation>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    uri: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<u32>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<SuppressionStatus>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum SuppressionStatus {
    Accepted,
    UnderReview,
    Rejected,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Baseline {
    New,
    Unchanged,
    Updated,
    Absent,
}

/// Reads a report.
pub(crate) fn read(text: &str, root: &str) -> Result<Measured, Unreadable> {
    let Log { version, runs } = serde_json::from_str(text).map_err(|error| not_json(FORM, &error))?;
    if version != "2.1.0" {
        let version = sprint_core::gates::plain(&version, 20);
        return Err(Unreadable::Malformed { form: FORM, why: format!("its version is {version:?}") });
    }
    if runs.is_empty() {
        return Err(Unreadable::Incomplete("it has no run: nothing was analysed"));
    }
    let mut scan = Scan { root, measured: Measured::default(), results: 0, is_rated: false };
    for metric in [Metric::Errors, Metric::Warnings, Metric::Notes, Metric::Findings] {
        scan.measured.add(metric, Tally::Count(0));
    }
    for run in runs {
        scan.take(run)?;
    }
    // A tool that found something and rates nothing says nothing of how grave it is.
    if scan.is_rated || scan.results == 0 {
        for metric in [Metric::Critical, Metric::High, Metric::Medium, Metric::Low] {
            scan.measured.add(metric, Tally::Count(0));
        }
    }
    Ok(scan.measured)
}

/// What was read so far.
struct Scan<'a> {
    root: &'a str,
    measured: Measured,
    /// How many count.
    results: u64,
    /// Whether any rule or result says how grave it is.
    is_rated: bool,
}

impl Scan<'_> {
    fn take(&mut self, run: Run) -> Result<(), Unreadable> {
        let Run { tool, results, invocations, artifacts, external_property_file_references: elsewhere } = run;
        if invocations.iter().flatten().any(|invocation| invocation.execution_successful == Some(false)) {
            return Err(Unreadable::Incomplete("the tool says in it that its own run failed"));
        }
        if elsewhere.and_then(|elsewhere| elsewhere.results).is_some_and(|results| !results.is_empty()) {
            return Err(Unreadable::Incomplete("its results are in other files, which are not read"));
        }
        let Some(results) = results else {
            return Err(Unreadable::Incomplete(
                "a run of it has no results, not even an empty list: nothing was analysed",
            ));
        };
        let Tool { driver, extensions } = tool;
        let components: Vec<Vec<Rule>> = std::iter::once(driver)
            .chain(extensions.into_iter().flatten())
            .map(|component| component.rules.unwrap_or_default())
            .collect();
        self.is_rated |= components.iter().flatten().any(|rule| severity(rule.properties.as_ref()).is_some());
        let artifacts = artifacts.unwrap_or_default();
        for result in results {
            if counts(&result) {
                self.add(&result, rule_of(&result, &components), &artifacts);
            }
        }
        Ok(())
    }

    fn add(&mut self, result: &SarifResult, rule: Option<&Rule>, artifacts: &[Artifact]) {
        self.results += 1;
        let place = result.locations.iter().flatten().find_map(|location| location.physical_location.as_ref());
        let file = place.and_then(|place| place.artifact_location.as_ref()).and_then(|file| uri(file, artifacts));
        let file = relative(self.root, file.unwrap_or_default());
        let line = place.and_then(|place| place.region.as_ref()?.start_line);
        let default = rule.and_then(|rule| rule.default_configuration.as_ref()?.level);
        let (level, metric) = match result.level.or(default).unwrap_or(Level::Warning) {
            Level::Error => (FindingLevel::Error, Metric::Errors),
            Level::Warning => (FindingLevel::Warning, Metric::Warnings),
            Level::Note | Level::None => (FindingLevel::Note, Metric::Notes),
        };
        self.measured.add_of(metric, file, Tally::Count(1));
        self.measured.add_of(Metric::Findings, file, Tally::Count(1));
        let severity =
            severity(result.properties.as_ref()).or_else(|| severity(rule.and_then(|rule| rule.properties.as_ref())));
        if let Some(severity) = severity {
            self.is_rated = true;
            // The bands of CVSS, as GitHub takes them.
            let band = match severity {
                9.0.. => Some(Metric::Critical),
                7.0.. => Some(Metric::High),
                4.0.. => Some(Metric::Medium),
                severity if severity > 0.0 => Some(Metric::Low),
                _ => None,
            };
            if let Some(band) = band {
                self.measured.add_of(band, file, Tally::Count(1));
            }
        }
        if let Some(complexity) = number(result.properties.as_ref().and_then(|known| known.complexity.as_ref())) {
            self.measured.add_of(Metric::Complexity, file, Tally::Greatest(complexity));
        }
        let id = result.rule_id.as_deref().or(rule.map(|rule| rule.id.as_str()));
        let text = result.message.as_ref().and_then(|message| message.text.as_ref().or(message.markdown.as_ref()));
        let text = text.map_or("", String::as_str);
        let message = id.map_or_else(|| text.to_owned(), |id| format!("{text} ({id})"));
        self.measured.findings.add(file, line, level, &message);
    }
}

fn counts(result: &SarifResult) -> bool {
    let fails = result.kind.is_none_or(|kind| kind == Kind::Fail);
    let suppressed = result
        .suppressions
        .iter()
        .flatten()
        .any(|suppression| suppression.status.is_none_or(|status| status == SuppressionStatus::Accepted));
    fails && !suppressed && result.baseline_state != Some(Baseline::Absent)
}

/// The rule that a result breaks: by its place, else by its name.
fn rule_of<'a>(result: &SarifResult, components: &'a [Vec<Rule>]) -> Option<&'a Rule> {
    let reference = result.rule.as_ref();
    // The driver is no extension: those are counted from 0 after it.
    let component = reference.and_then(|rule| rule.tool_component.as_ref()?.index).filter(|index| *index >= 0);
    let component = component.map_or(0, |index| usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1));
    let index = result.rule_index.or(reference.and_then(|rule| rule.index));
    let id = result.rule_id.as_deref().or(reference.and_then(|rule| rule.id.as_deref()));
    let by_place = index.and_then(|index| components.get(component)?.get(usize::try_from(index).ok()?));
    by_place.or_else(|| components.iter().flatten().find(|rule| Some(rule.id.as_str()) == id))
}

fn uri<'a>(file: &'a ArtifactLocation, artifacts: &'a [Artifact]) -> Option<&'a str> {
    let by_index = || {
        let artifact = artifacts.get(usize::try_from(file.index?).ok()?)?;
        artifact.location.as_ref()?.uri.as_deref()
    };
    file.uri.as_deref().or_else(by_index)
}

fn severity(properties: Option<&Properties>) -> Option<f64> {
    number(properties.and_then(|properties| properties.severity.as_ref()))
}

/// A number, or a text that is one.
fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}
