//! What a worker may say and ask while it works: by its own `sprintctl`, and by the tools of its MCP server.

use serde_json::{Value, json};
use sprint_test_needs::{Need, have};
use sprint_tests::{Cluster, agents, commit, eventually};

/// A command line that fails once, and commits at the second try.
fn at_second(first: &str) -> String {
    format!("if [ $SPRINT_ATTEMPT = 1 ]; then {first}; exit 1; fi; {}", commit("a.txt", "a"))
}

fn events(cluster: &Cluster, item: u64, kind: &str) -> Vec<Value> {
    cluster.events().into_iter().filter(|event| event["item"] == item && event["kind"] == kind).collect()
}

/// What a worker prints that hands these lines to its MCP server, one after another.
fn by_mcp(messages: &[Value]) -> String {
    let lines = messages.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
    let requests = messages.iter().filter(|message| !message["id"].is_null()).count();
    let quoted = lines.replace('\'', "'\\''");
    // The server answers as long as its input is open: until the last answer is there.
    let wait = format!("until [ \"$(grep -c jsonrpc answers)\" -ge {requests} ]; do sleep 0.05; done");
    format!("touch answers; {{ printf '%s' '{quoted}'; {wait}; }} | sprintctl mcp > answers; cat answers; rm answers")
}

fn answers(cluster: &Cluster, item: u64) -> Vec<Value> {
    let worker = cluster.workers(item)[0]["id"].to_string();
    let log = cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text();
    log.lines().filter_map(|line| serde_json::from_str(line.trim()).ok()).collect()
}

fn call(id: u64, name: &str, arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": arguments } })
}

#[test]
fn what_a_worker_says_is_on_record_and_the_next_attempt_has_its_hand_off() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true", "--max-attempts", "3"]);
    let says = "sprintctl progress half of it; \
                sprintctl item file 'Rename it' --description 'It is misnamed.' --kind chore --needs 1 --accept 'it has a name'; \
                sprintctl handoff --completed 'the parser' --open 'the printer' --open CRLF --tests '2 of 5 fail'; \
                sprintctl item feedback";
    let run = format!("cat $SPRINT_PROMPT_FILE; {}", at_second(says));
    let id = cluster.add(&repo, "Do it", &run);
    cluster.landed(&repo, id);
    let filed = cluster.json(&["item", "show", "2"]);
    assert_eq!((&filed["stage"], &filed["discovered_from"]), (&json!("inbox"), &json!(id)), "{filed}");
    assert_eq!((&filed["kind"], &filed["needs"]), (&json!("chore"), &json!([1])));
    assert_eq!((&filed["title"], &filed["acceptance"]), (&json!("Rename it"), &json!(["it has a name"])));
    let progressed = events(&cluster, id, "worker_progressed");
    assert_eq!(progressed.len(), 1);
    assert_eq!(progressed[0]["data"]["note"]["text"], "half of it");
    assert_eq!(events(&cluster, id, "handoff_written").len(), 1);
    let shown = cluster.json(&["item", "show", &id.to_string()]);
    let handed_over = &shown["hand_offs"][0];
    assert_eq!((&handed_over["attempt"], &handed_over["open_issues"]), (&json!(1), &json!(["the printer", "CRLF"])));
    let text = cluster.sprintctl(&["item", "show", &id.to_string()]).succeeded().text();
    assert!(text.contains("handed over by attempt 1") && text.contains("test status: 2 of 5 fail"), "{text}");
    let workers = cluster.workers(id);
    let log = |at: usize| cluster.sprintctl(&["worker", "logs", &workers[at]["id"].to_string()]).succeeded().text();
    assert!(log(0).contains("item      2"), "the number of the item that it has filed: {}", log(0));
    let second = log(workers.len() - 1);
    assert!(second.contains("## What attempt 1 handed over") && second.contains("- the printer"), "{second}");
    assert!(!log(0).contains("handed over\r\n"));
    let shown = cluster.sprintctl(&["worker", "show", &workers[0]["id"].to_string()]).succeeded().text();
    assert!(shown.contains("half of it ("), "{shown}");
}

