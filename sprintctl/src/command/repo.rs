//! `sprintctl repo`.

use std::collections::HashMap;
use std::path::Path;

use clap::{Args, Subcommand};
use sprint_core::address::RepoAddress;
use sprint_core::committing::GitIdentity;
use sprint_core::explain::ReasonView;
use sprint_core::gates::Gate;
use sprint_core::ids::CommitId;
use sprint_core::ids::RepoName;
use sprint_core::job::Role;
use sprint_core::repo::{Filing, NothingToDo, Repo, Resume, UpstreamChoice};
use sprint_core::runtime::Runtime;
use sprint_proto::convert::{Malformed, millis};
use sprint_proto::v1;

use crate::agent::{self, AgentArgs};
use crate::app::App;
use crate::args::{self, Pair};
use crate::failure::Failure;
use crate::git::{git, run};
use crate::output::{note, progress};
use crate::render::reason;
use crate::render::repo::{RepoDetails, details, list};
use crate::secret;

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Clone a git repository and take it under management
    Add(Box<RepoAddArgs>),
    /// List the repos
    List,
    /// Show a repo: its settings, its tip and its configured gates
    Show {
        /// The repo's name
        name: RepoName,
    },
    /// Read a repo's upstream now, and take over what others brought there; while work runs that is done each minute
    Fetch {
        /// The repo's name
        name: RepoName,
    },
    /// Change a repo's settings
    Set(Box<RepoSetArgs>),
    /// Remove a repo; its upstream stays as it is
    Remove {
        /// The repo's name
        name: RepoName,
        /// Cancel its open items
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RepoAddArgs {
    /// A name for it: a-z, 0-9, '.', '_' and '-'
    name: RepoName,
    /// Where to clone from and push to: a URL, or a path on the coordinator's host; "-" reads it from standard
    /// input; use this for a URL with a password
    url: String,
    /// The branch that work lands on [default: the upstream's HEAD]
    #[arg(long)]
    branch: Option<String>,
    /// The developers' command line, for items without one of their own
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// The command line of another role, such as the resolver, who resolves merge conflicts; repeatable
    #[arg(long, value_name = "ROLE=CMD")]
    role_run: Vec<Pair<Role, String>>,
    #[command(flatten)]
    agent: AgentArgs,
    /// The agent of another role: its name, or a TOML file that says how it is started; repeatable
    #[arg(long, value_name = "ROLE=NAME|FILE")]
    runtime: Vec<Pair<Role, String>>,
    /// The number of attempts before an item is blocked [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,
    /// The most workers of a role at one time; repeatable
    #[arg(long, value_name = "ROLE=N")]
    limit: Vec<Pair<Role, u32>>,
    /// Push a branch `sprint-probe-…` to the upstream and delete it there, to find out now whether it takes pushes
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    gates: RepoGateArgs,
    #[command(flatten)]
    commits: CommitArgs,
}

#[derive(Debug, Args)]
struct RunningArgs {
    /// The start of a further attempt: the branch that work lands on (clean), the commits and uncommitted changes of
    /// the attempt before (wip), or only its commits (branch) [default: clean]
    #[arg(long, value_name = "clean|wip|branch")]
    retry_from: Option<Resume>,
    /// Whether an item is done, or blocked until a person decides, of which a worker says that there is nothing to do;
    /// one with acceptance criteria is always blocked [default: block]
    #[arg(long, value_name = "block|done")]
    nothing_to_do: Option<NothingToDo>,
    /// Whether items that workers file wait for a person in the inbox, or are given out like any other
    /// [default: inbox]
    #[arg(long, value_name = "inbox|ready")]
    filing: Option<Filing>,
    /// The longest run of a worker on an item [default: 2h]
    #[arg(long, value_name = "DURATION")]
    max_duration: Option<humantime::Duration>,
    /// End a worker on an item after this time without output and without CPU use; 0s for no limit
    /// [default: 5m]
    #[arg(long, value_name = "DURATION")]
    hung_after: Option<humantime::Duration>,
}

#[derive(Debug, Args)]
struct CommitArgs {
    /// Whose the commits of landings are; empty for Sprint itself [default: your own identity in git]
    #[arg(long, value_name = "NAME <EMAIL>")]
    author: Option<String>,
    /// Who commits them; empty for Sprint itself [default: Sprint itself]
    #[arg(long, value_name = "NAME <EMAIL>")]
    committer: Option<String>,
    /// Whether they have a Signed-off-by of the committer [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    sign_off: Option<bool>,
    /// Sign them with this private SSH key, a file on the coordinator's host; empty for no signature
    #[arg(long, value_name = "FILE")]
    sign: Option<String>,
}

impl CommitArgs {
    /// A path from here is one on this host, as the coordinator's need not be.
    fn wire(self) -> v1::CommittingPatch {
        let Self { author, committer, sign_off, sign } = self;
        let absolute = |path: String| match std::path::absolute(&path) {
            Ok(absolute) if !path.is_empty() => absolute.display().to_string(),
            Ok(_) | Err(_) => path,
        };
        v1::CommittingPatch { author, committer, sign_off, sign: sign.map(absolute) }
    }
}

#[derive(Debug, Args)]
struct RepoGateArgs {
    /// A command that must pass before anything lands, if the repo's sprint.toml names none; repeatable
    #[arg(long = "gate", value_name = "NAME=CMD")]
    gates: Vec<Pair<String, String>>,
    /// The timeout of each --gate
    #[arg(long, value_name = "DURATION", default_value = "30m", requires = "gates")]
    gate_timeout: humantime::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct RepoSetArgs {
    /// The repo's name
    name: RepoName,
    /// The developers' command line; empty to remove it
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// The command line of a role, such as the resolver, who resolves merge conflicts; empty to remove it; repeatable
    #[arg(long, value_name = "ROLE=CMD")]
    role_run: Vec<Pair<Role, String>>,
    #[command(flatten)]
    agent: AgentArgs,
    /// The agent of a role: its name, or a TOML file that says how it is started; `shell` for a command line; repeatable
    #[arg(long, value_name = "ROLE=NAME|FILE")]
    runtime: Vec<Pair<Role, String>>,
    /// The most workers of a role at one time; 0 for no limit; repeatable
    #[arg(long, value_name = "ROLE=N")]
    limit: Vec<Pair<Role, u32>>,
    /// The number of attempts before an item is blocked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    gates: RepoGateArgs,
    #[command(flatten)]
    commits: CommitArgs,
    /// Remove all gates that were set here
    #[arg(long, conflicts_with = "gates")]
    no_gates: bool,
    /// Stop the merge queue, for this reason
    #[arg(long, value_name = "REASON", conflicts_with = "resume")]
    halt: Option<String>,
    /// Let nothing land, for this reason, while gates go on
    #[arg(long, value_name = "REASON", conflicts_with = "resume")]
    freeze: Option<String>,
    /// Let the merge queue continue after a halt or a freeze
    #[arg(long)]
    resume: bool,
    /// After the upstream was rewritten by force: move this branch to where it is, and block the items whose landings
    /// are gone there (follow), or move the upstream back to this branch, by force (restore)
    #[arg(long, value_name = "follow|restore", conflicts_with_all = ["halt", "freeze", "resume"])]
    upstream: Option<UpstreamChoice>,
    /// Have work land on another branch, as when the upstream's was renamed: it must hold what has landed
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
}

impl RepoCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut repos = app.client.repos();
        match self {
            Self::Add(args) => {
                let mut request = args.request()?;
                if request.url == "-" {
                    secret::read_line("address").await?.trim().clone_into(&mut request.url);
                }
                progress(&format!("cloning {} …", RepoAddress::as_kept(request.url.clone())));
                answered(app, repos.add(request).await?.into_inner())
            }
            Self::List => {
                let repos = repos.list(v1::ListReposRequest {}).await?.into_inner().repos;
                let repos = repos.into_iter().map(Repo::try_from).collect::<Result<Vec<_>, _>>()?;
                app.output.list(&repos, "repos", list)
            }
            Self::Show { name } => answered(app, repos.get(v1::RepoRequest { name: name.into() }).await?.into_inner()),
            Self::Fetch { name } => {
                answered(app, repos.fetch(v1::RepoRequest { name: name.into() }).await?.into_inner())
            }
            Self::Set(args) => answered(app, repos.set(args.request()?).await?.into_inner()),
            Self::Remove { name, force } => {
                let repo = repos.remove(v1::RemoveRepoRequest { name: name.into(), force }).await?.into_inner();
                app.output.one(&Repo::try_from(repo)?, |repo, layout| list(std::slice::from_ref(repo), layout))
            }
        }
    }
}

