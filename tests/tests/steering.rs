//! What a person does while work is under way, and what they see of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use sprint_tests::{Cluster, LIMIT, OutpostOptions, commit, eventually};

#[test]
fn cancelling_an_item_ends_its_worker() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("never");
    let id = cluster.add(&repo, "Not wanted", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    let item = cluster.json(&["item", "cancel", &id.to_string(), "--reason", "out of fashion"]);
    assert_eq!((&item["stage"], &item["reason"]), (&"cancelled".into(), &"out of fashion".into()));
    eventually("its processes are gone", || cluster.worker_processes().is_empty());
    eventually("its worker is over", || cluster.workers(id)[0]["state"] == "failed");
    assert_eq!(cluster.workers(id).len(), 1);
    assert_eq!(cluster.item(id)["stage"], "cancelled");
    assert_eq!(repo.landings(id), 0);
}

#[test]
fn stopping_a_worker_fails_its_attempt_and_keeps_its_work() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let hold = cluster.hold("never");
    let id = cluster.add(&repo, "Stopped", &format!("echo half > half.txt; {}", hold.run));
    hold.reached();
    let worker = cluster.worker(id);
    cluster.sprintctl(&["worker", "stop", &worker, "--reason", "it idles"]).succeeded();
    let item = cluster.until(id, "blocked");
    assert!(item["reason"].as_str().expect("a reason").contains("it idles"), "{item}");
    let bare = cluster.coordinator_data().join("repos/web.git");
    assert_eq!(sprint_tests::git(&bare, &["show", &format!("refs/sprint/wip/{id}/1:half.txt")]), "half");
    eventually("its processes are gone", || cluster.worker_processes().is_empty());
}

#[test]
fn a_worker_gets_signals_as_any_program_does() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let mask = "mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' /proc/self/status); test $mask = 0000000000000000";
    let id = cluster.add(&repo, "Signals", &format!("{mask} && {}", commit("a.txt", "a")));
    cluster.until(id, "done");
    assert_eq!(cluster.workers(id)[0]["attempt"], 1, "its signals were not blocked");
}

#[test]
fn wait_says_by_its_exit_code_how_it_went() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let good = cluster.add(&repo, "Good", &commit("a.txt", "a"));
    let bad = cluster.add(&repo, "Bad", "exit 1");
    let behind = cluster.add_with(&repo, "Behind", "true", &["--needs", &bad.to_string()]);
    let (good, bad, behind) = (good.to_string(), bad.to_string(), behind.to_string());
    cluster.sprintctl(&["wait", &good, "--for", "done", "--timeout", "30s"]).succeeded();
    assert_eq!(cluster.item(good.parse().expect("a number"))["stage"], "done");
    cluster.sprintctl(&["wait", &bad, "--timeout", "30s"]).refused(&["item", &bad, "blocked"]);
    cluster.sprintctl(&["wait", &bad, "--for", "blocked", "--timeout", "30s"]).succeeded();
    // What needs a blocked item cannot be done either.
    cluster.sprintctl(&["wait", &good, &behind, "--timeout", "30s"]).refused(&[&bad, "blocked"]);
    cluster.sprintctl(&["wait", "999"]).refused(&["999"]);
}

#[test]
fn wait_gives_up_after_its_timeout() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "No outpost is there", "true").to_string();
    let started = Instant::now();
    cluster.sprintctl(&["wait", &id, "--timeout", "300ms"]).refused(&["timed out", &id, "ready"]);
    assert!(started.elapsed() < LIMIT / 2);
}

#[test]
fn a_dropped_change_blocks_its_item_and_can_be_retried() {
    let cluster = Cluster::start(1);
    let hold = cluster.hold("gate");
    let repo = cluster.repo("web", &[], &["--gate", &format!("held={}", hold.run)]);
    let before = repo.tip();
    let id = cluster.add(&repo, "Dropped", &commit("a.txt", "a"));
    hold.reached();
    let change = cluster.changes(id)[0]["id"].to_string();
    cluster.sprintctl(&["change", "drop", &change, "--reason", "not today"]).succeeded();
    let item = cluster.until(id, "blocked");
    assert!(item["reason"].as_str().expect("a reason").contains("not today"), "{item}");
    eventually("the gate run is ended", || cluster.worker_processes().is_empty());
    assert_eq!(repo.tip(), before);
    hold.release();
    cluster.sprintctl(&["change", "retry", &change]).succeeded();
    cluster.landed(&repo, id);
    assert_eq!(cluster.workers(id).iter().filter(|worker| worker["role"] == "developer").count(), 1);
}

