//! The real binaries of this build, in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sprint_identity::connect::{Connection, Credential, connect};
use sprint_identity::context::Context;
use sprint_identity::key::Key;
use sprint_identity::trust::Trust;
use sprint_proto::v1;

use crate::binaries::binary;

/// A coordinator with its outposts.
#[derive(Debug)]
pub struct Site {
    directory: tempfile::TempDir,
    coordinator: Option<Child>,
    /// Where it listens, and what else it was told.
    serve: Vec<String>,
    agents: Vec<Agent>,
    pub address: String,
    /// The local admin's connection.
    pub channel: Connection,
    pub trust: Trust,
}

#[derive(Debug)]
struct Agent {
    name: String,
    data: PathBuf,
    args: Vec<String>,
    token: String,
    child: Option<Child>,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub fn git(directory: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]).args(args).current_dir(directory);
    run(&mut command)
}

/// Waits until `done` gives something.
pub async fn until<T>(what: &str, done: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    until_by(Duration::from_millis(2), what, done).await
}

/// The same with a pause of the caller's between two looks, where looking costs what is being measured.
pub async fn until_by<T>(pause: Duration, what: &str, mut done: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = done() {
            return Ok(found);
        }
        anyhow::ensure!(began.elapsed() < Duration::from_mins(3), "{what} did not come to pass");
        tokio::time::sleep(pause).await;
    }
}

impl Site {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a coordinator with further options.
    pub async fn start_with(options: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sprint-bench").tempdir()?;
        let data = directory.path().join("coordinator");
        let serve = |grpc: &str, http: &str| {
            let args = ["serve", "--listen", grpc, "--http", http].into_iter().chain(options.iter().copied());
            args.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let coordinator = spawn_coordinator(directory.path(), &serve("127.0.0.1:0", "127.0.0.1:0"))?;
        let endpoints = served(&data, coordinator.id()).await?;
        let address = endpoints["grpc"].as_str().context("an address")?.to_owned();
        // From now on it comes back where its outposts look for it.
        let serve = serve(&address, endpoints["http"].as_str().context("an address")?);
        let context = Context::read(&data.join("admin.toml"))?;
        let trust = context.trusted();
        let channel = connect(&address, &trust, &context.credential()?, |endpoint| endpoint).await?;
        Ok(Self { directory, coordinator: Some(coordinator), serve, agents: vec![], address, channel, trust })
    }

    pub fn kill_coordinator(&mut self) {
        end(&mut self.coordinator);
    }

    /// Starts the coordinator again where it was, and waits until it serves; answers how long that took.
    pub async fn start_coordinator(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let child = spawn_coordinator(self.path(), &self.serve)?;
        let pid = child.id();
        self.coordinator = Some(child);
        served(&self.data(), pid).await?;
        Ok(began.elapsed())
    }

    /// Ends the coordinator, and answers what "coordinator check" says of what it leaves.
    pub fn check(&mut self) -> anyhow::Result<String> {
        self.kill_coordinator();
        run(Command::new(binary("coordinator")).args(["check", "--data-dir"]).arg(self.data()))
    }

    fn data(&self) -> PathBuf {
        self.path().join("coordinator")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A token with which `uses` outposts may join.
    pub async fn token(&self, uses: u32) -> anyhow::Result<String> {
        let request = v1::CreateTokenRequest { kind: "outpost".to_owned(), uses, ..v1::CreateTokenRequest::default() };
        let mut identity = v1::identity_client::IdentityClient::new(self.channel.clone());
        Ok(identity.create_token(request).await?.into_inner().text)
    }

    /// Lets outposts in that the benchmark plays itself.
    pub fn door(&self) -> Door {
        Door(v1::identity_client::IdentityClient::new(self.channel.clone()))
    }

    /// A connection of an outpost that the benchmark plays itself.
    pub async fn stub(&self, name: &str, token: &str) -> anyhow::Result<Connection> {
        let credential = self.door().enrol(name, token).await?;
        Ok(connect(&self.address, &self.trust, &credential, |endpoint| endpoint).await?)
    }

    /// Starts an outpost and waits until it is online; answers its data directory.
    pub async fn outpost(&mut self, name: &str, max_workers: u32, warm: u32) -> anyhow::Result<PathBuf> {
        self.outpost_with(name, max_workers, warm, &[]).await
    }

    /// As [`Site::outpost`], with more arguments.
    pub async fn outpost_with(
        &mut self,
        name: &str,
        max_workers: u32,
        warm: u32,
        more: &[String],
    ) -> anyhow::Result<PathBuf> {
        let data = self.path().join(name);
        let words = ["join", "--coordinator", &self.address, "--name", name, "--data-dir", &data.display().to_string()]
            .map(ToOwned::to_owned);
        let sizes = ["--max-workers".to_owned(), max_workers.to_string(), "--warm".to_owned(), warm.to_string()];
        let args = words.into_iter().chain(sizes).chain(more.iter().cloned()).collect();
        let token = self.token(1).await?;
        self.agents.push(Agent { name: name.to_owned(), data: data.clone(), args, token, child: None });
        self.start_agent(name)?;
        self.is_online(name).await?;
        Ok(data)
    }

    fn agent(&mut self, name: &str) -> anyhow::Result<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.name == name).context("there is such an outpost")
    }

