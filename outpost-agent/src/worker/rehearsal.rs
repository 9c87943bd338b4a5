//! One command, run as a worker's would be, without a coordinator.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sprint_core::assignment::{Assignment, Command as Step, CommandResult};
use sprint_core::ids::{Attempt, CommitId, ItemId, RepoName, WorkerId};
use sprint_core::job::{AttemptJob, Job, Role};
use sprint_core::recipe::Recipe;
use sprint_core::runtime::Runtime;

use super::brief::{self, Place};
use super::missing::{self, Host};
use super::outcome::NOT_FOUND;
use super::own_sandbox;
use super::progress::Progress;
use super::tail;
use crate::host::disk;
use crate::host::environment;
use crate::host::paths::{DataDir, WorkerDir};
use crate::sandbox::policy::Policy;
use crate::shim::plan::Exit;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Rehearsed {
    /// None when it did not run at all.
    pub(crate) result: Option<CommandResult>,
    /// Why it did not run, or what its end says of this host.
    pub(crate) why: Option<String>,
    /// The end of what it has printed.
    pub(crate) end: String,
    /// All of what it has printed.
    pub(crate) printed: String,
}

/// Runs a command line in an empty repository.
///
/// # Errors
/// Those of the file system, and of starting this program.
pub(crate) fn rehearse(
    policy: Option<&Policy>,
    data: &DataDir,
    program: &Path,
    line: &str,
    limit: Duration,
) -> io::Result<Rehearsed> {
    let assignment = assignment(line, limit)?;
    let dir = data.worker(assignment.worker);
    let rehearsed = run(policy, data, program, &assignment, &dir);
    disk::discard(dir.path(), &data.trash())?;
    rehearsed
}

fn run(
    policy: Option<&Policy>,
    data: &DataDir,
    program: &Path,
    assignment: &Assignment,
    dir: &WorkerDir,
) -> io::Result<Rehearsed> {
    let mirror = data.mirror(&assignment.repo);
    for path in [dir.workspace(), dir.context(), mirror.join("objects")] {
        fs::create_dir_all(path)?;
    }
    let init = ["init", "--quiet", "--template=", "."];
    let made =
        Command::new("git").args(init).current_dir(dir.workspace()).env_clear().envs(environment::plain()).status();
    if !made?.success() {
        return Err(io::Error::other("git cannot make a repository"));
    }
    let progress = Progress::default();
    brief::write_context(assignment, &progress, &BTreeMap::new(), dir, program)?;
    let sandbox = policy.map(|policy| policy.sandbox(data, dir, &mirror, None));
    if let (Some(policy), Some(sandbox)) = (policy, &sandbox) {
        policy.prepare(sandbox, dir)?;
    }
    let place = Place { sandbox, ..Place::default() };
    let plan = brief::plan(assignment, &progress, dir, place, u64::MAX).map_err(io::Error::other)?;
    fs::write(dir.plan(), serde_json::to_vec(&plan)?)?;
    let mut shim = Command::new(program);
    shim.arg("exec").arg(dir.path()).env_clear().envs(environment::plain()).env("TERM", "xterm-256color");
    let ended = shim.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let exit: Option<Exit> = fs::read(dir.exit()).ok().and_then(|content| serde_json::from_slice(&content).ok());
    let end = tail::read(&dir.log())?.text;
    let printed = String::from_utf8_lossy(&fs::read(dir.log()).unwrap_or_default()).into_owned();
    let Some(exit) = exit else {
        return Ok(Rehearsed { result: None, why: Some(format!("the shim ended with {ended}")), end, printed });
    };
    let result = exit.steps.into_iter().next();
    let was_missing = result.as_ref().is_some_and(|result| result.exit_code == Some(NOT_FOUND));
    let found = was_missing.then(|| missing::explain(&end, &Host::of_agent(policy.is_some()))).flatten();
    let is_bad = result.as_ref().is_none_or(|result| result.exit_code != Some(0));
    let sandboxed = policy.filter(|_| is_bad).and_then(|_| own_sandbox::explain(&printed));
    Ok(Rehearsed { result, why: exit.message.or(found).or(sandboxed), end, printed })
}

fn assignment(line: &str, limit: Duration) -> io::Result<Assignment> {
    let step = Step { name: "check".to_owned(), runtime: Runtime::shell(), run: line.to_owned(), timeout: limit };
    Ok(Assignment {
        worker: WorkerId::new(1),
        repo: RepoName::new("check").map_err(io::Error::other)?,
        job: Job::Attempt(AttemptJob { item: ItemId::new(1), attempt: Attempt::new(1), role: Role::Developer }),
        change: None,
        base: CommitId::new("0".repeat(40)).map_err(io::Error::other)?,
        base_ref: String::new(),
        target: None,
        changes: vec![],
        recipe: Recipe::default(),
        title: "A check of this host".to_owned(),
        prompt: "This is a check of this host; there is nothing to do.\n".to_owned(),
        feedback: vec![],
        steps: vec![step],
        gates: vec![],
        resumed: None,
        hung_after: None,
        secrets: vec![],
    })
}
