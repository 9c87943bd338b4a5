//! Real agents do the work: `claude`, `codex` and `grok` with a model that follows a script.

use std::process::Command;

use serde_json::{Value, json};
use sprint_test_needs::{Need, have};
use sprint_tests::model::Model;
use sprint_tests::{Cluster, Repo, agents, eventually};

/// A coordinator and an outpost with all agents; none when they are skipped by name.
fn site() -> Option<(Cluster, Model)> {
    let packages = have(Need::Agents, agents::packages)?;
    let mut cluster = Cluster::start(0);
    let model = agents::outpost(&mut cluster, &packages, &[]);
    Some((cluster, model))
}

fn add(cluster: &Cluster, repo: &Repo, title: &str, script: &str) -> u64 {
    let added = cluster.json(&["item", "add", "--repo", &repo.name, title, "--description", script]);
    added["id"].as_u64().expect("a number")
}

/// Commits a file, and ends the turn.
fn script(file: &str) -> String {
    format!("@@run echo {file} > {file} && git add -A && git commit -qm {file}\n@@say I have written {file}.")
}

/// Every agent at hand, and every channel.
const AGENTS: [&str; 4] = ["claude", "codex", "grok", "by-acp"];

/// The tokens that an agent says its model has written; none where it does not say.
fn output(said: &Value) -> Option<u64> {
    said["usage"].as_object()?.values().next()?["tokens"]["output"].as_u64()
}

fn last_worker(cluster: &Cluster, item: u64) -> Value {
    cluster.workers(item).pop().expect("it had a worker")
}

#[test]
fn each_agent_does_an_item_and_says_what_it_took() {
    let Some((cluster, _model)) = site() else { return };
    for agent in AGENTS {
        let repo = cluster.repo(agent, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "1"]);
        let id = add(&cluster, &repo, "Write a file", &script("a.txt"));
        cluster.landed(&repo, id);
        let worker = last_worker(&cluster, id);
        let said = &worker["agent"];
        assert_eq!(said["runtime"], agent, "{worker}");
        assert!(said["session"].as_str().is_some_and(|session| session.len() > 20), "{said}");
        assert!(said["turns"].as_u64().is_some_and(|turns| turns >= 2), "{said}");
        assert!(said["fault"].is_null(), "{said}");
        assert!(output(said).is_none_or(|tokens| tokens == 100), "two requests: {said}");
        assert_eq!(output(said).is_none(), agent == "by-acp", "the protocol does not tell: {said}");
        let number = worker["id"].to_string();
        let log = cluster.sprintctl(&["worker", "logs", &number]).succeeded().text();
        assert!(log.contains("> # Write a file") || log.contains("git commit -qm a.txt"), "{agent}: {log}");
        assert!(log.contains("I have written a.txt.") && log.contains("turns of"), "{agent}: {log}");
        let shown = cluster.sprintctl(&["worker", "show", &number]).succeeded().text();
        assert!(
            shown.contains(agent) && shown.contains("(a guess), by its own word") == (agent == "claude"),
            "{shown}"
        );
    }
    let usage = cluster.json(&["usage", "--by", "repo"]);
    let of: Vec<_> = usage.as_array().expect("a list").iter().map(|row| row["of"].clone()).collect();
    assert_eq!(of, ["by-acp", "claude", "codex", "grok"]);
    let runtimes = cluster.sprintctl(&["runtime", "list"]).succeeded().text();
    for agent in &AGENTS[..3] {
        let line = runtimes.lines().find(|line| line.starts_with(agent)).expect("it is listed");
        assert!(line.contains("host: ") && !line.contains("not verified"), "{line}");
    }
}