#[test]
fn a_halted_queue_lands_nothing_until_it_is_resumed() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    cluster.sprintctl(&["repo", "set", "web", "--halt", "release day"]).succeeded();
    let id = cluster.add(&repo, "Waits", &commit("a.txt", "a"));
    cluster.until(id, "merging");
    let change = cluster.changes(id)[0]["id"].to_string();
    let explained = cluster.sprintctl(&["change", "explain", &change]).succeeded().text();
    assert!(explained.contains("release day"), "{explained}");
    assert_eq!(repo.landings(id), 0);
    cluster.sprintctl(&["repo", "set", "web", "--resume"]).succeeded();
    cluster.landed(&repo, id);
}

#[test]
fn worker_logs_are_the_terminal_s_bytes_from_the_first_to_the_last() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("middle");
    let run = format!("printf 'first\\n'; {}; seq 1 20000; printf last; {}", hold.run, commit("a.txt", "a"));
    let id = cluster.add(&repo, "Talks", &run);
    hold.reached();
    let worker = cluster.worker(id);
    let early = |worker: &str| cluster.sprintctl(&["worker", "logs", worker]).succeeded().text();
    eventually("the first line is there while it runs", || early(&worker).starts_with("first\r\n"));
    let following = cluster.spawn(&["worker", "logs", "-f", &worker]);
    hold.release();
    let followed = following.answer().succeeded();
    let mut wanted = "first\r\n".to_owned();
    wanted.extend((1..=20_000).flat_map(|line| [line.to_string(), "\r\n".to_owned()]));
    wanted += "last";
    assert!(followed.text() == wanted, "{} of {} bytes were followed", followed.stdout.len(), wanted.len());
    assert!(early(&worker) == wanted, "all of it can be read afterwards");
    let rest = cluster.sprintctl(&["worker", "logs", &worker, "--offset", &(wanted.len() - 6).to_string()]);
    assert_eq!(rest.succeeded().text(), "\r\nlast");
}

#[test]
fn the_record_has_no_gap_from_1_on() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let following = cluster.spawn(&["event", "tail", "-f", "--since", "0", "-o", "json"]);
    let ids = [1, 2, 3].map(|n| cluster.add(&repo, "Item", &commit(&format!("{n}.txt"), "x")));
    for id in ids {
        cluster.landed(&repo, id);
    }
    let events = cluster.events();
    let seqs = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect::<Vec<_>>();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    let followed = following.ended().text();
    let followed = followed.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>();
    assert!(followed.len() > events.len() / 2, "the events came as they happened: {}", followed.len());
    assert!(events.starts_with(&followed), "what is followed is what is on record");
    let since = seqs.len() - 5;
    let tail = cluster.sprintctl(&["event", "tail", "--since", &since.to_string(), "-n", "5", "-o", "json"]);
    let tail = tail.succeeded().text();
    let first: Value = serde_json::from_str(tail.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["seq"], tail.lines().count()), (&Value::from(since + 1), 5));
    let kinds = events.iter().filter(|event| event["item"] == ids[0]).map(|event| event["kind"].as_str());
    let kinds = kinds.collect::<Option<Vec<_>>>().expect("kinds are words");
    let place =
        |kind: &str| kinds.iter().position(|found| *found == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
    // Which of them shows a gate depends on which of them landed together.
    let way = ["item_added", "item_leased", "worker_started", "item_delivered", "change_landing_begun", "item_landed"];
    assert!(way.map(place).is_sorted(), "{kinds:?}");
}

