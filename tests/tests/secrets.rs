//! Secrets: who gets them, and where they must not be.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sprint_test_needs::{Need, have};
use sprint_tests::{Cluster, OutpostOptions, Repo, agents, binary, commit, eventually};

const TEXT: &str = "hunter2-hunter2-hunter2";

fn set(cluster: &Cluster, more: &[&str], text: &str) {
    let args = [&["secret", "set"], more].concat();
    cluster.feed(&args, text.as_bytes()).succeeded();
}

fn log(cluster: &Cluster, worker: &Value) -> String {
    cluster.sprintctl(&["worker", "logs", &worker["id"].to_string()]).succeeded().text()
}

/// The files below a directory that hold a text.
fn holding(dir: &Path, text: &str) -> String {
    let found = Command::new("grep").args(["-raslF", "--", text]).arg(dir).output().expect("grep runs");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

/// What the worker of an item printed.
fn printed(cluster: &Cluster, repo: &Repo, run: &str) -> String {
    let id = cluster.add(repo, "Print it", &format!("{run}; {}", commit(&format!("f{}", fastrand::u32(..)), "x")));
    cluster.landed(repo, id);
    log(cluster, &cluster.workers(id)[0])
}

#[test]
fn a_secret_reaches_its_worker_and_nothing_that_is_kept() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true", "--max-attempts", "2"]);
    set(&cluster, &["API_KEY"], &format!("{TEXT}\n"));
    set(&cluster, &["KEY_FILE", "--as", "file"], "-----BEGIN-----\nabcdefghijklmnop\n-----END-----\n");
    // It says it in every way that it has: at once, in two writes, coloured, in its notes and its reasons.
    let says = "printf 'env:%s\\n' \"$API_KEY\"; wc -c < \"$KEY_FILE\"; cat \"$KEY_FILE\"; \
         printf 'two:'; printf %s \"$API_KEY\" | head -c 9; sleep 0.3; printf %s \"$API_KEY\" | tail -c +10; echo; \
         printf '\\033[1m%s\\033[0m\\n' \"$API_KEY\"; \
         ps -ef | grep -c '[h]unter2'; stat -c %a \"$KEY_FILE\"; \
         sprintctl progress \"it is $API_KEY\"; sprintctl item file \"Find $API_KEY\" --description \"$API_KEY\"; \
         sprintctl handoff --open \"say $API_KEY\"; \
         if [ $SPRINT_ATTEMPT = 1 ]; then sprintctl item resolve --nothing-to-do \"because of $API_KEY\"; exit 1; fi; \
         test \"$API_KEY\" = \"$(printf 'hunter2-%.0s' 1 2)hunter2\" && ";
    let id = cluster.add(&repo, "Say it", &format!("{says}{{ {}; }}", commit("a.txt", "a")));
    cluster.landed(&repo, id);
    for worker in cluster.workers(id).iter().filter(|worker| worker["role"] == "developer") {
        let log = log(&cluster, worker);
        assert!(log.contains("env:[secret API_KEY]\r\n") && log.contains("two:[secret API_KEY]\r\n"), "{log}");
        assert!(log.contains("\u{1b}[1m[secret API_KEY]\u{1b}[0m") && log.contains("[secret KEY_FILE]"), "{log}");
        assert!(log.contains("\r\n600\r\n") && log.contains("\r\n47\r\n"), "{log}");
    }
    let filed = cluster.json(&["item", "show", "2"]);
    assert_eq!(filed["title"], "Find [secret API_KEY]");
    assert_eq!(cluster.json(&["item", "show", "1"])["hand_offs"][0]["open_issues"][0], "say [secret API_KEY]");
    eventually("its directory is gone", || {
        std::fs::read_dir(cluster.outpost_data("local-1").join("workers")).is_ok_and(|mut found| {
            found.all(|found| found.is_ok_and(|found| !found.path().join("secrets.json").exists()))
        })
    });
    cluster.kill_outpost("local-1");
    cluster.kill_coordinator();
    for dir in [cluster.path().join("coordinator"), cluster.outpost_data("local-1")] {
        assert_eq!(holding(&dir, TEXT), "");
        assert_eq!(holding(&dir, "abcdefghijklmnop"), "");
    }
}

