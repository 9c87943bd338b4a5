//! The input of a worker: its context files, its environment, its commands.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sprint_core::agent::AgentSaid;
use sprint_core::assignment::{Assignment, Command};
use sprint_core::gates::Gate;
use sprint_core::ids::CommitId;
use sprint_core::job::{AttemptJob, GateJob, Job};
use sprint_core::runtime::{Channel, PromptDelivery, Runtime};

use super::progress::Progress;
use super::warm_dirs;
use crate::host::paths::WorkerDir;
use crate::host::{environment, programs};
use crate::runtime::fill::{self, BadTemplate, Values, fill, login_variables, takes_command_line};
use crate::sandbox::Sandbox;
use crate::shim::channel;
use crate::shim::plan::{AgentStep, Plan, PlanStep, ToolServer};
use crate::worker_ctl;
use crate::workspace::furnish::Furnished;

/// What keeps programs from waiting for a person: no pager, no editor, no question.
const UNATTENDED: &[(&str, &str)] = &[
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "true"),
    ("GIT_SEQUENCE_EDITOR", "true"),
    ("GIT_MERGE_AUTOEDIT", "no"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// The most bytes of a title in a variable; those of today are shorter.
const LONGEST_TITLE: usize = 16 << 10;

/// The first of a worker's ports.
const PORT: &str = "SPRINT_PORT";

/// The first port that a plan has given its worker.
pub(crate) fn port(plan: &Plan) -> Option<u16> {
    plan.env.get(PORT)?.parse().ok()
}

/// Where a worker runs on this host.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) furnished: Furnished,
    pub(crate) ports: Option<RangeInclusive<u16>>,
    /// This outpost's files for the repo.
    pub(crate) files: Option<PathBuf>,
}

/// Writes `context/`, makes `artifacts/`, and puts an agent's `files` into its own directory.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_context(
    assignment: &Assignment,
    progress: &Progress,
    files: &BTreeMap<String, String>,
    dir: &WorkerDir,
    program: &Path,
) -> io::Result<()> {
    warm_dirs::make_within(dir, program)?;
    fs::write(dir.prompt(), whole_prompt(assignment, progress))?;
    // Only before it has run: it may have put something else in the way.
    if let Some(runtime) = agent(assignment).filter(|_| progress.round() == 1) {
        fill::furnish_state(runtime, programs::home().as_deref(), &dir.state(), files.clone())?;
    }
    if assignment.job.gate().is_some() {
        fs::write(dir.changes(), serde_json::to_vec_pretty(&assignment.changes)?)?;
    }
    match feedback(assignment, progress) {
        Some(text) => fs::write(dir.feedback(), text),
        None => Ok(()),
    }
}

/// The runtime of an agent that is told its task; none for a command line, which finds it by itself.
pub(crate) fn agent(assignment: &Assignment) -> Option<&Runtime> {
    let runtime = assignment.steps.first().map(|step| &step.runtime)?;
    (assignment.job.attempt().is_some() && !takes_command_line(runtime)).then_some(runtime)
}

/// The text of `context/prompt.md`: for an agent that is told its task, with what was said of earlier attempts.
fn whole_prompt(assignment: &Assignment, progress: &Progress) -> String {
    let prompt = &assignment.prompt;
    match feedback(assignment, progress).filter(|_| agent(assignment).is_some()) {
        Some(feedback) => format!("{prompt}\n# What was said of the work so far\n\n{feedback}"),
        None => prompt.clone(),
    }
}

/// The text of `context/feedback.md`, if there is anything to say.
fn feedback(assignment: &Assignment, progress: &Progress) -> Option<String> {
    let earlier = assignment.feedback.iter().map(|text| ("An earlier attempt", text));
    let this = progress.sent_back.iter().map(|text| ("This attempt, sent back", text));
    let sections: Vec<_> = earlier.chain(this).map(|(title, text)| format!("## {title}\n\n{text}\n")).collect();
    (!sections.is_empty()).then(|| sections.join("\n"))
}