#[test]
fn what_an_agent_does_not_name_has_the_price_of_the_table() {
    let Some(packages) = have(Need::Agents, agents::packages) else { return };
    let prices = tempfile::NamedTempFile::new().expect("a file");
    let table = "[[price]]\nmodel = \"fake-*\"\nsince = 2026-01-01\ninput = 1\ncached = 0.5\noutput = 10\n";
    std::fs::write(prices.path(), table).expect("is written");
    let mut cluster = Cluster::start_with(0, &["--prices", &prices.path().display().to_string()]);
    let _model = agents::outpost(&mut cluster, &packages, &[]);
    let repo = cluster.repo("web", &[], &["--agent", "codex", "--model", "fake-1", "--max-attempts", "1"]);
    let id = add(&cluster, &repo, "Write a file", &script("a.txt"));
    cluster.landed(&repo, id);
    // Two requests of 800 tokens, 200 from the cache, and 50 back.
    let usage = cluster.json(&["usage", "--by", "model"]);
    assert_eq!((&usage[0]["of"], &usage[0]["cost_micros"]), (&json!("fake-1"), &json!(1_600 + 200 + 1_000)), "{usage}");
    assert_eq!(usage[0]["by_table"], true);
    let shown = cluster.sprintctl(&["usage", "--by", "model"]).succeeded().text();
    assert!(shown.contains("$0.0028 (by the table)"), "{shown}");
    assert_eq!(cluster.count(id, "worker_usage"), 1);
}

#[test]
fn an_agent_that_forgets_to_commit_goes_on_with_its_conversation() {
    let Some((cluster, model)) = site() else { return };
    for agent in AGENTS {
        let repo = cluster.repo(agent, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "1"]);
        let lines = format!(
            "@@run echo x > {agent}.txt\n@@say I am done.\n@@run git add -A && git commit -qm a\n@@say Now it is in."
        );
        let id = add(&cluster, &repo, "Forget it", &lines);
        cluster.landed(&repo, id);
        assert_eq!(cluster.count(id, "worker_sent_back"), 1, "{agent}");
        let asked = model.asked();
        let reminded = |asked: &String| asked.contains(&format!("{agent}.txt")) && !asked.contains("@@");
        assert!(asked.iter().any(reminded), "{agent}: {asked:?}");
        // Four requests in two rounds: none is counted twice, and none is left out.
        let said = last_worker(&cluster, id)["agent"].clone();
        assert!(output(&said).is_none_or(|tokens| tokens == 200), "{said}");
        assert!(said["turns"].as_u64().is_some_and(|turns| turns >= 4), "{said}");
    }
}

#[test]
fn a_task_of_a_megabyte_and_a_tool_that_says_ten_reach_their_ends() {
    let Some((cluster, _model)) = site() else { return };
    for agent in ["claude", "by-acp"] {
        let repo = cluster.repo(agent, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "1"]);
        let script =
            "@@run head -c 10000000 /dev/zero | tr '\\0' x; echo x > a && git add -A && git commit -qm a\n@@say Done.";
        let description = format!("{}\n{script}", "words and words \n".repeat(60_000));
        let item = json!({ "title": "A long one", "description": description }).to_string();
        let added = cluster.feed(&["item", "add", "--repo", &repo.name, "-f", "-", "-o", "json"], item.as_bytes());
        let added = added.succeeded().json();
        let id = added[0]["id"].as_u64().or_else(|| added["id"].as_u64()).expect("a number");
        cluster.landed(&repo, id);
        let number = last_worker(&cluster, id)["id"].to_string();
        let log = cluster.sprintctl(&["worker", "logs", &number]).succeeded();
        assert!(log.stdout.len() < 20_000, "{agent}: the pane shows it in brief, in {} bytes", log.stdout.len());
    }
}

#[test]
fn an_agent_that_does_nothing_is_told_three_times() {
    let Some((cluster, _model)) = site() else { return };
    let repo = cluster.repo("web", &[], &["--agent", "claude", "--model", "fake-1", "--max-attempts", "1"]);
    let id = add(&cluster, &repo, "Talk only", "@@say It is done, I think.");
    let item = cluster.until(id, "blocked");
    assert!(item["reason"].as_str().is_some_and(|why| why.contains("left nothing")), "{item}");
    assert_eq!(cluster.count(id, "worker_sent_back"), 3);
    assert_eq!(last_worker(&cluster, id)["agent"]["turns"], 4);
}

