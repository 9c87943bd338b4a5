//! A coordinator that does as little as possible, a real repository, and the real agent.

mod coordinator;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sprint_core::agent::AgentSaid;
use sprint_core::assignment;
use sprint_core::assignment::{
    Assignment, AttemptOutcome, CommandResult, GateRunOutcome, Leftovers, Outcome, Report, ReportBody,
};
use sprint_core::fixtures;
use sprint_core::gates::{Gate, GateOutcome};
use sprint_core::ids::{ChangeId, CommitId, TrialId, WorkerId};
use sprint_core::job::{GateJob, Job};
use sprint_core::runtime::Runtime;

pub(crate) use coordinator::{Coordinator, State};

/// How long anything may take here; a loaded machine is slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// A directory with a repository, a coordinator, and an agent's data.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) coordinator: Coordinator,
    pub(crate) base: CommitId,
    agent: Option<Child>,
    data: PathBuf,
    options: Vec<String>,
}

/// What a worker's `Finished` says.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) exit_code: Option<i32>,
    pub(crate) steps: Vec<CommandResult>,
    pub(crate) wip: Option<CommitId>,
    pub(crate) log_bytes: u64,
    pub(crate) log_tail: String,
    pub(crate) outcome: Outcome,
    pub(crate) left: Box<Leftovers>,
    pub(crate) agent: Option<Box<AgentSaid>>,
}