#[test]
fn json_has_every_field_that_scripts_rely_on() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let id = cluster.add(&repo, "Item", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let all = |value: &Value, fields: &[&str]| {
        let object = value.as_object().expect("an object");
        for field in fields {
            assert!(object.contains_key(*field), "{field} is missing: {value}");
        }
    };
    let list = |args: &[&str]| cluster.json(args).as_array().expect("a list")[0].clone();
    let item = ["id", "repo", "kind", "title", "stage", "priority", "parent", "needs", "attempt", "worker", "reason"];
    all(&cluster.item(id), &item);
    all(&list(&["item", "list"]), &item);
    all(&cluster.json(&["item", "add", "--repo", "web", "--stage", "inbox", "Later"]), &item);
    let worker = ["id", "item", "attempt", "role", "outpost", "state", "exit_code"];
    all(&list(&["worker", "list", "--all"]), &worker);
    all(&cluster.json(&["worker", "show", "1"]), &worker);
    let change = ["id", "item", "attempt", "state", "candidate", "reason"];
    all(&list(&["change", "list", "--all"]), &change);
    all(&cluster.json(&["change", "show", "1"]), &change);
    let outpost = ["name", "state", "max_workers", "active_workers", "labels", "last_seen"];
    all(&list(&["outpost", "list"]), &outpost);
    all(&cluster.json(&["outpost", "show", "local-1"]), &outpost);
    for event in cluster.events() {
        all(&event, &["seq", "time", "kind", "repo", "item", "actor", "data"]);
    }
    let both = cluster.feed(&["item", "add", "--repo", "web", "-f", "-", "-o", "json"], b"{\"title\":\"One\"}\n");
    assert_eq!(both.succeeded().json().as_array().expect("an array with -f")[0]["title"], "One");
}

#[test]
fn a_drained_outpost_gets_nothing_new() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    cluster.sprintctl(&["outpost", "drain", "local-1"]).succeeded();
    assert_eq!(cluster.json(&["outpost", "show", "local-1"])["state"], "draining");
    let ids = (0..6).map(|n| cluster.add(&repo, "Item", &commit(&format!("{n}.txt"), "x"))).collect::<Vec<_>>();
    for id in &ids {
        cluster.landed(&repo, *id);
        assert!(cluster.workers(*id).iter().all(|worker| worker["outpost"] == "local-2"));
    }
    cluster.sprintctl(&["outpost", "drain", "local-2"]).succeeded();
    cluster.sprintctl(&["outpost", "resume", "local-1"]).succeeded();
    let id = cluster.add(&repo, "Item", &commit("last.txt", "x"));
    cluster.landed(&repo, id);
    assert_eq!(cluster.workers(id)[0]["outpost"], "local-1");
}

#[test]
fn an_item_goes_only_where_its_labels_are() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add_with(&repo, "Needs a GPU", &commit("a.txt", "a"), &["--require", "gpu=yes"]);
    let explained = cluster.sprintctl(&["item", "explain", &id.to_string()]).succeeded().text();
    assert!(explained.contains("labels it requires"), "{explained}");
    assert_eq!(cluster.item(id)["stage"], "ready");
    let more = vec!["--label".to_owned(), "gpu=yes".to_owned()];
    cluster.add_outpost("gpu-1", OutpostOptions { more, ..OutpostOptions::default() });
    cluster.landed(&repo, id);
    assert_eq!(cluster.workers(id)[0]["outpost"], "gpu-1");
}

#[test]
fn a_worker_is_given_its_own_names_and_no_secret() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let kept = cluster.shared().join("env.txt");
    let run = format!("env > '{}'; {}", kept.display(), commit("a.txt", "a"));
    let id = cluster.add(&repo, "Looks around", &run);
    cluster.landed(&repo, id);
    let environment = std::fs::read_to_string(&kept).expect("it looked");
    let value = |key: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    assert_eq!(value("SPRINT_ITEM"), Some(id.to_string().as_str()));
    assert_eq!(value("SPRINT_ATTEMPT"), Some("1"));
    for key in ["SPRINT_WORKSPACE", "SPRINT_CONTEXT_DIR", "SPRINT_ARTIFACTS", "SPRINT_SOCKET"] {
        let directory = cluster.outpost_data("local-1").join("workers").display().to_string();
        assert!(value(key).is_some_and(|path| path.starts_with(&directory)), "{key}: {environment}");
    }
    assert_eq!(value("SPRINT_COORDINATOR"), None);
    assert!(!environment.contains(cluster.address()) && !environment.contains(cluster.http()), "{environment}");
    assert!(!environment.contains("hidden-from-workers"), "{environment}");
}