#[test]
fn a_secret_is_for_those_in_its_scope_and_the_narrowest_counts() {
    let mut cluster = Cluster::start(0);
    for name in ["one", "two"] {
        cluster.add_outpost(name, OutpostOptions { max_workers: 1, ..OutpostOptions::default() });
        cluster.online(name);
    }
    let gate = "env=printf 'gate:%s.%s\\n' \"$WIDE\" \"$GATE_KEY\"";
    let web = cluster.repo("web", &[], &["--gate", gate]);
    let api = cluster.repo("api", &[], &["--gate", "ok=true"]);
    // As long as their names are, they are told apart by what is printed in their place.
    let length = "printf '%s=%s ' WIDE ${#WIDE}; printf '%s=%s ' ONE ${#ONE}; printf '%s=%s\\n' WEB ${#WEB}";
    set(&cluster, &["WIDE"], "0123456789");
    set(&cluster, &["WIDE", "--repo", "web"], "0123456789ab");
    set(&cluster, &["WEB", "--repo", "web", "--role", "developer"], "0123456789abcdef");
    set(&cluster, &["ONE", "--outpost", "one"], "0123456789abc");
    set(&cluster, &["GATE_KEY", "--role", "gate"], "gate-0123456789");
    let on = |repo: &Repo| printed(&cluster, repo, &format!("{length}; echo on $TMUX"));
    let (of_web, of_api) = (on(&web), on(&api));
    assert!(of_web.contains("WIDE=12 ") && of_web.contains("WEB=16"), "{of_web}");
    assert!(of_api.contains("WIDE=10 ") && of_api.contains("WEB=0"), "{of_api}");
    for item in [1, 2] {
        let worker = &cluster.workers(item)[0];
        let has_one = log(&cluster, worker).contains("ONE=13 ");
        assert_eq!(has_one, worker["outpost"] == "one", "{worker}");
    }
    let gates = cluster.json(&["worker", "list", "--all"]);
    let gate =
        gates.as_array().expect("a list").iter().find(|worker| worker["role"] == "gate" && worker["repo"] == "web");
    let of_gate = log(&cluster, gate.expect("a gate ran"));
    assert!(of_gate.contains("gate:.[secret GATE_KEY]"), "{of_gate}");

    let listed = cluster.json(&["secret", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(5), "{listed}");
    assert!(!listed.to_string().contains("0123456789"), "{listed}");
    let used = listed.as_array().expect("a list").iter().filter(|secret| !secret["used_at"].is_null()).count();
    assert!(used >= 4, "{listed}");
    let shown = cluster.sprintctl(&["secret", "list"]).succeeded().text();
    assert!(shown.contains("all but gates") && shown.contains("repo=web,role=developer"), "{shown}");
    cluster.sprintctl(&["secret", "remove", "WIDE", "--repo", "web"]).succeeded();
    assert!(on(&web).contains("WIDE=10 "));
    cluster
        .sprintctl(&["secret", "remove", "WIDE", "--repo", "web"])
        .refused(&["there is no secret WIDE with repo=web", "secret list"]);
    let kinds: Vec<_> = cluster.events().into_iter().map(|event| event["kind"].clone()).collect();
    for (kind, count) in [("secret_set", 5), ("secret_removed", 1)] {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), count, "{kind}");
    }
    assert!(kinds.contains(&json!("secret_used")));
}