impl Site {
    /// Starts everything, the agent with further options.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let mut site = Self::without_agent(options).await;
        site.start_agent();
        site.joined(1).await;
        site
    }

    pub(crate) async fn without_agent(options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("outpost-").tempdir().expect("a directory");
        let repository = dir.path().join("git/web.git");
        std::fs::create_dir_all(&repository).expect("is made");
        git(&repository, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        let base = commit_file(&repository, "README", "hello\n");
        git(&repository, &["update-ref", "refs/heads/main", base.as_str()]);
        std::fs::create_dir(dir.path().join("outside")).expect("is made");
        let coordinator = Coordinator::start(format!("file://{}", dir.path().display())).await;
        let data = dir.path().join("data it's");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { dir, coordinator, base, agent: None, data, options }
    }

    /// Puts the agent's data somewhere else, before it starts.
    pub(crate) fn set_data(&mut self, data: &Path) {
        data.clone_into(&mut self.data);
    }

    /// Gives the agent one more option from its next start on.
    pub(crate) fn add_option(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A directory that workers may write to, besides their own.
    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("git/web.git")
    }

    pub(crate) fn worker_dir(&self, worker: WorkerId) -> PathBuf {
        self.data.join("workers").join(worker.to_string())
    }

    pub(crate) fn agent_command(&self) -> Command {
        self.coordinator.admit(&self.data);
        let mut command = Command::new(env!("CARGO_BIN_EXE_outpost-agent"));
        command
            .args(["join", "--name", "test", "--coordinator", &self.coordinator.address()])
            .arg("--data-dir")
            .arg(&self.data)
            .arg("--allow-write")
            .arg(self.outside())
            .args(&self.options)
            .env("SECRET_OF_THE_AGENT", "hidden");
        command
    }

    pub(crate) fn start_agent(&mut self) {
        let mut command = self.agent_command();
        self.start_agent_by(&mut command);
    }

    /// Starts the agent by a command that becomes it.
    pub(crate) fn start_agent_by(&mut self, command: &mut Command) {
        let log = std::fs::File::options().append(true).create(true).open(self.dir.path().join("agent.log"));
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the agent starts");
        self.agent = Some(child);
    }

    /// Waits until the agent has said hello `times` times.
    pub(crate) async fn joined(&self, times: usize) {
        self.coordinator.until("the agent joins", |state| state.hellos.len() >= times).await;
    }

    pub(crate) fn agent_pid(&self) -> i32 {
        i32::try_from(self.agent.as_ref().expect("it runs").id()).expect("a pid")
    }

    /// Ends the agent without a chance to do anything.
    pub(crate) fn kill_agent(&mut self) {
        let mut agent = self.agent.take().expect("it runs");
        agent.kill().expect("can be killed");
        agent.wait().expect("ends");
    }

    /// Waits for the agent's own end.
    pub(crate) async fn agent_ends(&mut self) -> std::process::ExitStatus {
        let mut agent = self.agent.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || agent.wait().expect("ends"));
        tokio::time::timeout(LIMIT, ended).await.expect("ends in time").expect("is waited for")
    }

    pub(crate) fn agent_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    pub(crate) fn tmux(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("tmux").arg("-S").arg(self.data.join("tmux.sock")).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A worker on an item that runs a command line.
    pub(crate) fn item(&self, worker: u64, run: &str) -> Assignment {
        Assignment {
            base: self.base.clone(),
            title: "Make it \"so\"".to_owned(),
            prompt: "Please do it.\n".to_owned(),
            steps: vec![step("developer", run)],
            ..fixtures::assignment(worker, worker + 100, run)
        }
    }

    /// A gate run of the start commit.
    pub(crate) fn gates(&self, worker: u64, gates: &[(&str, &str)]) -> Assignment {
        Assignment {
            job: Job::Gate(GateJob {
                trial: TrialId::new(5),
                gate: gates.first().map_or("none", |(name, _)| *name).to_owned(),
            }),
            change: Some(ChangeId::new(7)),
            steps: gates.iter().map(|(name, run)| step(name, run)).collect(),
            gates: gates.iter().map(|(name, run)| Gate::new(*name, *run)).collect(),
            ..self.item(worker, "")
        }
    }

    pub(crate) async fn assign(&self, assignment: Assignment) -> WorkerId {
        let worker = assignment.worker;
        self.coordinator.assign(assignment).await;
        worker
    }

    /// Waits for a worker's end.
    pub(crate) async fn finished(&self, worker: WorkerId) -> Finished {
        let what = format!("worker {worker} finishes");
        self.coordinator.until(&what, |state| state.finished(worker).is_some()).await;
        self.coordinator.with(|state| state.finished(worker)).expect("has finished")
    }

    /// Waits until a worker's command runs.
    pub(crate) async fn started(&self, worker: WorkerId) {
        let what = format!("worker {worker} starts");
        self.coordinator
            .until(&what, |state| state.bodies(worker).iter().any(|body| matches!(body, ReportBody::Started { .. })))
            .await;
    }

    /// Waits until the log at the coordinator holds a text.
    pub(crate) async fn logged(&self, worker: WorkerId, text: &str) {
        let what = format!("worker {worker} logs {text:?}");
        self.coordinator.until(&what, |state| contains(&state.log(worker), text.as_bytes())).await;
    }

    /// Has a worker forgotten, and waits until nothing of it is left.
    pub(crate) async fn forgotten(&self, worker: WorkerId) {
        self.coordinator.forget(worker).await;
        let dir = self.worker_dir(worker);
        eventually("the worker's directory goes", || !dir.exists()).await;
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.repository(), args)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the agent's log ---\n{}", self.agent_log());
            for worker in std::fs::read_dir(self.data.join("workers")).into_iter().flatten().flatten() {
                let log = std::fs::read(worker.path().join("terminal.log")).unwrap_or_default();
                let end = &log[log.len().saturating_sub(2000)..];
                eprintln!("--- {} ---\n{}", worker.path().display(), String::from_utf8_lossy(end));
            }
        }
        if let Some(mut agent) = self.agent.take() {
            agent.kill().ok();
            agent.wait().ok();
        }
        // A server that is only just starting does not listen yet.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while !tmux_processes(&self.data).is_empty() && std::time::Instant::now() < deadline {
            self.tmux(&["kill-server"]);
            std::thread::sleep(Duration::from_millis(10));
        }
        for pid in tmux_processes(&self.data) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).ok();
        }
    }
}