#[test]
fn a_worktree_holds_nothing_of_ours() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let kept = cluster.shared().join("status.txt");
    let run = format!("(git status --porcelain --ignored; ls -A) > '{}'; {}", kept.display(), commit("a.txt", "a"));
    let id = cluster.add(&repo, "Looks at its tree", &run);
    cluster.landed(&repo, id);
    let seen = std::fs::read_to_string(kept).expect("it looked");
    let names = seen.lines().collect::<Vec<_>>();
    assert_eq!(names, [".git", "README"], "{seen}");
    let landed = sprint_tests::git(&repo.upstream, &["ls-tree", "--name-only", "main"]);
    assert_eq!(landed, "README\na.txt");
}

#[test]
fn the_status_and_the_metrics_are_served_over_http_with_every_loop() {
    let cluster = Cluster::start(1);
    cluster.repo("web", &[], &[]);
    let token = cluster.token(&["--kind", "viewer"]);
    let over_http = |path: &str| {
        let mut stream = TcpStream::connect(cluster.http()).expect("it listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        body.to_owned()
    };
    let json = || serde_json::from_str::<Value>(&over_http("/api/v1/status")).expect("is JSON");
    // A heartbeat or a pass may come between two looks.
    let same = || (json(), cluster.sprintctl(&["status", "-o", "json"]).succeeded().json());
    let without_loops = |mut status: Value| (status["loops"].take(), status);
    eventually("both show the same", || {
        let (http, grpc) = same();
        without_loops(http).1 == without_loops(grpc).1
    });
    let status = json();
    assert_eq!(status["outposts"]["online"], 1, "{status}");
    assert_eq!(status["merge_queues"][0]["repo"], "web", "{status}");
    // The merger drives each merge queue in a task of its own, which it names.
    let is_of_a_repo = |status: &&Value| status["name"].as_str().is_some_and(|name| name.starts_with("merger/"));
    let loops = status["loops"].as_array().expect("a list").iter();
    let loops = loops.filter(|status| !is_of_a_repo(status)).collect::<Vec<_>>();
    let names = loops.iter().map(|status| status["name"].as_str().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(names, ["housekeeper", "identity", "merger", "pipeline", "scheduler", "supervisor"]);
    for status in loops {
        assert!(status["passes"].as_u64() > Some(0) && status["failures"] == 0, "{status}");
        assert!(status["last_pass"]["error"].is_null() && status["last_pass"]["at"].is_string(), "{status}");
    }
    let repo = cluster.repo("api", &[], &["--gate", "test=true"]);
    let id = cluster.add(&repo, "Measured", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let metrics = over_http("/metrics");
    let measured = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter_map(|line| {
        let (name, kind) = line.split_once(' ')?;
        Some(format!("{name}{}", if kind == "counter" { "_total" } else { "" }))
    });
    let page = include_str!("../../docs/reference/metrics.md");
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `sprint_")?.split('`').next());
    let listed = listed.map(|name| format!("sprint_{name}")).collect::<Vec<_>>();
    assert_eq!(measured.collect::<Vec<_>>(), listed, "{metrics}");
    for name in &listed {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} has no value: {metrics}");
    }
    for line in [
        r#"sprint_events_total{kind="change_landed"} 1"#,
        r#"sprint_landings_total{repo="api"} 1"#,
        r#"sprint_gate_results_total{repo="api",gate="test",result="passed"} 1"#,
        r#"sprint_merge_queue_changes{repo="api"} 0.0"#,
        r#"sprint_outposts{state="online"} 1.0"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    let text = cluster.sprintctl(&["status", "--loops"]).succeeded().text();
    assert!(names.iter().chain(&["merger/api"]).all(|name| text.contains(name)), "{text}");
    cluster.sprintctl(&["repo", "remove", "api", "--force"]).succeeded();
    eventually("a repo that was removed is gone from the gauges", || {
        let metrics = over_http("/metrics");
        let is_gauge = |line: &str| !line.contains("_total{") && !line.contains("_seconds_");
        !metrics.lines().any(|line| is_gauge(line) && line.contains("api\""))
    });
}

#[test]
fn many_items_are_changed_at_once_and_a_refused_one_keeps_no_other_from_it() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let ids: Vec<u64> = (0..3).map(|n| cluster.add(&repo, &format!("Item {n}"), "true")).collect();
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    cluster.sprintctl(&[&["item", "edit", "--priority", "urgent"], all.as_slice()].concat()).succeeded();
    let cancelled = cluster.sprintctl(&["item", "cancel", all[0], "99", all[1], "-o", "json"]);
    cancelled.refused(&["client.some_refused", "1 of 3", "item 99", "there is no item"]);
    let lines = cancelled.text().lines().filter(|line| line.contains("\"stage\":\"cancelled\"")).count();
    assert_eq!(lines, 2, "{}", cancelled.text());
    cluster.sprintctl(&["item", "retry", all[0], all[1]]).succeeded();
    for id in ids {
        let item = cluster.item(id);
        assert_eq!((&item["stage"], &item["priority"]), (&"ready".into(), &"urgent".into()), "{item}");
    }
    assert_ne!(cluster.sprintctl(&["item", "retry"]).code, 0, "none is named");
}

#[test]
fn a_list_says_how_to_see_what_it_does_not_show() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    for number in 0..3 {
        let item = cluster.add(&repo, &format!("Number {number}"), &commit("a", &number.to_string()));
        cluster.landed(&repo, item);
    }
    let needs = cluster.add_with(&repo, "Waits", "true", &["--needs", "1,2,3", "--stage", "inbox"]);
    assert_eq!(needs, 4);
    let older = "older ones: the same command without --limit";
    // A list, what it says beside it, and the same list where there is nothing to say.
    for (cut, says, whole) in [
        ("item list --limit 3", older, "item list --limit 4"),
        ("worker list --all --limit 2", older, "worker list --all --limit 3"),
        ("change list --all --limit 2", older, "change list --all --limit 3"),
        ("worker list --item 1", "those that have ended: sprintctl worker list --all --item 1", "worker list --all"),
        ("change list --repo web", "sprintctl change list --all --repo web", "change list --all"),
        ("event tail", "earlier ones: sprintctl event tail --since 0", "event tail --since 0"),
        (
            "event tail --item 1 -n 2",
            "earlier ones: sprintctl event tail --item 1 --since 0",
            "event tail --item 1 -n 999",
        ),
        ("audit -n 1", "earlier ones: sprintctl audit --since 0", "audit -n 999"),
    ] {
        let run = |command: &str| {
            let answer = cluster.sprintctl(&command.split(' ').collect::<Vec<_>>()).succeeded();
            (answer.text().lines().count(), answer.stderr)
        };
        let (rows, said) = run(cut);
        assert!(said.contains(says), "{cut}: {said:?} does not say {says:?}");
        let (all, said) = run(whole);
        assert_eq!(said, "", "{whole}");
        assert!(all > rows, "{cut} shows {rows} lines, {whole} {all}");
        // A script gets what it asked for, and nothing beside.
        let json = cluster.sprintctl(&[&cut.split(' ').collect::<Vec<_>>()[..], &["-o", "json"]].concat()).succeeded();
        assert_eq!(json.stderr, "", "{cut}");
    }
    let first = cluster.sprintctl(&["event", "tail", "--since", "0", "-n", "2"]).succeeded();
    assert_eq!(first.text().lines().count(), 2);
    assert!(first.stderr.contains("the next ones: sprintctl event tail --since 2"), "{}", first.stderr);
    assert_eq!(cluster.json(&["item", "list", "--limit", "2"]).as_array().map(Vec::len), Some(2));
    let many = cluster.add_with(&repo, "Waits for more", "true", &["--needs", "1,2,3,4", "--stage", "inbox"]);
    let list = cluster.sprintctl(&["item", "list"]).succeeded();
    assert!(list.stderr.contains("all needs of an item: sprintctl item show ID"), "{}", list.stderr);
    let shown = cluster.sprintctl(&["item", "show", &many.to_string()]).succeeded();
    assert!(shown.text().contains("1, 2, 3, 4"), "{}", shown.text());
}