/// Makes the shim's plan for the current round.
///
/// # Errors
/// [`BadTemplate`].
pub(crate) fn plan(
    assignment: &Assignment,
    progress: &Progress,
    dir: &WorkerDir,
    place: Place,
    log_limit: u64,
) -> Result<Plan, BadTemplate> {
    let recipe = &assignment.recipe;
    let round = progress.round();
    let env = variables(assignment, progress, dir, &place);
    let Place { sandbox, furnished: Furnished { notes, keep, cache_hit: _ }, .. } = place;
    let own = |name: &str, line: &str| (!line.is_empty()).then(|| recipe_step(name, line, recipe.timeout, dir));
    // What a teardown has taken away is made again.
    let sets_up = round == 1 || !recipe.teardown.is_empty();
    let task = Task::new(assignment, progress, dir);
    let files = agent(assignment).map(|runtime| fill::files(runtime, &task.values("", &Paths::of(dir)))).transpose()?;
    let secrets = dir.secrets();
    Ok(Plan {
        round,
        secrets: secrets.exists().then_some(secrets),
        files: files.unwrap_or_default(),
        workspace: dir.workspace(),
        prompt_file: dir.prompt(),
        env,
        setup: own("setup", &recipe.setup).filter(|_| sets_up).transpose()?,
        keep,
        steps: steps(assignment, &task, dir)?,
        teardown: own("teardown", &recipe.teardown).transpose()?,
        notes,
        log_limit,
        sandbox,
    })
}

fn recipe_step(name: &str, line: &str, timeout: Duration, dir: &WorkerDir) -> Result<PlanStep, BadTemplate> {
    let command = Command { name: name.to_owned(), runtime: Runtime::shell(), run: line.to_owned(), timeout };
    Ok(PlanStep { unattended: true, ..plan_step(&command, None, dir, &Task::default())? })
}

/// What an agent is told.
#[derive(Debug, Default)]
struct Task {
    prompt: String,
    session: String,
    /// What it is told when it goes on with its conversation.
    resumed_with: Option<String>,
}

impl Task {
    fn new(assignment: &Assignment, progress: &Progress, dir: &WorkerDir) -> Self {
        let said = channel::read(&dir.agent()).and_then(|AgentSaid { session, .. }| session);
        let can_resume =
            agent(assignment).is_some_and(|runtime| runtime.channel == Channel::Acp || fill::resumes(runtime));
        let resumed_with = progress.sent_back.last().filter(|_| can_resume && said.is_some()).cloned();
        Self { prompt: whole_prompt(assignment, progress), session: said.unwrap_or_else(channel::uuid), resumed_with }
    }

    fn values<'a>(&'a self, run: &'a str, paths: &'a Paths) -> Values<'a> {
        Values {
            run,
            prompt: &self.prompt,
            prompt_file: &paths.prompt,
            sprintctl: &paths.sprintctl,
            socket: &paths.socket,
            state: &paths.state,
            session_id: &self.session,
            resumes: self.resumed_with.is_some(),
        }
    }
}

/// Where a worker finds what is its own.
struct Paths {
    prompt: PathBuf,
    sprintctl: PathBuf,
    socket: PathBuf,
    state: PathBuf,
}

impl Paths {
    fn of(dir: &WorkerDir) -> Self {
        let sprintctl = dir.programs().join(worker_ctl::NAME);
        Self { prompt: dir.prompt(), sprintctl, socket: dir.socket(), state: dir.state() }
    }
}

fn steps(assignment: &Assignment, task: &Task, dir: &WorkerDir) -> Result<Vec<PlanStep>, BadTemplate> {
    let step = |(number, step)| plan_step(step, assignment.gates.get(number).cloned(), dir, task);
    assignment.steps.iter().enumerate().map(step).collect()
}

fn plan_step(step: &Command, gate: Option<Gate>, dir: &WorkerDir, task: &Task) -> Result<PlanStep, BadTemplate> {
    let runtime = &step.runtime;
    let paths = Paths::of(dir);
    let (mut argv, mut env) = fill(runtime, &task.values(&step.run, &paths))?;
    // An agent that goes on with its conversation knows the task.
    let prompt = match &task.resumed_with {
        Some(missing) if runtime.prompt == PromptDelivery::Argument => {
            argv.push(missing.clone());
            PromptDelivery::File
        }
        Some(_) | None => runtime.prompt,
    };
    // What is set of purpose counts.
    for (name, value) in login_variables(runtime) {
        env.entry(name).or_insert(value);
    }
    let agent = (runtime.channel != Channel::None).then(|| AgentStep {
        runtime: runtime.name.clone(),
        channel: runtime.channel,
        opening: task.resumed_with.as_ref().unwrap_or(&task.prompt).clone(),
        resumed: task.resumed_with.as_ref().map(|_| task.session.clone()),
        workspace: dir.workspace(),
        file: dir.agent(),
        model: runtime.model.clone(),
        tools: Some(ToolServer { sprintctl: paths.sprintctl.clone(), socket: paths.socket.clone() }),
    });
    Ok(PlanStep {
        name: step.name.clone(),
        argv,
        env,
        prompt,
        success_codes: runtime.success_codes.clone(),
        timeout_ms: u64::try_from(step.timeout.as_millis()).unwrap_or(u64::MAX),
        unattended: gate.is_some() || runtime.unattended,
        gate,
        agent,
    })
}