#[test]
fn filed_items_are_given_out_where_the_repo_says_so() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true", "--filing", "ready"]);
    let run = format!("sprintctl item file 'A part' --parent 1; {}", commit("a.txt", "a"));
    cluster.json(&["item", "add", "--repo", "web", "The whole", "--kind", "feature", "--stage", "planning"]);
    let id = cluster.add(&repo, "Do it", &run);
    cluster.landed(&repo, id);
    let filed = cluster.json(&["item", "show", "3"]);
    assert_eq!((&filed["parent"], &filed["discovered_from"]), (&json!(1), &json!(id)));
    assert_ne!(filed["stage"], "inbox", "{filed}");
    let shown = cluster.sprintctl(&["repo", "show", "web"]).succeeded().text();
    assert!(shown.contains("filed items") && shown.contains("ready"), "{shown}");
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do_and_the_worker_goes_on() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "says=sprintctl progress x; sprintctl item file x; true"]);
    let tries = [
        "sprintctl item file x --needs 99",
        "sprintctl item file x --parent 99",
        "sprintctl item file ' '",
        "sprintctl progress ' '",
        "sprintctl handoff",
        "sprintctl handoff --completed ' '",
        "sprintctl item file x --kind epic",
        "sprintctl progress $(head -c 70000 /dev/zero | tr '\\0' x)",
        "i=0; while [ $i -lt 52 ]; do sprintctl item file \"item $i\" >last 2>&1 || break; i=$((i + 1)); done; cat last; rm last",
    ];
    let run = format!("exec 2>&1; {}; {}", tries.join("; "), commit("a.txt", "a"));
    let id = cluster.add(&repo, "Try it", &run);
    cluster.landed(&repo, id);
    let worker = cluster.workers(id)[0]["id"].to_string();
    let log = cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text();
    for said in [
        "its need 99 does not exist",
        "its parent 99 does not exist",
        "the item has no title; give it one",
        "the progress is empty; say how far you are",
        "the following required arguments were not provided",
        "the hand-off is empty",
        "\"epic\"",
        "a request has at most 65536 bytes",
        "this worker has filed 50 items, the most that one may",
    ] {
        assert!(log.contains(said), "{said:?} is missing in\n{log}");
    }
    assert_eq!(cluster.json(&["item", "list", "--stage", "inbox"]).as_array().map(Vec::len), Some(50));
    assert_eq!(events(&cluster, id, "report_refused").len(), 3, "what only the coordinator knows is on record");
    // What is said after what was refused arrives all the same.
    assert_eq!(cluster.workers(id)[0]["state"], "done");
    let gates = cluster.json(&["worker", "list", "--all"]);
    let gate = gates.as_array().expect("a list").iter().find(|worker| worker["role"] == "gate").expect("a gate ran");
    let log = cluster.sprintctl(&["worker", "logs", &gate["id"].to_string()]).succeeded().text();
    assert_eq!(log.matches("a gate has no item").count(), 2, "{log}");
}

#[test]
fn what_a_worker_says_while_the_coordinator_is_away_arrives_once() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let run = format!(
        "touch begun; while ! test -e go; do sleep 0.1; done; \
         sprintctl progress alone; sprintctl item file Later; touch said; \
         while ! test -e on; do sleep 0.1; done; rm begun go said on; {}",
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Alone", &run);
    eventually("it has a worker", || !cluster.workers(id).is_empty());
    let worker = cluster.workers(id)[0]["id"].to_string();
    let dir = cluster.outpost_data("local-1").join("workers").join(&worker).join("workspace");
    eventually("it works", || dir.join("begun").exists());
    cluster.kill_coordinator();
    std::fs::write(dir.join("go"), "").expect("is written");
    eventually("it has said it", || dir.join("said").exists());
    cluster.kill_outpost("local-1");
    cluster.start_outpost("local-1");
    cluster.start_coordinator();
    cluster.online("local-1");
    std::fs::write(dir.join("on"), "").expect("is written");
    cluster.landed(&repo, id);
    assert_eq!(events(&cluster, id, "worker_progressed").len(), 1);
    let filed = cluster.json(&["item", "list", "--stage", "inbox"]);
    assert_eq!(filed.as_array().map(Vec::len), Some(1), "{filed}");
    let log = cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text();
    assert!(log.contains("kept on the outpost"), "{log}");
}

