//! A coordinator and outposts in a directory of their own.

mod daemons;
mod end;
mod leftovers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::binaries::binary;
use crate::ctl::{self, Answer, Background};
use crate::daemon::Daemon;
use crate::git::Repo;
use crate::{eventually, processes};

/// How an outpost is started.
#[derive(Debug, Clone)]
pub struct OutpostOptions {
    pub max_workers: u32,
    /// What it calls itself, if not as the test calls it.
    pub name: Option<String>,
    /// Where its data is, if not in the cluster's directory.
    pub data: Option<PathBuf>,
    pub more: Vec<String>,
    /// Where it dials, if not the coordinator itself.
    pub coordinator: Option<String>,
    /// The network namespace that it lives in, if not ours.
    pub namespace: Option<String>,
    pub variables: Vec<(String, String)>,
}

impl Default for OutpostOptions {
    fn default() -> Self {
        let (name, data, coordinator, namespace) = (None, None, None, None);
        Self { max_workers: 4, name, data, more: vec![], coordinator, namespace, variables: vec![] }
    }
}

/// A command line that waits for a file, and the file.
#[derive(Debug, Clone)]
pub struct Hold {
    pub run: String,
    go: PathBuf,
    seen: PathBuf,
}

impl Hold {
    /// Waits until a worker has come to the command line.
    #[track_caller]
    pub fn reached(&self) {
        eventually("a worker comes to the hold", || self.seen.exists());
    }

    /// Lets the worker go on.
    pub fn release(&self) {
        std::fs::write(&self.go, b"").expect("is written");
    }
}

/// A running cluster of real binaries; all that it started ends with it.
#[derive(Debug)]
pub struct Cluster {
    dir: tempfile::TempDir,
    coordinator: Daemon,
    outposts: BTreeMap<String, Daemon>,
    grpc: String,
    http: String,
    /// How much daemons say that are started from now on, if not as usual.
    log_level: Option<&'static str>,
    /// Whether the directory outlives a failure.
    keep: bool,
}

impl Cluster {
    /// Starts a coordinator and this number of outposts, named `local-1` and so on.
    #[track_caller]
    pub fn start(outposts: usize) -> Self {
        Self::start_with(outposts, &[])
    }

    /// Starts a cluster whose coordinator has further options; it listens on loopback.
    #[track_caller]
    pub fn start_with(outposts: usize, options: &[&str]) -> Self {
        Self::listening("127.0.0.1:0", outposts, options)
    }

    /// Starts a cluster whose coordinator listens on an address of the test's own.
    #[track_caller]
    pub fn listening(listen: &str, outposts: usize, options: &[&str]) -> Self {
        // Short: a socket's path may have 107 bytes only.
        let dir = tempfile::Builder::new().prefix("sprint-e2e.").tempdir_in("/tmp").expect("a directory");
        let data = dir.path().join("coordinator").display().to_string();
        let args = ["serve", "--data-dir", &data, "--listen", listen, "--http", "127.0.0.1:0"];
        let args = args
            .into_iter()
            .chain(["--heartbeat", "1s"])
            .chain(options.iter().copied())
            .map(ToOwned::to_owned)
            .collect();
        let coordinator = Daemon::new("coordinator", args, dir.path().join("coordinator.log"));
        let (grpc, http) = (String::new(), String::new());
        let mut cluster =
            Self { dir, coordinator, outposts: BTreeMap::new(), grpc, http, log_level: None, keep: false };
        let contexts = cluster.contexts().display().to_string();
        cluster.coordinator.env("SPRINT_CONFIG_DIR", &contexts);
        cluster.start_coordinator();
        // From now on it comes back where its outposts look for it.
        cluster.coordinator.args[4] = format!("{}:{}", listen.trim_end_matches(":0"), cluster.port());
        cluster.coordinator.args[6].clone_from(&cluster.http);
        for number in 1..=outposts {
            cluster.add_outpost(&format!("local-{number}"), OutpostOptions::default());
        }
        for number in 1..=outposts {
            cluster.online(&format!("local-{number}"));
        }
        cluster
    }

