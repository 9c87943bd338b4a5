//! What must be nowhere: tokens, private keys, passwords of upstreams.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sprint_identity::connect::{Credential, connect};
use sprint_identity::context::Context;
use sprint_identity::testing::TestAuthority;
use sprint_proto::v1;
use sprint_tests::{Cluster, OutpostOptions, commit, eventually};
use tokio_stream::StreamExt as _;

use crate::site::Site;
use crate::table::{Attack, STRANGER, attack};

/// A secret, and its name.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 12, "{what}: {secret:?} is too short to be looked for");
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    fn add_token(&mut self, what: &str, token: &str) {
        self.add(what, token.split('_').nth(2).expect("a token has a secret"));
    }

    /// A private key: each line of its text.
    fn add_key(&mut self, path: &Path) {
        let pem = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(pem.contains("PRIVATE KEY"), "{}", path.display());
        for line in pem.lines().filter(|line| !line.starts_with("-----") && line.len() >= 12) {
            self.add(&path.display().to_string(), line);
        }
    }

    /// Fails when a text holds one of them.
    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret), "the secret of {what} is in {place}");
        }
    }

    /// Fails when any process shows one to others: in its arguments or its environment.
    #[track_caller]
    fn are_not_in_processes(&self) {
        for (what, secret) in &self.0 {
            let shown = sprint_tests::mentioning(secret).into_iter().map(arguments).collect::<Vec<_>>();
            assert!(shown.is_empty(), "the secret of {what} is shown by {shown:?}");
        }
    }
}

fn arguments(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}

