//! `sprintctl up`: a coordinator and an outpost on this host, with a repository of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sprint_core::address::RepoAddress;
use sprint_core::ids::{OutpostName, RepoName};
use sprint_core::job::Role;
use sprint_core::outpost::{Outpost, OutpostState};
use sprint_core::runtime::{Catalog, Runtime};
use sprint_core::token::OUTPOST_VARIABLE;
use sprint_identity::context::Contexts;
use sprint_proto::v1;

use crate::agent::AgentArgs;
use crate::client::Client;
use crate::command::repo::identity;
use crate::failure::Failure;
use crate::git::{git, run};
use crate::local::keeper::Keeper;
use crate::local::place::{OUTPOST, Place, Ports, Running, Started};
use crate::local::program::{Program, find};
use crate::output::{Output, note, progress};
use crate::target::Target;

/// How long a daemon may take to begin.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The checkout that work is for [default: the one around the working directory, if there is one]
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The command line of your agent, for a repo that is new
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    #[command(flatten)]
    agent: AgentArgs,
    /// Files that git ignores, such as `.env`, for workers of this repo: what the branch's `[workspace]` or
    /// `.worktreeinclude` names of them is copied. Any worker of the repo may come to read the directory
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// The most workers at one time, when the outpost is started [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_workers: Option<u32>,
}