    /// Leaves the directory where it is when the test fails.
    pub fn keep_if_it_fails(&mut self) {
        self.keep = true;
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the coordinator leaves its local admin's context, and `sprintctl` looks for it.
    pub fn contexts(&self) -> PathBuf {
        self.dir.path().join("contexts")
    }

    /// Runs `coordinator` on this cluster's data directory.
    #[track_caller]
    pub fn coordinator_command(&self, command: &[&str], args: &[&str]) -> Answer {
        let data = self.coordinator_data().display().to_string();
        self.binary("coordinator", &[command, &["--data-dir", &data], args].concat())
    }

    /// Makes a token with `coordinator token create`.
    #[track_caller]
    pub fn token(&self, args: &[&str]) -> String {
        self.coordinator_command(&["token", "create"], args).succeeded().text().trim().to_owned()
    }

    /// The coordinator's gRPC port.
    pub fn port(&self) -> u16 {
        self.grpc.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("an address has a port")
    }

    /// A directory that workers may write to, besides their own.
    pub fn shared(&self) -> PathBuf {
        self.dir.path().join("shared")
    }

    /// The coordinator's gRPC address.
    pub fn address(&self) -> &str {
        &self.grpc
    }

    /// The address of a repo for git.
    pub fn git_url(&self, repo: &str) -> String {
        format!("https://{}/git/{repo}.git", self.grpc)
    }

    /// Runs git in a directory as the local admin, who may fetch.
    pub fn git(&self, directory: &Path, args: &[&str]) -> std::process::Output {
        let file = |name: &str| self.coordinator_data().join("identity").join(name).display().to_string();
        let context = self.dir.path().join("admin.pem");
        let admin = sprint_identity::context::Context::read(&self.coordinator_data().join("admin.toml"))
            .expect("the coordinator wrote it");
        std::fs::write(&context, admin.certificate.expect("the local admin has one")).expect("is written");
        // By the environment, which may name other authorities already.
        let certificate = context.display().to_string();
        let identity = [
            ("GIT_SSL_CERT", certificate.as_str()),
            ("GIT_SSL_KEY", &file("admin.key")),
            ("GIT_SSL_CAINFO", &file("ca.pem")),
        ];
        crate::git::git_as(directory, &identity, args)
    }

    /// What lets git in as an outpost, for its environment.
    pub fn git_identity(&self, outpost: &str) -> Vec<(String, String)> {
        let file = |name: &str| self.outpost_data(outpost).join("identity").join(name).display().to_string();
        [("GIT_SSL_CERT", "cert.pem"), ("GIT_SSL_KEY", "key.pem"), ("GIT_SSL_CAINFO", "trust.pem")]
            .map(|(key, name)| (key.to_owned(), file(name)))
            .to_vec()
    }

    pub fn http(&self) -> &str {
        &self.http
    }

    pub fn coordinator_data(&self) -> PathBuf {
        self.dir.path().join("coordinator")
    }

    pub fn coordinator_pid(&self) -> u32 {
        self.coordinator.pid()
    }

    pub fn coordinator_log(&self) -> String {
        self.coordinator.log()
    }

    /// Starts the coordinator again, and lets it and every outpost that is added from now on log all they can.
    #[track_caller]
    pub fn log_everything(&mut self) {
        self.log_level = Some("trace");
        self.coordinator.env("RUST_LOG", "trace");
        self.kill_coordinator();
        self.start_coordinator();
    }

    /// Starts an outpost; it may not be online yet.
    pub fn add_outpost(&mut self, name: &str, options: OutpostOptions) {
        let OutpostOptions { max_workers, name: own_name, data, more, coordinator, namespace, variables } = options;
        let data = data.unwrap_or_else(|| self.dir.path().join(name)).display().to_string();
        let mut args = ["join", "--name", own_name.as_deref().unwrap_or(name), "--data-dir", &data]
            .map(ToOwned::to_owned)
            .to_vec();
        args.extend(["--max-workers".to_owned(), max_workers.to_string()]);
        std::fs::create_dir_all(self.shared()).expect("is made");
        args.extend(["--allow-write".to_owned(), self.shared().display().to_string()]);
        args.extend(more);
        let mut outpost = Daemon::new("outpost-agent", args, self.dir.path().join(format!("{name}.log")));
        outpost.namespace = namespace;
        outpost.env("SPRINT_COORDINATOR", coordinator.as_deref().unwrap_or(&self.grpc));
        if let Some(level) = self.log_level {
            outpost.env("RUST_LOG", level);
        }
        outpost.env("SPRINT_TOKEN", &self.token(&["--kind", "outpost"]));
        outpost.env("SECRET_OF_THE_AGENT", "hidden-from-workers");
        for (key, value) in &variables {
            outpost.env(key, value);
        }
        outpost.start();
        self.outposts.insert(name.to_owned(), outpost);
    }

    /// Joins by a command line as a person types it, in another network namespace and a home of its own;
    /// answers the name that the outpost has given itself.
    #[track_caller]
    pub fn join_from(&mut self, namespace: &crate::Namespace, command: &str) -> String {
        let mut words = command.split_whitespace().map(ToOwned::to_owned);
        assert_eq!(words.next().as_deref(), Some("outpost-agent"));
        let mut outpost = Daemon::new("outpost-agent", words.collect(), self.dir.path().join("far.log"));
        outpost.namespace = Some(namespace.name.clone());
        let home = self.dir.path().join("far");
        std::fs::create_dir(&home).expect("is made");
        outpost.env("HOME", &home.display().to_string());
        outpost.start();
        self.outposts.insert("far".to_owned(), outpost);
        let name = crate::eventually_some("it is online", || {
            let list = self.json(&["outpost", "list"]);
            let online = list.as_array()?.iter().find(|outpost| outpost["state"] == "online")?;
            Some(online["name"].as_str()?.to_owned())
        });
        // Where its data is: what it started is ended there.
        let data = format!("far/.local/state/sprint/outpost-{name}");
        assert!(self.dir.path().join(&data).is_dir(), "its data is below its home: {data}");
        if let Some(outpost) = self.outposts.remove("far") {
            self.outposts.insert(data, outpost);
        }
        name
    }

    fn outpost(&mut self, name: &str) -> &mut Daemon {
        self.outposts.get_mut(name).expect("there is such an outpost")
    }

    pub fn outpost_data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn outpost_log(&self, name: &str) -> String {
        self.outposts[name].log()
    }

    /// Waits until the coordinator knows an outpost as online.
    #[track_caller]
    pub fn online(&self, name: &str) {
        eventually(&format!("outpost {name} is online"), || {
            let answer = self.sprintctl(&["outpost", "show", name, "-o", "json"]);
            answer.code == 0 && answer.json()["state"] == "online"
        });
    }

    /// Runs `sprintctl`.
    pub fn sprintctl(&self, args: &[&str]) -> Answer {
        ctl::run(&self.contexts(), &self.grpc, args)
    }

    /// Runs `sprintctl` with variables of the test's own.
    pub fn sprintctl_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Answer {
        ctl::run_with(&self.contexts(), &self.grpc, variables, args)
    }

    /// Runs `sprintctl` in a directory, with variables of the test's own.
    pub fn sprintctl_in(&self, directory: &Path, variables: &[(&str, &str)], args: &[&str]) -> Answer {
        ctl::run_in(directory, &self.contexts(), &self.grpc, variables, args)
    }

    /// The tokens of outposts and people, but for the local admin's.
    #[track_caller]
    pub fn tokens(&self) -> Vec<Value> {
        let all = self.json(&["token", "list", "--all"]);
        let all = all.as_array().expect("a list").iter();
        all.filter(|token| token["name"] != "local").cloned().collect()
    }

    /// The refusals on record.
    #[track_caller]
    pub fn refusals(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["kind"] == "access_refused").collect()
    }