/// A whole session with everything logged: joining, work, its landing, and people who look at it.
pub(crate) fn whole_session() {
    let mut cluster = Cluster::start(0);
    cluster.log_everything();
    let mut secrets = Secrets(vec![]);
    let join = cluster.token(&["--kind", "outpost"]);
    let viewer = cluster.token(&["--kind", "viewer", "--name", "ann"]);
    let operator = cluster.token(&["--kind", "operator", "--name", "bob"]);
    for (what, token) in [("the outpost's token", &join), ("ann's token", &viewer), ("bob's token", &operator)] {
        secrets.add_token(what, token);
    }
    let by_token = vec!["--token".to_owned(), join];
    cluster.add_outpost("gpu-1", OutpostOptions { more: by_token, ..OutpostOptions::default() });
    cluster.online("gpu-1");
    for key in ["ca.key", "server.key", "admin.key"] {
        secrets.add_key(&cluster.coordinator_data().join("identity").join(key));
    }
    secrets.add_key(&cluster.outpost_data("gpu-1").join("identity/key.pem"));
    let repo = cluster.repo("web", &[], &["--gate", "env=env; sleep 0.2"]);
    let hold = cluster.hold("at-work");
    let id = cluster.add(&repo, "Look around", &format!("env; {}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    secrets.are_not_in_processes();
    // People look, by their tokens, also where they may not.
    let mut answers = String::new();
    for token in [&viewer, &operator] {
        for args in [
            &["whoami"][..],
            &["item", "show", &id.to_string(), "-o", "json"],
            &["worker", "list", "--all", "-o", "json"],
            &["event", "tail", "--since", "0", "-o", "json"],
            &["outpost", "list", "-o", "json"],
            &["token", "list", "-o", "json"],
            &["token", "create", "--kind", "admin"],
            &["audit", "-o", "json"],
            &["repo", "show", "web", "-o", "json"],
        ] {
            let answer = cluster.sprintctl_with(&[("SPRINT_TOKEN", token)], args);
            answers = answers + &answer.text() + &answer.stderr;
        }
    }
    secrets.are_not_in("an answer to people", &answers);
    let listed = cluster.sprintctl(&["token", "list", "--all", "-o", "json"]).succeeded().text();
    secrets.are_not_in("the list of tokens", &listed);
    hold.release();
    cluster.landed(&repo, id);
    secrets.are_not_in_processes();
    secrets.are_not_in("the record", &cluster.sprintctl(&["event", "tail", "--since", "0", "-o", "json"]).text());
    secrets.are_not_in("the coordinator's log", &cluster.coordinator_log());
    assert!(cluster.coordinator_log().contains("TRACE"), "it logs all it can");
    secrets.are_not_in("the outpost's log", &cluster.outpost_log("gpu-1"));
    for worker in cluster.json(&["worker", "list", "--all"]).as_array().expect("a list") {
        let log = cluster.sprintctl(&["worker", "logs", &worker["id"].to_string()]).text();
        secrets.are_not_in("a worker's terminal", &log);
    }
    // On the disk, keys are where they belong, and tokens nowhere.
    let own = ["ca.key", "server.key", "admin.key", "key.pem", "admin.toml", "local.toml"];
    let (mut kept, mut looked_at) = (BTreeSet::new(), 0);
    for path in files(cluster.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(content) = std::fs::read(&path) else { continue };
        if own.contains(&name.as_str()) {
            let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} is for its owner only", path.display());
            kept.insert(name);
        } else {
            secrets.are_not_in(&path.display().to_string(), &String::from_utf8_lossy(&content));
            looked_at += 1;
        }
    }
    assert_eq!(kept.len(), own.len(), "each is where it belongs: {kept:?}");
    assert!(looked_at > 30, "the record, the logs and the repositories were looked at: {looked_at} files");
}

/// The password of an upstream that does not answer, while git waits for it and after it has given up.
pub(crate) async fn upstream_that_does_not_answer() {
    let site = Site::start(&[]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = silent.local_addr().expect("an address");
    let mut secrets = Secrets(vec![]);
    let (user, password) = (sprint_identity::random(8), sprint_identity::random(8));
    secrets.add("the upstream's user", &user);
    secrets.add("the upstream's password", &password);
    let url = format!("http://{user}:{password}@{host}/web.git");
    let request = v1::AddRepoRequest { name: "web".to_owned(), url, ..v1::AddRepoRequest::default() };
    let mut repos = v1::repos_client::ReposClient::new(site.home().await);
    let adding = tokio::spawn(async move { repos.add(request).await });
    let waiting = tokio::task::spawn_blocking(move || {
        let (stream, _): (TcpStream, _) = silent.accept().expect("git comes");
        // All users of this host can see the arguments of git and of its child processes now.
        let shown = sprint_tests::mentioning(&host.to_string()).into_iter().map(arguments).collect::<Vec<_>>();
        assert!(shown.iter().any(|line| line.contains("ls-remote")), "git is at it: {shown:?}");
        assert!(shown.iter().any(|line| line.contains("remote-http")), "and its helper: {shown:?}");
        for line in &shown {
            secrets.are_not_in("a list of processes", line);
        }
        drop((stream, silent));
        secrets
    });
    let secrets = waiting.await.expect("no panic");
    let status = adding.await.expect("no panic").expect_err("there is no such upstream");
    secrets.are_not_in("the error", &format!("{status:?}"));
    assert!(status.message().contains(&format!("http://***@{host}/web.git")), "{status:?}");
    secrets.are_not_in("the coordinator's log", &site.cluster.coordinator_log());
}

/// The password of an upstream that works, and then does not: another repo of the same coordinator, by a token.
pub(crate) fn upstream_with_a_password() {
    let cluster = Cluster::start(1);
    cluster.repo("web", &[], &[]);
    let token = cluster.token(&["--kind", "viewer", "--name", "mirror"]);
    let mut secrets = Secrets(vec![]);
    secrets.add_token("the upstream's password", &token);
    let url = format!("http://mirror:{token}@{}/git/web.git", cluster.http());
    cluster.feed(&["repo", "add", "mirror", "-", "--gate", "true=true"], url.as_bytes()).succeeded();
    let args = [
        "item",
        "add",
        "--repo",
        "mirror",
        "--run",
        &commit("a.txt", "a"),
        "Lands, but cannot be pushed",
        "-o",
        "json",
    ];
    let id = cluster.sprintctl(&args).succeeded().json()["id"].as_u64().expect("a number");
    eventually("it has landed", || cluster.item(id)["commit"].is_string());
    let explain = ["item", "explain", &id.to_string()];
    eventually("the push is refused", || cluster.sprintctl(&explain).text().contains("people do not push here"));
    let mut said = cluster.coordinator_log();
    for args in [
        &["repo", "list"][..],
        &["repo", "list", "-o", "json"],
        &["repo", "show", "mirror"],
        &["repo", "show", "mirror", "-o", "json"],
        &["event", "tail", "--since", "0", "-o", "json"],
        &["item", "explain", &id.to_string()],
        &["status", "-o", "json"],
        &["audit", "-o", "json"],
    ] {
        let answer = cluster.sprintctl(args);
        said = said + &answer.text() + &answer.stderr;
    }
    assert!(said.contains(&format!("http://***@{}/git/web.git", cluster.http())), "it is shown without: {said}");
    secrets.are_not_in("what is said of a repo", &said);
    for path in files(&cluster.coordinator_data().join("repos")) {
        let content = std::fs::read(&path).unwrap_or_default();
        secrets.are_not_in(&path.display().to_string(), &String::from_utf8_lossy(&content));
    }
}

/// Runs a program as a person would, away from everything of this test's own.
fn run(program: &str, home: &Path, args: &[&str]) -> (bool, String) {
    let binary = std::env::current_exe().expect("a test knows its executable");
    let binary = binary.ancestors().nth(2).expect("it is in target/PROFILE/deps").join(program);
    let mut command = Command::new("timeout");
    command.arg("20").arg(binary).args(args).env("HOME", home).env("SPRINT_CONFIG_DIR", home.join("contexts"));
    command.env_remove("SPRINT_TOKEN").env_remove("SPRINT_COORDINATOR");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// A token goes to the coordinator that made it, and to no other server at its address.
pub(crate) async fn impostor() {
    let site = Site::start(&[]);
    let impostor = TestAuthority::make();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut incoming = Box::pin(impostor.incoming(listener));
    let heard = tokio::spawn(async move { incoming.next().await.is_some() });
    let home = tempfile::tempdir().expect("a directory");
    let (_, join) = site.join_token(1, "").await;
    let (_, person) = site.person("admin", "ann").await;
    let data = home.path().join("data").display().to_string();
    for (program, args) in [
        (
            "outpost-agent",
            &["join", "--coordinator", &address, "--token", &join, "--name", "a", "--data-dir", &data][..],
        ),
        ("sprintctl", &["login", "--coordinator", &address, "--token", &person, "--name", "x"]),
    ] {
        let (path, args) = (home.path().to_owned(), args.iter().map(ToString::to_string).collect::<Vec<_>>());
        let ran = tokio::task::spawn_blocking(move || {
            run(program, &path, &args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let (well, said) = ran.await.expect("no panic");
        assert!(!well && said.contains("nothing was sent to it"), "{program}: {said}");
    }
    // A context that trusts the real one leads nowhere else, either.
    let context = Context::read(&site.cluster.coordinator_data().join("admin.toml")).expect("is there");
    let token = Credential::Token(person.parse().expect("a token"));
    let error = connect(&address, &context.trusted(), &token, |endpoint| endpoint).await.expect_err("is another");
    assert!(error.to_string().contains("nothing was sent to it"), "{error}");
    assert!(!heard.is_finished(), "no connection came about over which anything was sent");
    heard.abort();
    assert!(
        site.enrol(
            site.fresh_source(),
            &join,
            "later",
            &sprint_identity::key::Key::generate().request(),
            crate::site::now()
        )
        .await
        .is_ok(),
        "the token was not spent"
    );
}

/// The other coordinator's side of it: it records a connection that was opened and closed.
pub(crate) fn mistaken() -> Vec<Attack> {
    let row = |name, program: &'static str, kind: &'static str| {
        attack(
            name,
            STRANGER,
            "nothing was sent to it",
            "no TLS: received fatal alert",
            async move |site: Arc<Site>, _| {
                let elsewhere = Site::start(&[]);
                let request = v1::CreateTokenRequest { kind: kind.to_owned(), ..v1::CreateTokenRequest::default() };
                let (_, token) = elsewhere.token(request).await;
                let (address, home) = (site.address().to_string(), tempfile::tempdir().expect("a directory"));
                let data = home.path().join("data").display().to_string();
                let ran = tokio::task::spawn_blocking(move || {
                    let common = ["--coordinator", &address, "--token", &token, "--name", "lost"];
                    let args = match program {
                        "sprintctl" => [&["login"], &common[..]].concat(),
                        _ => [&["join", "--data-dir", &data], &common[..]].concat(),
                    };
                    run(program, home.path(), &args)
                });
                let (well, said) = ran.await.expect("no panic");
                if well { Ok(said) } else { Err(said) }
            },
        )
        .one_by_one()
    };
    vec![
        row("joining here with another coordinator's token", "outpost-agent", "outpost"),
        row("logging in here with another coordinator's token", "sprintctl", "viewer"),
    ]
}