/// The worker's whole environment, apart from `TERM` and what its runtime adds.
fn variables(assignment: &Assignment, progress: &Progress, dir: &WorkerDir, place: &Place) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = environment::plain()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let path = variables.remove("PATH").unwrap_or_default();
    variables.insert("PATH".to_owned(), format!("{}:{path}", text(&dir.programs())));
    variables.extend(UNATTENDED.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let own = [
        ("SPRINT_WORKER", assignment.worker.to_string()),
        ("SPRINT_REPO", assignment.repo.to_string()),
        ("SPRINT_ROLE", assignment.job.role().to_string()),
        // A variable ends at a NUL, and may have 128 KiB.
        ("SPRINT_TITLE", start(&assignment.title, LONGEST_TITLE).replace('\0', "")),
        ("SPRINT_WORKSPACE", text(&dir.workspace())),
        ("SPRINT_CONTEXT_DIR", text(&dir.context())),
        ("SPRINT_PROMPT_FILE", text(&dir.prompt())),
        ("SPRINT_ARTIFACTS", text(&dir.artifacts())),
        ("SPRINT_BASE", base(assignment).to_string()),
        (worker_ctl::SOCKET, text(&dir.socket())),
    ];
    variables.extend(own.map(|(key, value)| (key.to_owned(), value)));
    let of_job = match &assignment.job {
        Job::Attempt(AttemptJob { item, attempt, role: _ }) => {
            vec![("SPRINT_ITEM", item.to_string()), ("SPRINT_ATTEMPT", attempt.to_string())]
        }
        Job::Gate(GateJob { trial, gate }) => vec![
            ("SPRINT_TRIAL", trial.to_string()),
            ("SPRINT_GATE", gate.clone()),
            ("SPRINT_CANDIDATE", assignment.base.to_string()),
            ("SPRINT_CHANGES_FILE", text(&dir.changes())),
            ("CI", "true".to_owned()),
        ],
    };
    variables.extend(of_job.into_iter().map(|(key, value)| (key.to_owned(), value)));
    variables.extend(of_recipe(assignment, progress, dir, place));
    if let Some(sandbox) = &place.sandbox {
        // With a view of its own a worker has a `/tmp` of its own, whose name is short enough for sockets.
        let view = sandbox.mechanisms.view.is_some();
        variables.insert("TMPDIR".to_owned(), if view { "/tmp".to_owned() } else { text(&dir.temporary()) });
    }
    if feedback(assignment, progress).is_some() {
        variables.insert("SPRINT_FEEDBACK_FILE".to_owned(), text(&dir.feedback()));
    }
    variables
}

/// The worker's ports, whether its caches are filled, and another program's names for its workspace.
fn of_recipe(assignment: &Assignment, progress: &Progress, dir: &WorkerDir, place: &Place) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut add = |name: &str, value: String| found.push((name.to_owned(), value));
    let ports = place.ports.as_ref();
    if let Some(ports) = ports {
        add(PORT, ports.start().to_string());
        add("SPRINT_PORTS", format!("{}-{}", ports.start(), ports.end()));
    }
    if !assignment.recipe.cache.is_empty() {
        // Later rounds find what the first has made.
        let hit = progress.round() > 1 || place.furnished.cache_hit == Some(true);
        add("SPRINT_CACHE", if hit { "hit" } else { "miss" }.to_owned());
    }
    if let Some(prefix) = &assignment.recipe.variables {
        add(&format!("{prefix}_ROOT_PATH"), text(place.files.as_deref().unwrap_or(&dir.workspace())));
        add(&format!("{prefix}_WORKSPACE_PATH"), text(&dir.workspace()));
        add(&format!("{prefix}_WORKSPACE_NAME"), format!("sprint-{}", assignment.worker));
        if let Some(ports) = ports {
            add(&format!("{prefix}_PORT"), ports.start().to_string());
        }
    }
    found
}

/// What the work is compared with: where an attempt began, or what a gate's changes were merged onto.
fn base(assignment: &Assignment) -> &CommitId {
    let target = assignment.target.as_ref().filter(|_| assignment.job.gate().is_some());
    target.map_or(&assignment.base, |target| &target.tip)
}

/// The start of a text, of at most so many bytes.
fn start(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// What marks a process as one of this worker's, in its environment.
pub(crate) fn mark(dir: &WorkerDir) -> (&'static str, String) {
    (worker_ctl::SOCKET, text(&dir.socket()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "brief_tests.rs"]
mod tests;