#[test]
fn what_a_person_types_in_the_pane_is_a_message_to_the_agent() {
    let Some((cluster, model)) = site() else { return };
    let repo = cluster.repo("web", &[], &["--agent", "claude", "--model", "fake-1", "--max-attempts", "1"]);
    let lines =
        "@@run while ! test -e go; do sleep 0.1; done; rm go; echo x > a; git add a; git commit -qm a\n@@say Done.";
    let id = add(&cluster, &repo, "Wait", lines);
    let worker = eventually_worker(&cluster, id);
    eventually("it works", || cluster.sprintctl(&["worker", "logs", &worker]).text().contains("* Bash"));
    // What it does is known while it does it, by its own word.
    eventually("it says so", || {
        let said = last_worker(&cluster, id)["agent"].clone();
        said["state"]["doing"] == "busy"
            && said["state"]["tool"].as_str().is_some_and(|tool| tool.starts_with("Bash: "))
    });
    let listed = cluster.sprintctl(&["worker", "list"]).succeeded().text();
    assert!(listed.contains("claude is busy"), "{listed}");
    let data = cluster.outpost_data("host");
    let typed = Command::new("tmux")
        .args(["-S", &data.join("tmux.sock").display().to_string(), "send-keys", "-t", &format!("=w{worker}:")])
        .args(["please mind the gap", "Enter"])
        .status();
    assert!(typed.expect("tmux runs").success());
    eventually("it is shown as a message", || {
        cluster.sprintctl(&["worker", "logs", &worker]).text().contains("> please mind the gap")
    });
    std::fs::write(data.join(format!("workers/{worker}/workspace/go")), "").expect("is written");
    cluster.landed(&repo, id);
    let asked = model.asked();
    assert!(asked.iter().any(|asked| asked.contains("please mind the gap")), "{asked:?}");
}

#[test]
fn a_turn_goes_on_once_while_the_programs_beside_it_are_killed() {
    let Some((mut cluster, _model)) = site() else { return };
    for agent in AGENTS {
        let repo = cluster.repo(agent, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "1"]);
        let lines = "@@run touch begun; while ! test -e go; do sleep 0.1; done; rm begun go; echo x >> a; git add a; git commit -qm a\n@@say Done.";
        let id = add(&cluster, &repo, "Go on", lines);
        let worker = eventually_worker(&cluster, id);
        let workspace = cluster.outpost_data("host").join(format!("workers/{worker}/workspace"));
        eventually("its tool runs", || workspace.join("begun").exists());
        cluster.kill_outpost("host");
        cluster.kill_coordinator();
        cluster.start_coordinator();
        cluster.start_outpost("host");
        cluster.online("host");
        std::fs::write(workspace.join("go"), "").expect("is written");
        cluster.landed(&repo, id);
        assert_eq!(cluster.workers(id).len(), 1, "{agent}");
        let said = last_worker(&cluster, id)["agent"].clone();
        assert!(output(&said).is_none_or(|tokens| tokens == 100), "two requests, and no more: {said}");
    }
}

/// The processes of an agent's program that belong to a worker.
fn programs(dir: &std::path::Path, program: &str) -> Vec<i32> {
    let of_worker = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let socket = format!("SPRINT_SOCKET={}", dir.join("worker.sock").display());
        environment.split(|byte| *byte == 0).any(|variable| variable == socket.as_bytes())
    };
    let is_program = |pid: &i32| {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.file_name().is_some_and(|name| name == program))
    };
    sprint_tests::mentioning(program).into_iter().filter(is_program).filter(of_worker).collect()
}

