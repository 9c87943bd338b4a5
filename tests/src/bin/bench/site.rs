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

/// A coordinator with its outposts.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    daemons: Vec<Child>,
    agents: Vec<PathBuf>,
    pub(crate) address: String,
    /// The local admin's connection.
    pub(crate) channel: Connection,
    trust: Trust,
}

fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.is_file(), "{} is not built; run: make bench", path.display());
    Ok(path)
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn git(directory: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]).args(args).current_dir(directory);
    run(&mut command)
}

/// Waits until `done` gives something.
pub(crate) async fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = done() {
            return Ok(found);
        }
        anyhow::ensure!(began.elapsed() < Duration::from_mins(3), "{what} did not come to pass");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Site {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sprint-bench").tempdir()?;
        let data = directory.path().join("coordinator");
        let contexts = directory.path().join("contexts");
        let coordinator = Command::new(binary("coordinator")?)
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env("RUST_LOG", "warn")
            .env("SPRINT_CONFIG_DIR", &contexts)
            .spawn()?;
        let endpoints = data.join("endpoints.json");
        let text = until("the coordinator's start", || std::fs::read_to_string(&endpoints).ok()).await?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let address = json["grpc"].as_str().context("an address")?.to_owned();
        let context = Context::read(&data.join("admin.toml"))?;
        let trust = context.trusted();
        let channel = connect(&address, &trust, &context.credential()?, |endpoint| endpoint).await?;
        Ok(Self { directory, daemons: vec![coordinator], agents: vec![], address, channel, trust })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A token with which so many outposts may join.
    pub(crate) async fn token(&self, uses: u32) -> anyhow::Result<String> {
        let request = v1::CreateTokenRequest { kind: "outpost".to_owned(), uses, ..v1::CreateTokenRequest::default() };
        let mut identity = v1::identity_client::IdentityClient::new(self.channel.clone());
        Ok(identity.create_token(request).await?.into_inner().text)
    }

    /// A connection of an outpost that the benchmark plays itself.
    pub(crate) async fn stub(&self, name: &str, token: &str) -> anyhow::Result<Connection> {
        let key = Key::generate();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
        let request = v1::EnrolRequest {
            token: token.to_owned(),
            outpost: name.to_owned(),
            csr: key.request().into(),
            now_ms: i64::try_from(now)?,
        };
        let mut identity = v1::identity_client::IdentityClient::new(self.channel.clone());
        let chain_pem = identity.enrol(request).await?.into_inner().chain_pem;
        let credential = Credential::Certificate { chain_pem, key_pem: key.to_pem() };
        Ok(connect(&self.address, &self.trust, &credential, |endpoint| endpoint).await?)
    }

    /// Starts an outpost and waits until it is online; answers its data directory.
    pub(crate) async fn outpost(&mut self, name: &str, max_workers: u32, warm: u32) -> anyhow::Result<PathBuf> {
        let data = self.path().join(name);
        let agent = Command::new(binary("outpost-agent")?)
            .args(["join", "--coordinator", &self.address, "--name", name, "--data-dir"])
            .arg(&data)
            .args(["--max-workers", &max_workers.to_string(), "--warm", &warm.to_string()])
            .env("RUST_LOG", "warn")
            .env("SPRINT_TOKEN", self.token(1).await?)
            .spawn()?;
        self.daemons.push(agent);
        self.agents.push(data.clone());
        let mut outposts = v1::outposts_client::OutpostsClient::new(self.channel.clone());
        loop {
            let list = outposts.list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
            let online = |status: &v1::OutpostStatus| {
                status.outpost.as_ref().is_some_and(|outpost| outpost.name == name && outpost.state == "online")
            };
            if list.iter().any(online) {
                return Ok(data);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A git repository with `files` files of one commit.
    pub(crate) fn upstream(&self, files: usize) -> anyhow::Result<PathBuf> {
        let path = self.path().join(format!("upstream-{files}"));
        make_repository(&path, files)?;
        Ok(path)
    }

    /// Takes a repository under management, without gates and with one attempt for each item.
    pub(crate) async fn add_repo(&self, upstream: &Path) -> anyhow::Result<()> {
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
    pub(crate) async fn add_items(&self, count: usize, run: &str) -> anyhow::Result<Vec<u64>> {
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

    pub(crate) fn coordinator_pid(&self) -> Option<u32> {
        match self.daemons.as_slice() {
            [coordinator, ..] => Some(coordinator.id()),
            [] => None,
        }
    }
}

/// Makes a git repository with `files` files, in directories of 50.
pub(crate) fn make_repository(path: &Path, files: usize) -> anyhow::Result<()> {
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
        for daemon in &mut self.daemons {
            // It may have ended by itself.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for data in &self.agents {
            // No server is running where no worker ever was.
            let _ = Command::new("tmux").arg("-S").arg(data.join("tmux.sock")).arg("kill-server").output();
        }
    }
}