#[test]
fn what_can_be_no_secret_is_refused_with_what_to_do() {
    let cluster = Cluster::start(0);
    for (args, text, said) in [
        (&["API_KEY"][..], &b"short\n"[..], "needs at least 8"),
        (&["API_KEY"], b"with\0nul-in-it", "encode it"),
        (&["API_KEY"], b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7", "is not UTF-8"),
        (&["API-KEY"], b"long enough", "does not begin with a digit"),
        (&["SPRINT_TOKEN"], b"long enough", "not with SPRINT_"),
        (&["API_KEY", "--repo", "nope"], b"long enough", "there is no repo \"nope\""),
        (&["API_KEY", "--from", "/nowhere"], b"", "/nowhere cannot be read"),
        (&["API_KEY", "--as", "gift"], b"long enough", "possible values: env, file"),
        (&["API_KEY", "hunter2hunter2"], b"", "unexpected argument"),
    ] {
        let refused = cluster.feed(&[&["secret", "set"], args].concat(), text);
        assert_ne!(refused.code, 0);
        let why = &refused.stderr;
        assert!(why.contains(said) && !why.contains("long enough"), "{args:?}: {why}");
    }
    let large = "x".repeat(70_000);
    let refused = cluster.feed(&["secret", "set", "API_KEY"], large.as_bytes());
    assert!(refused.stderr.contains("the most is 65536"));
    assert_eq!(cluster.json(&["secret", "list"]), json!([]));
}

#[test]
fn a_backup_has_the_key_only_where_it_is_asked_for() {
    let mut cluster = Cluster::start(0);
    set(&cluster, &["API_KEY"], TEXT);
    let root = cluster.path().to_owned();
    let path = |name: &str| root.join(name).display().to_string();
    let (data, backup, key) = (path("coordinator"), path("backup"), path("backup.key"));
    let coordinator = |args: &[&str]| {
        let output = Command::new(binary("coordinator")).args(args).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    cluster.kill_coordinator();
    let said = coordinator(&["backup", "--data-dir", &data, "--with-secrets", &key, &backup]);
    assert!(said.contains("keep it elsewhere than the backup"), "{said}");
    assert_eq!(std::fs::read(&key).expect("is there").len(), 32);
    let without = coordinator(&["restore", "--data-dir", &path("without"), &backup]);
    assert!(without.contains("have to be set again") && without.contains("API_KEY"), "{without}");
    let with = coordinator(&["restore", "--data-dir", &path("with"), "--secrets", &key, &backup]);
    assert!(!with.contains("set again"), "{with}");
    let key_of = |data: &str| std::fs::read(Path::new(&path(data)).join("identity/secrets.key")).ok();
    assert_eq!(key_of("without"), None);
    assert_eq!(key_of("with"), key_of("coordinator"));
}

#[test]
fn a_worker_does_not_run_without_a_secret_whose_key_is_gone() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    set(&cluster, &["API_KEY"], TEXT);
    cluster.kill_coordinator();
    std::fs::remove_file(cluster.path().join("coordinator/identity/secrets.key")).expect("is there");
    cluster.start_coordinator();
    cluster.online("local-1");
    let id = cluster.add(&repo, "Wait", &format!("test -n \"$API_KEY\" && {}", commit("a.txt", "a")));
    eventually("it says why", || {
        let text = cluster.sprintctl(&["item", "show", &id.to_string()]).text();
        text.contains("secret API_KEY was sealed with another key")
    });
    assert_eq!(cluster.count(id, "item_attempt_failed"), 0, "it is nobody's fault");
    let listed = cluster.sprintctl(&["secret", "list"]).succeeded().text();
    assert!(listed.contains("its key is gone: set it again"), "{listed}");
    set(&cluster, &["API_KEY"], TEXT);
    cluster.sprintctl(&["item", "retry", &id.to_string()]);
    cluster.landed(&repo, id);
}

#[test]
fn what_a_worker_says_is_clean_also_after_its_outpost_was_killed() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    set(&cluster, &["API_KEY"], TEXT);
    let run = format!(
        "touch begun; while ! test -e go; do sleep 0.1; done; rm begun go; echo \"$API_KEY\"; sprintctl progress \"$API_KEY\"; {}",
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Say it later", &run);
    eventually("it has a worker", || !cluster.workers(id).is_empty());
    let worker = cluster.workers(id)[0].clone();
    let dir = cluster.outpost_data("local-1").join("workers").join(worker["id"].to_string()).join("workspace");
    eventually("it works", || dir.join("begun").exists());
    cluster.kill_outpost("local-1");
    cluster.start_outpost("local-1");
    cluster.online("local-1");
    std::fs::write(dir.join("go"), "").expect("is written");
    cluster.landed(&repo, id);
    assert!(log(&cluster, &worker).starts_with("[secret API_KEY]\r\n"));
    let said = cluster.events().into_iter().find(|event| event["kind"] == "worker_progressed").expect("is on record");
    assert_eq!(said["data"]["note"]["text"], "[secret API_KEY]");
}

#[test]
fn an_agent_logs_in_with_a_secret() {
    let Some(packages) = have(Need::Agents, agents::packages) else { return };
    let mut cluster = Cluster::start(0);
    let model = agents::outpost(&mut cluster, &packages, &[]);
    let file = cluster.path().join("claude.toml");
    std::fs::write(&file, "name = \"claude\"\nmodel = \"fake-1\"\nlogin = \"secret\"\n").expect("is written");
    let runtime = format!("developer={}", file.display());
    let repo = cluster.repo("web", &[], &["--runtime", &runtime, "--max-attempts", "1"]);
    set(&cluster, &["ANTHROPIC_AUTH_TOKEN"], "token-of-the-secret");
    set(&cluster, &["ANTHROPIC_BASE_URL"], &model.url());
    let script =
        "@@run echo \"I have $ANTHROPIC_AUTH_TOKEN.\" && echo x > a && git add -A && git commit -qm a\n@@say Done.";
    let added = cluster.json(&["item", "add", "--repo", "web", "Log in", "--description", script]);
    let id = added["id"].as_u64().expect("a number");
    cluster.landed(&repo, id);
    let log = log(&cluster, &cluster.workers(id)[0]);
    assert!(log.contains("I have [secret ANTHROPIC_AUTH_TOKEN].") && !log.contains("token-of-the-secret"), "{log}");
    assert!(!model.asked().is_empty());
}