    /// Starts an outpost without its token from now on.
    pub fn forget_token(&mut self, name: &str) {
        self.outpost(name).unset("SPRINT_TOKEN");
    }

    /// Starts an outpost with another token from now on.
    pub fn new_token(&mut self, name: &str) {
        let token = self.token(&["--kind", "outpost"]);
        self.outpost(name).unset("SPRINT_TOKEN");
        self.outpost(name).env("SPRINT_TOKEN", &token);
    }

    /// Runs `sprintctl` with something on its standard input.
    pub fn feed(&self, args: &[&str], input: &[u8]) -> Answer {
        ctl::feed(&self.contexts(), &self.grpc, args, input)
    }

    /// Starts `sprintctl` beside the test.
    pub fn spawn(&self, args: &[&str]) -> Background {
        ctl::spawn(&self.contexts(), &self.grpc, args)
    }

    /// Runs `sprintctl … -o json`, which must succeed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        self.sprintctl(&all).succeeded().json()
    }

    /// Runs another of the binaries, and waits for its end.
    pub fn binary(&self, program: &str, args: &[&str]) -> Answer {
        let mut command = Command::new("timeout");
        command.arg("20").arg(binary(program)).args(args).env_remove("SPRINT_COORDINATOR").env_remove("SPRINT_TOKEN");
        command.env("SPRINT_CONFIG_DIR", self.contexts());
        Answer::new(format!("{program} {}", args.join(" ")), command.output().expect("it runs"))
    }

    /// Makes an upstream with these files beside a README, and takes it under management.
    #[track_caller]
    pub fn repo(&self, name: &str, files: &[(&str, &str)], options: &[&str]) -> Repo {
        let repo = Repo::make(self.dir.path(), name, files);
        let url = repo.upstream.display().to_string();
        let mut args = vec!["repo", "add", name, &url];
        args.extend(options);
        self.sprintctl(&args).succeeded();
        repo
    }

    /// Adds an item to a repo with a command line; answers its number.
    #[track_caller]
    pub fn add(&self, repo: &Repo, title: &str, run: &str) -> u64 {
        self.add_with(repo, title, run, &[])
    }

    /// Adds an item with further options.
    #[track_caller]
    pub fn add_with(&self, repo: &Repo, title: &str, run: &str, options: &[&str]) -> u64 {
        let mut args = vec!["item", "add", "--repo", &repo.name, "--run", run, title];
        args.extend(options);
        self.json(&args)["id"].as_u64().expect("an item has a number")
    }

    #[track_caller]
    pub fn item(&self, id: u64) -> Value {
        self.json(&["item", "show", &id.to_string()])
    }

    /// Waits until an item is in a stage; answers the item.
    #[track_caller]
    pub fn until(&self, id: u64, stage: &str) -> Value {
        let mut item = Value::Null;
        eventually(&format!("item {id} is {stage}"), || {
            let answer = self.sprintctl(&["item", "show", &id.to_string(), "-o", "json"]);
            if answer.code == 0 {
                item = answer.json();
            }
            item["stage"] == stage
        });
        item
    }

    /// Waits until an item is done and its landing has reached the upstream, once.
    #[track_caller]
    pub fn landed(&self, repo: &Repo, id: u64) -> Value {
        let item = self.until(id, "done");
        assert_eq!(repo.landings(id), 1, "item {id} lands once");
        item
    }

    /// All workers of an item, the first first.
    #[track_caller]
    pub fn workers(&self, item: u64) -> Vec<Value> {
        let found = self.json(&["worker", "list", "--all", "--item", &item.to_string()]);
        let mut workers = found.as_array().expect("a list").clone();
        workers.sort_by_key(|worker| worker["id"].as_u64());
        workers
    }

    /// The number of the worker that an item has now.
    #[track_caller]
    pub fn worker(&self, item: u64) -> String {
        crate::eventually_some("the item has a worker", || self.item(item)["worker"].as_u64()).to_string()
    }

    /// All changes of an item, the first first.
    #[track_caller]
    pub fn changes(&self, item: u64) -> Vec<Value> {
        let found = self.json(&["change", "list", "--all", "--item", &item.to_string()]);
        let mut changes = found.as_array().expect("a list").clone();
        changes.sort_by_key(|change| change["id"].as_u64());
        changes
    }

    /// Waits until an item's change waits for a person, and approves it; answers its number.
    #[track_caller]
    pub fn approved(&self, item: u64, reason: &str) -> u64 {
        let waits = |change: &Value| change["protection"].is_object() && change["protection"]["approval"].is_null();
        let change = crate::eventually_some("a change waits for approval", || {
            self.changes(item).into_iter().rfind(waits)?["id"].as_u64()
        });
        self.sprintctl(&["change", "approve", &change.to_string(), "--reason", reason]).succeeded();
        change
    }

    /// The whole record.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let answer = self.sprintctl(&["event", "tail", "--since", "0", "-o", "json"]).succeeded();
        answer.text().lines().map(|line| serde_json::from_str(line).expect("an event is JSON")).collect()
    }

    /// How many events of a kind an item has.
    #[track_caller]
    pub fn count(&self, item: u64, kind: &str) -> usize {
        self.events().iter().filter(|event| event["item"] == item && event["kind"] == kind).count()
    }

    /// A place where a worker waits for the test.
    pub fn hold(&self, name: &str) -> Hold {
        let (go, seen) = (self.shared().join(format!("{name}.go")), self.shared().join(format!("{name}.seen")));
        let run = format!("touch '{}'; while ! test -e '{}'; do sleep 0.05; done", seen.display(), go.display());
        Hold { run, go, seen }
    }

    /// The processes of this cluster's workers.
    pub fn worker_processes(&self) -> Vec<i32> {
        processes::mentioning(&format!("SPRINT_WORKSPACE={}/", self.dir.path().display()))
    }
}