pub(crate) fn step(name: &str, run: &str) -> assignment::Command {
    assignment::Command {
        name: name.to_owned(),
        runtime: Runtime::shell(),
        run: run.to_owned(),
        timeout: Duration::from_mins(1),
    }
}

pub(crate) fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// The verdict on the last gate of a run that was judged.
pub(crate) fn refused(outcome: &Outcome) -> (GateOutcome, &str) {
    let Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) = outcome else { panic!("not gated: {outcome:?}") };
    let last = verdicts.last().expect("a verdict");
    (last.outcome, &last.reason)
}

/// The names of reports, in order.
pub(crate) fn names(reports: &[ReportBody]) -> Vec<&'static str> {
    reports
        .iter()
        .map(|report| match report {
            ReportBody::Accepted => "accepted",
            ReportBody::Started { .. } => "started",
            ReportBody::Exited { .. } => "exited",
            ReportBody::Noted { .. } => "noted",
            ReportBody::SentBack { .. } => "sent_back",
            ReportBody::Finished { .. } => "finished",
        })
        .collect()
}

/// Waits until something outside the coordinator holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn git(repository: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    let output = Command::new("git").args(who).arg("--git-dir").arg(repository).args(args).output().expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Makes a first commit with one file.
fn commit_file(repository: &Path, name: &str, content: &str) -> CommitId {
    use std::io::Write as _;
    let mut import = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("git runs");
    let text = format!(
        "commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 5\nfirst\nM 644 inline {name}\ndata {}\n{content}\n",
        content.len()
    );
    import.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("is written");
    assert!(import.wait().expect("ends").success());
    CommitId::new(git(repository, &["rev-parse", "refs/heads/main"])).expect("a commit")
}

impl State {
    pub(crate) fn reports_of(&self, worker: WorkerId) -> Vec<Report> {
        self.reports.iter().filter(|report| report.worker == worker).cloned().collect()
    }

    pub(crate) fn bodies(&self, worker: WorkerId) -> Vec<ReportBody> {
        self.reports_of(worker).into_iter().map(|report| report.body).collect()
    }

    pub(crate) fn finished(&self, worker: WorkerId) -> Option<Finished> {
        self.bodies(worker).into_iter().find_map(|body| match body {
            ReportBody::Finished { exit_code, steps, wip, log_bytes, log_tail, outcome, left, agent } => {
                Some(Finished { exit_code, steps, wip, log_bytes, log_tail, outcome, left, agent })
            }
            ReportBody::Accepted
            | ReportBody::Started { .. }
            | ReportBody::Exited { .. }
            | ReportBody::Noted { .. }
            | ReportBody::SentBack { .. } => None,
        })
    }
}

/// The processes whose environment names a worker of this site.
pub(crate) fn processes_of(site: &Site, worker: WorkerId) -> Vec<i32> {
    let mark = format!("SPRINT_SOCKET={}/worker.sock", site.worker_dir(worker).display());
    std::fs::read_dir("/proc")
        .expect("a list")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| contains(&std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default(), mark.as_bytes()))
        .collect()
}

/// The reason of a worker that was lost.
pub(crate) fn lost(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Attempt(AttemptOutcome::Lost { reason }) | Outcome::Gate(GateRunOutcome::Lost { reason }) => {
            reason.clone()
        }
        Outcome::Attempt(_) | Outcome::Gate(_) => panic!("not lost: {outcome:?}"),
    }
}

/// The reason of a worker that failed.
pub(crate) fn failed(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Attempt(AttemptOutcome::Failed { reason }) | Outcome::Gate(GateRunOutcome::Failed { reason }) => {
            reason.clone()
        }
        Outcome::Attempt(_) | Outcome::Gate(_) => panic!("not failed: {outcome:?}"),
    }
}

/// The tmux servers and clients of a data directory.
fn tmux_processes(data: &Path) -> Vec<i32> {
    let socket = data.join("tmux.sock").display().to_string();
    std::fs::read_dir("/proc")
        .expect("a list")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"tmux\0") && contains(&line, socket.as_bytes())
        })
        .collect()
}