#[test]
fn an_agent_or_its_shim_that_is_killed_in_a_turn_costs_one_attempt_and_the_next_lands() {
    let Some((cluster, _model)) = site() else { return };
    let lines = "@@run touch begun; test $SPRINT_ATTEMPT = 2 || sleep 600; rm begun; echo x >> a; git add a; git commit -qm a\n@@say Done.";
    for (agent, program) in [("claude", "claude"), ("codex", "codex"), ("grok", "grok"), ("by-acp", "grok")] {
        for victim in [program, "outpost-agent"] {
            let name = format!("{agent}-{}", victim.len());
            let repo = cluster.repo(&name, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "2"]);
            let id = add(&cluster, &repo, "Go on", lines);
            let worker = eventually_worker(&cluster, id);
            let dir = cluster.outpost_data("host").join(format!("workers/{worker}"));
            eventually("its tool runs", || dir.join("workspace/begun").exists());
            let victims = if victim == program { programs(&dir, program) } else { sprint_tests::shims(&dir) };
            assert!(!victims.is_empty(), "{agent}: {victim}");
            for pid in victims {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).ok();
            }
            cluster.landed(&repo, id);
            let attempts = cluster.workers(id).iter().filter(|worker| worker["role"] == "developer").count();
            assert_eq!(attempts, 2, "{agent}, {victim}");
            assert_eq!(repo.file("a").as_deref(), Some("x\n"), "the turn was done once: {agent}, {victim}");
            // Nothing of the first is left, and neither is its tool.
            assert_eq!(programs(&dir, program), [0; 0], "{agent}, {victim}");
        }
    }
}

fn eventually_worker(cluster: &Cluster, item: u64) -> String {
    eventually("it has a worker", || !cluster.workers(item).is_empty());
    last_worker(cluster, item)["id"].to_string()
}

#[test]
fn an_agent_whose_login_is_refused_blames_the_host_and_says_what_to_do() {
    let Some((cluster, _model)) = site() else { return };
    let repo = cluster.repo("web", &[], &["--agent", "claude", "--model", "fake-1", "--max-attempts", "1"]);
    let id = add(&cluster, &repo, "Nobody may", "@@status 401 this key is not valid");
    eventually("it says so", || {
        let said = last_worker_if_any(&cluster, id);
        said["reason"].as_str().is_some_and(|why| why.contains("log in to claude on the outpost"))
    });
    let worker = last_worker_if_any(&cluster, id);
    assert_eq!(worker["agent"]["fault"]["kind"], "not_logged_in", "{worker}");
    // However often that is so: the item goes on waiting.
    eventually("it was tried again", || {
        cluster.workers(id).iter().filter(|worker| !worker["ended_at"].is_null()).count() >= 3
    });
    assert_eq!(cluster.count(id, "item_attempt_failed"), 0);
    assert_ne!(cluster.item(id)["stage"], "blocked");
}

fn last_worker_if_any(cluster: &Cluster, item: u64) -> Value {
    cluster.workers(item).into_iter().rfind(|worker| !worker["ended_at"].is_null()).unwrap_or_default()
}

#[test]
fn an_account_that_is_limited_is_nobodys_fault() {
    let Some((cluster, _model)) = site() else { return };
    let config = "[runtime.claude.env]\nCLAUDE_CODE_MAX_RETRIES = \"0\"\n";
    let options = ["--agent", "claude", "--model", "fake-1", "--max-attempts", "1"];
    let repo = cluster.repo("web", &[("sprint.toml", config)], &options);
    let id = add(&cluster, &repo, "Too many", "@@status 429 slow down");
    eventually("it was limited", || last_worker_if_any(&cluster, id)["agent"]["fault"]["kind"] == "limited");
    assert_eq!(cluster.count(id, "item_attempt_failed"), 0);
    assert_ne!(cluster.item(id)["stage"], "blocked");
    let why = last_worker_if_any(&cluster, id)["reason"].clone();
    assert!(why.as_str().is_some_and(|why| why.starts_with("claude: ") && why.contains("429")), "{why}");
}

#[test]
fn what_no_outpost_has_is_said_before_and_while_work_waits_for_it() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let refused = cluster.sprintctl(&["repo", "set", "web", "--agent", "cluade"]);
    refused.refused(&["\"cluade\"", "shell or one of aider, claude, codex", "file of runtimes"]);
    cluster.sprintctl(&["repo", "set", "web", "--agent", "gemini"]).succeeded();
    let id = add(&cluster, &repo, "Wait for it", "Anything.");
    eventually("it says why", || {
        let said = cluster.sprintctl(&["item", "explain", &id.to_string()]).text();
        said.contains("no online outpost has the labels it requires: runtime.gemini")
    });
    // A command line of its own needs no agent.
    let own = cluster.add(&repo, "By hand", &sprint_tests::commit("a.txt", "x"));
    cluster.landed(&repo, own);
}