/// What is there now, and what is new of it.
#[derive(Debug, Serialize)]
struct Up {
    coordinator: Part,
    outpost: Part,
    repo: Option<RepoPart>,
    /// What a person should know.
    notes: Vec<String>,
    next: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Part {
    name: String,
    started: bool,
    log: String,
}

#[derive(Debug, Serialize)]
struct RepoPart {
    name: RepoName,
    added: bool,
    path: PathBuf,
    branch: String,
}

pub(crate) async fn up(args: UpArgs, output: &Output) -> Result<(), Failure> {
    let UpArgs { repo, run, agent, files, max_workers } = args;
    let agent = agent.runtime();
    if let Some(agent) = &agent {
        check_agent(&agent.name)?;
    }
    let checkout = checkout(repo.as_deref())?;
    let files = files.as_deref().map(directory).transpose()?;
    if files.is_some() && checkout.is_none() {
        return Err(
            Failure::usage("files are for a repo, and there is no checkout here").with_next("name one with --repo DIR")
        );
    }
    let (place, keeper) = (Place::of_environment()?, Keeper::of_host());
    let mut local = Local::read(place, keeper)?;
    let (target, new_coordinator) = local.coordinator().await?;
    let client = Client::connect(&target).await?;
    let new_outpost = local.outpost(&client, &target, max_workers).await?;
    let repo = match checkout {
        Some(path) => Some(add(&client, path, run, agent).await?),
        None => None,
    };
    if let (Some(files), Some(repo)) = (files, &repo) {
        local.place.lend(&repo.name, &files)?;
    }
    let log = |program: &str| keeper.log(program, &local.place);
    let mut notes: Vec<_> = if new_coordinator || new_outpost { keeper.caveat().into_iter().collect() } else { vec![] };
    let current = Contexts::of_environment()?.current()?;
    if let Some(name) = target.context.as_ref().filter(|name| current.as_ref() != Some(*name)) {
        notes.push(format!(
            "another context is the current one; make this one current with: sprintctl context use {name}"
        ));
    }
    let up = Up {
        next: next(repo.as_ref()),
        coordinator: Part { name: target.address.clone(), started: new_coordinator, log: log("coordinator") },
        outpost: Part { name: OUTPOST.to_owned(), started: new_outpost, log: log("outpost-agent") },
        repo,
        notes,
    };
    output.one(&up, |up, _| text(up))
}

fn text(up: &Up) -> String {
    let state = |new: bool| if new { "started" } else { "runs already" };
    let part =
        |what: &str, part: &Part| format!("{what:12} {:20} {:14} log: {}", part.name, state(part.started), part.log);
    let mut lines = vec![part("coordinator", &up.coordinator), part("outpost", &up.outpost)];
    if let Some(RepoPart { name, added, path, branch }) = &up.repo {
        let state = if *added { "added" } else { "known already" };
        lines.push(format!("{:12} {:20} {state:14} branch {branch} of {}", "repo", name.as_str(), path.display()));
    }
    lines.extend(up.notes.iter().map(|note| format!("note: {note}")));
    lines.push("next:".to_owned());
    lines.extend(up.next.iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

/// What to type next.
fn next(repo: Option<&RepoPart>) -> Vec<String> {
    let Some(RepoPart { name, branch, .. }) = repo else {
        return vec!["sprintctl up   # in a checkout of yours".to_owned()];
    };
    vec![
        format!("sprintctl item add --repo {name} \"TITLE\""),
        "sprintctl wait ID".to_owned(),
        format!("git log {branch}"),
    ]
}

/// The top of the checkout that is meant; none where none is meant.
fn checkout(given: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let from = given.unwrap_or(Path::new("."));
    match run(git(from).args(["rev-parse", "--show-toplevel"])) {
        Ok(top) => Ok(Some(PathBuf::from(top))),
        Err(_) if given.is_none() => Ok(None),
        Err(_) => Err(Failure::usage(format!("{} is not in a checkout of git", from.display()))
            .with_next("name the directory of one, or make one with: git init")),
    }
}

/// The outpost that is started here has what is here.
fn check_agent(name: &str) -> Result<(), Failure> {
    let Some(Runtime { command, .. }) = Catalog::shipped().get(name) else {
        return Err(Failure::usage(format!("there is no agent \"{name}\""))
            .with_next(format!("name one of {}, or a command line with --run", Catalog::shipped().names())));
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = command.first().map_or(name, String::as_str);
    if std::env::split_paths(&path).any(|directory| directory.join(program).is_file()) {
        return Ok(());
    }
    Err(Failure::new("client.local", format!("{program} is not on PATH"))
        .with_next(format!("install {name}, log in to it, and see that this works: {program} --version")))
}

/// A directory that is there, by its whole path.
fn directory(given: &Path) -> Result<PathBuf, Failure> {
    let found = given.canonicalize().map_err(Failure::io(format!("looking at {}", given.display())))?;
    if found.is_dir() { Ok(found) } else { Err(Failure::usage(format!("{} is no directory", given.display()))) }
}

/// What runs on this host, as far as `up` started it.
struct Local {
    place: Place,
    keeper: Keeper,
    started: Started,
}

impl Local {
    fn read(place: Place, keeper: Keeper) -> Result<Self, Failure> {
        let started = match place.started()? {
            Some(started) => started,
            None => Started { ports: Ports::choose()?, coordinator: None, outpost: None },
        };
        Ok(Self { place, keeper, started })
    }

    fn remember(&self) -> Result<(), Failure> {
        self.place.remember(&self.started)
    }

    /// The way to the coordinator of this host, which is started if none answers.
    async fn coordinator(&mut self) -> Result<(Target, bool), Failure> {
        if let Some(target) = self.reach().await? {
            return Ok((target, false));
        }
        if !self.started.coordinator.as_ref().is_some_and(Running::lives) {
            progress("starting a coordinator …");
            let Ports { grpc, http } = self.started.ports;
            let data = self.place.coordinator().display().to_string();
            let listen = [format!("127.0.0.1:{grpc}"), format!("127.0.0.1:{http}")];
            let args = ["serve", "--data-dir", &data, "--listen", &listen[0], "--http", &listen[1]];
            let args = args.map(ToOwned::to_owned).to_vec();
            // Its directory is made here, for the log beside it.
            self.remember()?;
            let program = Program { name: "coordinator", path: find("coordinator")?, args, secret: None };
            self.started.coordinator = Some(self.keeper.start(&program, &self.place)?);
            self.remember()?;
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(target) = self.reach().await? {
                return Ok((target, true));
            }
            self.check("coordinator", self.started.coordinator.as_ref(), deadline)?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The way to the coordinator, if it answers.
    async fn reach(&self) -> Result<Option<Target>, Failure> {
        let found = Target::of_data_dir(&Contexts::of_environment()?, &self.place.coordinator())?;
        let Some(target) = found else { return Ok(None) };
        Ok(Client::connect(&target).await.is_ok().then_some(target))
    }

    /// Fails when a program has ended, or takes too long.
    fn check(&self, program: &str, running: Option<&Running>, deadline: Instant) -> Result<(), Failure> {
        let why = if running.is_some_and(|running| !running.lives()) {
            "has ended"
        } else if Instant::now() > deadline {
            "does not answer"
        } else {
            return Ok(());
        };
        let said = self.place.last_words(program);
        let said = if said.is_empty() { String::new() } else { format!(":\n{said}") };
        let log = self.keeper.log(program, &self.place);
        Err(Failure::new("client.local", format!("the {program} that was started {why}{said}"))
            .with_next(format!("read its log: {log}")))
    }

    /// Starts the outpost unless it is online; answers whether it had to.
    async fn outpost(&mut self, client: &Client, target: &Target, max_workers: Option<u32>) -> Result<bool, Failure> {
        if is_online(client).await? {
            return Ok(false);
        }
        let mut new = false;
        if !self.started.outpost.as_ref().is_some_and(Running::lives) {
            progress("starting an outpost …");
            let data = self.place.outpost().display().to_string();
            let files = self.place.files();
            fs::create_dir_all(&files).map_err(Failure::io(format!("making {}", files.display())))?;
            let files = files.display().to_string();
            let args =
                ["join", "--coordinator", &target.address, "--name", OUTPOST, "--data-dir", &data, "--files", &files];
            let mut args = args.map(ToOwned::to_owned).to_vec();
            args.extend(max_workers.iter().flat_map(|most| ["--max-workers".to_owned(), most.to_string()]));
            let has_certificate = self.place.outpost().join("identity/cert.pem").exists();
            let secret = if has_certificate { None } else { Some((OUTPOST_VARIABLE, token(client).await?)) };
            let program = Program { name: "outpost-agent", path: find("outpost-agent")?, args, secret };
            self.started.outpost = Some(self.keeper.start(&program, &self.place)?);
            self.remember()?;
            new = true;
        }
        let deadline = Instant::now() + LIMIT;
        while !is_online(client).await? {
            self.check("outpost-agent", self.started.outpost.as_ref(), deadline)?;
            tokio::time::sleep(PAUSE).await;
        }
        // It has a certificate now.
        fs::remove_file(self.place.token()).ok();
        Ok(new)
    }
}

async fn is_online(client: &Client) -> Result<bool, Failure> {
    let outposts = client.outposts().list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
    let ours = outposts.into_iter().filter_map(|status| status.outpost).find(|outpost| outpost.name == OUTPOST);
    let Some(ours) = ours else { return Ok(false) };
    Ok(Outpost::try_from(ours)?.state == OutpostState::Online)
}

/// A token for one outpost of that name.
async fn token(client: &Client) -> Result<String, Failure> {
    let name_prefix = OutpostName::new(OUTPOST).map(|name| name.to_string()).unwrap_or_default();
    let request = v1::CreateTokenRequest { kind: "outpost".to_owned(), uses: 1, name_prefix, ..Default::default() };
    Ok(client.identity().create_token(request).await?.into_inner().text)
}

/// Takes a checkout under management, unless it is.
async fn add(client: &Client, path: PathBuf, run: Option<String>, agent: Option<Runtime>) -> Result<RepoPart, Failure> {
    let address = path.display().to_string();
    let repos = client.repos().list(v1::ListReposRequest {}).await?.into_inner().repos;
    let shown = RepoAddress::as_kept(address.clone()).to_string();
    if let Some(known) = repos.iter().find(|repo| repo.url.as_deref() == Some(&shown)) {
        if let Some(Runtime { name, .. }) = &agent {
            note(&format!(
                "its agent stays as it is; change it with: sprintctl repo set {} --agent {name}",
                known.name
            ));
        }
        if run.is_some() {
            note(&format!("its command stays as it is; change it with: sprintctl repo set {} --run CMD", known.name));
        }
        let name = RepoName::new(known.name.clone())
            .map_err(|error| Failure::new("client.malformed_answer", error.to_string()))?;
        return Ok(RepoPart { name, added: false, path, branch: known.branch.clone() });
    }
    let taken: Vec<_> = repos.iter().map(|repo| repo.name.as_str()).collect();
    let name = free_name(&path, &taken);
    progress(&format!("cloning {address} …"));
    let request = v1::AddRepoRequest {
        name: name.to_string(),
        url: address,
        committing: Some(v1::CommittingPatch { author: identity(&path), ..Default::default() }),
        run: run.iter().map(|run| (Role::Developer.to_string(), run.clone())).collect(),
        runtimes: agent.into_iter().map(|agent| (Role::Developer.to_string(), agent.into())).collect(),
        ..Default::default()
    };
    let answer = client.repos().add(request).await?.into_inner();
    for warning in answer.notices.iter().map(|notice| &notice.message) {
        note(&format!("warning: {warning}"));
    }
    let branch = answer.repo.map(|repo| repo.branch).unwrap_or_default();
    Ok(RepoPart { name, added: true, path, branch })
}

/// A name after a directory's that is not taken.
fn free_name(path: &Path, taken: &[&str]) -> RepoName {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).trim_end_matches(".git");
    let mut base = name.to_owned();
    // Leaves room for a number.
    base.truncate(58);
    let named = |number: usize| {
        let text = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        RepoName::new(text).unwrap_or_else(|_| RepoName::new(format!("repo-{number}")).expect("is a name"))
    };
    let free = (1..=taken.len() + 1).map(named).find(|name| !taken.contains(&name.as_str()));
    free.expect("one more than are taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_name_to_the_repo() {
        let name = |path: &str, taken: &[&str]| free_name(Path::new(path), taken).to_string();
        assert_eq!(name("/home/ann/web", &[]), "web");
        assert_eq!(name("/home/ann/web", &["web", "web-2"]), "web-3");
        assert_eq!(name("/srv/My Project (2)", &[]), "my-project--2");
        assert_eq!(name("/srv/.dotfiles", &[]), "dotfiles");
        assert_eq!(name("/srv/ünïcode", &[]), "n-code");
        assert_eq!(name("/srv/日本", &["repo-1"]), "repo-2");
        assert_eq!(name("/", &[]), "repo-1");
        assert_eq!(name(&format!("/{}", "x".repeat(200)), &[]).len(), 58);
    }
}
