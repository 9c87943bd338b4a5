//! The prompts of attempts. A repository's own template is filled in by a process of its own: it may ask for any memory
//! and any time.

use std::io::{Read as _, Seek as _, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use sprint_core::bounds::PROMPT_MEMORY;
use sprint_core::item::Item;
use sprint_core::job::AttemptJob;
use sprint_core::prompt::{self, Briefing, Form};
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::worker::Worker;
use tokio::process::Command;

use crate::service::fleet::notes;
use crate::service::repos::config::config_at;
use crate::service::{Coordinator, ServiceError};

/// How far up the items above an attempt's are looked for.
const ANCESTORS: usize = 8;
/// The command by which this program fills in a template.
pub const COMMAND: &str = "fill-prompt";
/// How long that may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Seconds of processor time.
const PROCESSOR: u64 = 5;

/// The prompt of an attempt: by the repository's own template where the branch has one.
pub(super) async fn of_attempt(
    sprint: &Coordinator,
    repo: &Repo,
    item: &Item,
    job: &AttemptJob,
    worker: &Worker,
) -> Result<String, ServiceError> {
    let mut others = Vec::new();
    for other in item.conflict.iter().flat_map(|conflict| &conflict.others) {
        others.extend(sprint.store.get(other).await?);
    }
    let mut parents: Vec<Item> = Vec::new();
    let mut above = item.parent;
    while let Some(parent) = above.filter(|_| parents.len() < ANCESTORS) {
        let Some(found) = sprint.store.get(&parent).await? else { break };
        above = found.parent;
        parents.push(found);
    }
    let hand_offs = notes::hand_offs(sprint, job.item).await?;
    let hand_off = hand_offs.iter().rfind(|hand_off| hand_off.attempt < job.attempt);
    let git = sprint.git.get(&repo.name)?;
    let tree = git.tree_of(&worker.base)?;
    // A file that cannot be read halts the queue, which says so; a worker is given what it can be given.
    let method = config_at(&git, repo, &worker.base).unwrap_or_default().merge.method;
    let path = prompt::path(job.role);
    let own = git.read_file_in(&tree, &path)?.map(String::from_utf8).transpose();
    let own = own.map_err(|_| ServiceError::new(Code::ConfigInvalid, format!("{path} is not UTF-8")))?;
    let files = prompt::files(item, &parents, |path| git.has(&tree, path).unwrap_or(false));
    let told = Briefing {
        item,
        role: job.role,
        attempt: job.attempt,
        branch: &repo.branch,
        tip: &worker.base,
        method,
        parents: &parents,
        others: &others,
        files: &files,
        hand_off,
        earlier: worker.resumed.as_ref(),
    };
    let invalid = |why: String| {
        let why =
            format!("on branch {}: {why}; correct the template, or remove it for the one that ships", repo.branch);
        ServiceError::new(Code::ConfigInvalid, why)
    };
    let form = Form::new(own, &told).map_err(|error| invalid(error.to_string()))?;
    if form.is_own() {
        apart(&form).await.map_err(invalid)
    } else {
        form.fill().map_err(|error| invalid(error.to_string()))
    }
}

/// Has a template filled in by a process of its own.
async fn apart(form: &Form) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{} could not be filled in: {error}", form.path());
    // A file: a process that does not read would keep a pipe's writer waiting.
    let mut input = tempfile::tempfile().map_err(failed)?;
    serde_json::to_writer(&mut input, form).map_err(|error| failed(error.into()))?;
    input.flush().and_then(|()| input.rewind()).map_err(failed)?;
    // This very program, also where an update has put another in its place.
    let mut command = Command::new("/proc/self/exe");
    command.arg(COMMAND).env_clear().stdin(Stdio::from(input)).kill_on_drop(true);
    let filled = tokio::time::timeout(LIMIT, sprint_process::output(&mut command)).await;
    let filled =
        filled.map_err(|_| format!("{} takes longer than {} s", form.path(), LIMIT.as_secs()))?.map_err(failed)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match filled.status.code() {
        Some(0) => Ok(text(filled.stdout)),
        Some(_) => Err(text(filled.stderr).trim().to_owned()),
        None => Err(format!(
            "{} takes more than {} MiB of memory, or {PROCESSOR} s of the processor",
            form.path(),
            PROMPT_MEMORY >> 20
        )),
    }
}

/// Fills in the form on standard input, within bounds that this process sets itself.
pub fn fill_from_stdin() -> ExitCode {
    let bounded = setrlimit(Resource::RLIMIT_AS, PROMPT_MEMORY, PROMPT_MEMORY)
        .and_then(|()| setrlimit(Resource::RLIMIT_CPU, PROCESSOR, PROCESSOR))
        .and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    let filled = bounded.map_err(|error| error.to_string()).and_then(|()| {
        let mut form = vec![];
        std::io::stdin().lock().read_to_end(&mut form).map_err(|error| error.to_string())?;
        let form: Form = serde_json::from_slice(&form).map_err(|error| error.to_string())?;
        form.fill().map_err(|error| error.to_string())
    });
    match filled.and_then(|text| std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