/// The identity that git has here for the person, if it has one.
pub(crate) fn identity(dir: &Path) -> Option<String> {
    let get = |key: &str| run(git(dir).args(["config", "--get", key])).ok().filter(|value| !value.is_empty());
    let identity = format!("{} <{}>", get("user.name")?, get("user.email")?);
    identity.parse::<GitIdentity>().ok().map(|identity| identity.to_string())
}

/// Prints a repo; its warnings go to standard error.
fn answered(app: &App, answer: v1::RepoAnswer) -> Result<(), Failure> {
    let view = decode(answer)?;
    app.output.one(&view, details)?;
    for warning in &view.warnings {
        note(&format!("warning: {warning}"));
    }
    Ok(())
}

impl RepoAddArgs {
    fn request(self) -> Result<v1::AddRepoRequest, Failure> {
        let Self {
            name,
            url,
            branch,
            run,
            role_run,
            agent,
            runtime,
            max_attempts,
            limit,
            probe,
            running,
            gates,
            commits,
        } = self;
        Ok(v1::AddRepoRequest {
            probe,
            runtimes: wire(agent::runtimes(runtime, agent)?),
            name: name.into(),
            url: absolute(url),
            branch: branch.unwrap_or_default(),
            run: commands(run, role_run),
            max_attempts: max_attempts.unwrap_or_default(),
            limits: args::map(limit),
            gates: gates.wire(),
            committing: Some(v1::CommittingPatch {
                author: commits.author.clone().or_else(|| identity(Path::new("."))),
                ..commits.wire()
            }),
            resume: running.retry_from.map(|resume| resume.to_string()),
            nothing_to_do: running.nothing_to_do.map(|way| way.to_string()),
            filing: running.filing.map(|way| way.to_string()),
            max_duration_ms: running.max_duration.map(|limit| millis(*limit)),
            hung_after_ms: running.hung_after.map(|limit| millis(*limit)),
        })
    }
}