#[test]
fn the_tools_are_offered_in_both_versions_of_the_protocol() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let client = json!({ "name": "test", "version": "1" });
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client },
    });
    let older = [
        initialize,
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
        call(3, "get_item", &json!({})),
        call(4, "report_progress", &json!({ "text": "by MCP" })),
        call(5, "file_item", &json!({ "title": "Found by MCP", "kind": "bug" })),
        call(6, "write_handoff", &json!({ "completed": ["all"] })),
        call(7, "list_feedback", &json!({})),
        call(8, "delete_everything", &json!({})),
        call(9, "file_item", &json!({ "title": "x", "needs": [99] })),
        call(10, "file_item", &json!({ "titel": "x", "op": "show" })),
    ];
    let id = cluster.add(&repo, "Do it", &format!("{}; {}", by_mcp(&older), commit("a.txt", "a")));
    cluster.landed(&repo, id);
    let answers_of = |id| {
        let answers = answers(&cluster, id);
        move |number: u64| answers.iter().find(|answer| answer["id"] == number).cloned().unwrap_or_default()
    };
    let answer = answers_of(id);
    assert_eq!(answer(1)["result"]["protocolVersion"], "2025-11-25", "{}", answer(1));
    let names: Vec<_> =
        answer(2)["result"]["tools"].as_array().expect("a list").iter().map(|tool| tool["name"].clone()).collect();
    let all = ["get_item", "list_feedback", "report_progress", "file_item", "resolve_item", "write_handoff"];
    assert_eq!(names, all);
    let text = |number: u64| answer(number)["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert!(text(3).contains("\"task\": \"# Do it"), "{}", text(3));
    assert!(text(5).contains("\"item\": ") && text(7).contains("\"feedback\": []"), "{} {}", text(5), text(7));
    assert!(
        answer(8)["error"]["message"].as_str().is_some_and(|why| why.contains("call one of get_item")),
        "{}",
        answer(8)
    );
    assert_eq!(answer(9)["result"]["isError"], true);
    assert!(text(9).contains("its need 99 does not exist") && text(10).contains("titel"), "{} {}", text(9), text(10));
    // Calls are carried out beside each other: which number it got is not known.
    let filed = cluster.json(&["item", "list", "--stage", "inbox"]);
    assert_eq!(filed.as_array().map(Vec::len), Some(1), "{filed}");
    assert_eq!((&filed[0]["kind"], &filed[0]["discovered_from"]), (&json!("bug"), &json!(id)));

    // The newer version has no handshake: each request says what it speaks.
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": client,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let with_meta = |mut message: Value| {
        message["params"]["_meta"] = meta.clone();
        message
    };
    let newer = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} }),
        call(3, "report_progress", &json!({ "text": "by the newer" })),
    ]
    .map(with_meta);
    let id = cluster.add(&repo, "Do it again", &format!("{}; {}", by_mcp(&newer), commit("b.txt", "b")));
    cluster.landed(&repo, id);
    let answer = answers_of(id);
    let versions = &answer(1)["result"]["supportedVersions"];
    assert!(versions.to_string().contains("2026-07-28"), "{}", answer(1));
    assert_eq!(answer(2)["result"]["tools"].as_array().map(Vec::len), Some(all.len()), "{}", answer(2));
    assert_eq!(events(&cluster, id, "worker_progressed")[0]["data"]["note"]["text"], "by the newer");
}

#[test]
fn a_client_that_does_not_speak_the_protocol_is_told_so() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let run = format!("echo hello | sprintctl mcp 2>&1; echo \"[$?]\"; {}", commit("a.txt", "a"));
    let id = cluster.add(&repo, "Do it", &run);
    cluster.landed(&repo, id);
    let worker = cluster.workers(id)[0]["id"].to_string();
    let log = cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text();
    assert!(log.contains("does not speak its protocol") && log.contains("[1]"), "{log}");
}

#[test]
fn each_agent_finds_the_tools_and_calls_them() {
    let Some(packages) = have(Need::Agents, agents::packages) else { return };
    let mut cluster = Cluster::start(0);
    let _model = agents::outpost(&mut cluster, &packages, &[]);
    for agent in ["claude", "codex", "grok", "by-acp"] {
        let repo = cluster.repo(agent, &[], &["--agent", agent, "--model", "fake-1", "--max-attempts", "1"]);
        let script = format!(
            "@@tool report_progress {{\"text\": \"{agent} is half done\"}}\n@@tool file_item {{\"title\": \"Found by {agent}\"}}\n\
             @@run echo x > a && git add -A && git commit -qm a\n@@say Done."
        );
        let added = cluster.json(&["item", "add", "--repo", &repo.name, "Use the tools", "--description", &script]);
        let id = added["id"].as_u64().expect("a number");
        cluster.landed(&repo, id);
        let progressed = events(&cluster, id, "worker_progressed");
        let log = || {
            let worker = cluster.workers(id)[0]["id"].to_string();
            cluster.sprintctl(&["worker", "logs", &worker]).text()
        };
        assert_eq!(progressed.len(), 1, "{agent}: {}", log());
        assert_eq!(progressed[0]["data"]["note"]["text"], format!("{agent} is half done"));
        let filed = cluster.json(&["item", "list", "--repo", &repo.name, "--stage", "inbox"]);
        assert_eq!(filed[0]["title"], format!("Found by {agent}"), "{filed}");
    }
}

#[test]
fn a_worker_whose_attempt_is_over_says_nothing_any_more() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let says = "sprintctl progress late; sprintctl item file Late; sprintctl handoff --open late";
    let run = format!("trap '{{ {says}; }} 2>&1; exit 1' TERM; touch begun; while :; do sleep 0.1; done");
    let id = cluster.add(&repo, "Too late", &run);
    eventually("it has a worker", || !cluster.workers(id).is_empty());
    let worker = cluster.workers(id)[0]["id"].to_string();
    let begun = cluster.outpost_data("local-1").join(format!("workers/{worker}/workspace/begun"));
    eventually("it works", || begun.exists());
    cluster.sprintctl(&["item", "cancel", &id.to_string()]).succeeded();
    let over = format!("attempt 1 of item {id} is over");
    eventually("each is refused by number", || {
        cluster.sprintctl(&["worker", "logs", &worker]).text().matches(&over).count() == 3
    });
    let kinds: Vec<_> = cluster.events().into_iter().map(|event| event["kind"].clone()).collect();
    assert!(!kinds.contains(&json!("worker_progressed")) && !kinds.contains(&json!("handoff_written")), "{kinds:?}");
    assert_eq!(cluster.json(&["item", "list", "--stage", "inbox"]), json!([]));
}