    pub fn start_agent(&mut self, name: &str) -> anyhow::Result<()> {
        let agent = self.agent(name)?;
        let command = Command::new(binary("outpost-agent"))
            .args(&agent.args)
            .env("RUST_LOG", "error")
            .env("SPRINT_OUTPOST_TOKEN", &agent.token)
            .stdin(Stdio::null())
            .spawn()?;
        agent.child = Some(command);
        Ok(())
    }

    pub fn kill_agent(&mut self, name: &str) -> anyhow::Result<()> {
        end(&mut self.agent(name)?.child);
        Ok(())
    }

    pub fn agent_pid(&mut self, name: &str) -> anyhow::Result<u32> {
        self.agent(name)?.child.as_ref().map(Child::id).context("it runs")
    }

    /// Waits until an outpost is online.
    pub async fn is_online(&self, name: &str) -> anyhow::Result<()> {
        let mut outposts = v1::outposts_client::OutpostsClient::new(self.channel.clone());
        loop {
            let list = outposts.list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
            let online = |status: &v1::OutpostStatus| {
                status.outpost.as_ref().is_some_and(|outpost| outpost.name == name && outpost.state == "online")
            };
            if list.iter().any(online) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A git repository with `files` files of one commit.
    pub fn upstream(&self, files: usize) -> anyhow::Result<PathBuf> {
        let path = self.path().join(format!("upstream-{files}"));
        make_repository(&path, files)?;
        Ok(path)
    }

    /// Takes a repository under management, without gates and with one attempt for each item.
    pub async fn add_repo(&self, upstream: &Path) -> anyhow::Result<()> {
        let request = v1::AddRepoRequest {
            name: "bench".to_owned(),
            url: upstream.display().to_string(),
            max_attempts: 1,
            ..v1::AddRepoRequest::default()
        };
        v1::repos_client::ReposClient::new(self.channel.clone()).add(request).await?;
        Ok(())
    }

    /// Adds `count` items that run `run`; answers their numbers.
    pub async fn add_items(&self, count: usize, run: &str) -> anyhow::Result<Vec<u64>> {
        let item = v1::NewItem {
            repo: "bench".to_owned(),
            kind: "task".to_owned(),
            title: "bench".to_owned(),
            priority: "medium".to_owned(),
            stage: "ready".to_owned(),
            run: Some(run.to_owned()),
            ..v1::NewItem::default()
        };
        let mut items = v1::items_client::ItemsClient::new(self.channel.clone())
            .max_decoding_message_size(sprint_proto::MAX_MESSAGE_BYTES);
        let request = v1::AddItemsRequest { items: vec![item; count] };
        Ok(items.add(request).await?.into_inner().items.into_iter().map(|item| item.id).collect())
    }

    pub fn coordinator_pid(&self) -> Option<u32> {
        self.coordinator.as_ref().map(Child::id)
    }
}

/// The address that outposts connect to.
#[derive(Debug, Clone)]
pub struct Door(v1::identity_client::IdentityClient<Connection>);

impl Door {
    /// Exchanges a token for a certificate.
    pub async fn enrol(&mut self, name: &str, token: &str) -> anyhow::Result<Credential> {
        let key = Key::generate();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
        let request = v1::EnrolRequest {
            token: token.to_owned(),
            outpost: name.to_owned(),
            csr: key.request().into(),
            now_ms: i64::try_from(now)?,
        };
        let chain_pem = self.0.enrol(request).await?.into_inner().chain_pem;
        Ok(Credential::Certificate { chain_pem, key_pem: key.to_pem() })
    }
}

fn spawn_coordinator(directory: &Path, serve: &[String]) -> anyhow::Result<Child> {
    let mut command = Command::new(binary("coordinator"));
    command.args(serve).arg("--data-dir").arg(directory.join("coordinator"));
    command.env("RUST_LOG", "warn").env("SPRINT_CONFIG_DIR", directory.join("contexts")).stdin(Stdio::null());
    Ok(command.spawn()?)
}

/// Waits until the coordinator that is this process serves; answers where.
async fn served(data: &Path, pid: u32) -> anyhow::Result<serde_json::Value> {
    let endpoints = data.join("endpoints.json");
    until("the coordinator's start", || {
        let text = std::fs::read_to_string(&endpoints).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok().filter(|json| json["pid"] == pid)
    })
    .await
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Makes a git repository with `files` files, in directories of 50.
pub fn make_repository(path: &Path, files: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)?;
    git(path, &["init", "--quiet", "--initial-branch", "main"])?;
    for file in 0..files {
        let directory = path.join(format!("d{}", file / 50));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(format!("f{file}.txt")), format!("file {file}\n").repeat(20))?;
    }
    git(path, &["add", "--all"])?;
    git(path, &["commit", "--quiet", "--message", "begin"])?;
    Ok(())
}

impl Drop for Site {
    fn drop(&mut self) {
        end(&mut self.coordinator);
        for agent in &mut self.agents {
            end(&mut agent.child);
            // No server is running where no worker ever was.
            let _ = Command::new("tmux").arg("-S").arg(agent.data.join("tmux.sock")).arg("kill-server").output();
        }
        crate::processes::end_all(&self.path().display().to_string());
    }
}