impl RepoSetArgs {
    fn request(self) -> Result<v1::SetRepoRequest, Failure> {
        let Self {
            name,
            run,
            role_run,
            agent,
            runtime,
            limit,
            max_attempts,
            running,
            gates,
            commits,
            no_gates,
            halt,
            freeze,
            resume,
            upstream,
            branch,
        } = self;
        let request = v1::SetRepoRequest {
            name: name.to_string(),
            run: commands(run, role_run),
            runtimes: wire(agent::runtimes(runtime, agent)?),
            max_attempts,
            limits: args::map(limit),
            set_gates: no_gates || !gates.gates.is_empty(),
            gates: gates.wire(),
            committing: Some(commits.wire()).filter(|patch| *patch != v1::CommittingPatch::default()),
            resume,
            halt,
            freeze,
            upstream: upstream.map(|choice| choice.to_string()),
            branch,
            resume_from: running.retry_from.map(|resume| resume.to_string()),
            nothing_to_do: running.nothing_to_do.map(|way| way.to_string()),
            filing: running.filing.map(|way| way.to_string()),
            max_duration_ms: running.max_duration.map(|limit| millis(*limit)),
            hung_after_ms: running.hung_after.map(|limit| millis(*limit)),
        };
        if request == (v1::SetRepoRequest { name: name.to_string(), ..Default::default() }) {
            return Err(Failure::usage("nothing to set").with_next("see: sprintctl repo set --help"));
        }
        Ok(request)
    }
}

impl RepoGateArgs {
    fn wire(self) -> Vec<v1::Gate> {
        let timeout = *self.gate_timeout;
        let gate = |Pair { key, value }| Gate { timeout, ..Gate::new(key, value) }.into();
        self.gates.into_iter().map(gate).collect()
    }
}

/// The runtimes by role, as they are sent.
fn wire(runtimes: Vec<(Role, Runtime)>) -> HashMap<String, v1::Runtime> {
    runtimes.into_iter().map(|(role, runtime)| (role.to_string(), runtime.into())).collect()
}

/// The command lines by role; `--run` is the developers'.
fn commands<M: FromIterator<(String, String)>>(run: Option<String>, by_role: Vec<Pair<Role, String>>) -> M {
    let developer = run.map(|value| Pair { key: Role::Developer, value });
    args::map(developer.into_iter().chain(by_role).collect())
}

/// The coordinator has another working directory: a path that is there is sent whole.
fn absolute(url: String) -> String {
    std::fs::canonicalize(&url).map_or(url, |path| path.display().to_string())
}

fn decode(answer: v1::RepoAnswer) -> Result<RepoDetails, Malformed> {
    let v1::RepoAnswer { repo, tip, gates, warnings, notices } = answer;
    let notices = notices.into_iter().map(ReasonView::try_from).collect::<Result<Vec<_>, _>>()?;
    // An older coordinator sends texts alone.
    let warnings = if notices.is_empty() { warnings } else { notices.iter().map(reason::sentence).collect() };
    Ok(RepoDetails {
        repo: repo.ok_or(Malformed::Missing("the repo"))?.try_into()?,
        tip: tip.map(CommitId::new).transpose()?,
        gates_in_force: gates.into_iter().map(Gate::try_from).collect::<Result<_, _>>()?,
        warnings,
        notices: notices.into_iter().map(Into::into).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_path_that_is_there_is_made_whole() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().join("x/../");
        std::fs::create_dir(dir.path().join("x")).unwrap();
        assert_eq!(absolute(here.display().to_string()), dir.path().canonicalize().unwrap().display().to_string());
        assert_eq!(absolute("https://example.org/a.git".to_owned()), "https://example.org/a.git");
    }
}
