//! Gates: what fails does not land, and what cannot be judged has failed.

use sprint_tests::{Cluster, Repo, commit, eventually};

/// Adds an item whose gates fail, waits until it is blocked, and answers the reason.
fn refused(cluster: &Cluster, repo: &Repo) -> String {
    let before = repo.tip();
    let id = cluster.add(repo, "Is refused", &commit("a.txt", "a"));
    let item = cluster.until(id, "blocked");
    assert_eq!(repo.tip(), before, "nothing landed");
    let change = &cluster.changes(id)[0];
    assert_eq!(change["state"], "failed");
    let reason = change["reason"].as_str().expect("a reason");
    assert!(item["reason"].as_str().expect("a reason").contains(reason), "{item} does not say {reason:?}");
    reason.to_owned()
}

/// Adds an item whose gates cannot be judged, waits until they run again, and answers its number.
fn tried_again(cluster: &Cluster, repo: &Repo, why: &str) -> u64 {
    let before = repo.tip();
    let id = cluster.add(repo, "Is tried again", &commit("a.txt", "a"));
    eventually("the gate is excused twice", || cluster.count(id, "trial_gate_excused") >= 2);
    let events = cluster.events();
    let excused = events.iter().find(|event| event["kind"] == "trial_gate_excused").expect("it was excused");
    assert!(excused.to_string().replace("\\\"", "\"").contains(why), "{excused}");
    assert_eq!(cluster.changes(id)[0]["state"], "queued");
    assert_eq!(repo.tip(), before, "nothing landed");
    id
}

/// A gate that writes a report and requires something of it.
fn reporting(run: &str, report: &str, require: &str) -> String {
    format!("[[gate]]\nname = \"r\"\nrun = '''{run}'''\nreport = {report}\nrequire = {require}\n")
}

#[test]
fn a_gate_is_judged_by_its_report_and_the_next_attempt_gets_the_findings() {
    let cluster = Cluster::start(1);
    let sarif = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}},"results":[{"level":"error","message":{"text":"is odd"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.txt"},"region":{"startLine":3}}}]}]}]}"#;
    let run = format!(
        "if ! test -e a.txt || grep -q fixed a.txt; then printf '%s' '{}' > r; else printf '%s' '{sarif}' > r; fi",
        sarif.replace("error", "note")
    );
    let gate = reporting(&run, "{ kind = \"sarif\", path = \"r\" }", "\"errors = 0\"");
    let repo = cluster.repo("web", &[("sprint.toml", &gate)], &[]);
    let run = format!(
        "if test $SPRINT_ATTEMPT = 1; then {}; else cp \"$SPRINT_FEEDBACK_FILE\" why.md; git add why.md; {}; fi",
        commit("a.txt", "broken"),
        commit("a.txt", "fixed"),
    );
    let id = cluster.add(&repo, "Fix", &run);
    cluster.landed(&repo, id);
    let why = repo.file("why.md").expect("it was told");
    assert!(why.contains("gate \"r\": Errors 1 > 0; in a.txt") && why.contains("a.txt:3: is odd"), "{why}");
}

#[test]
fn a_threshold_that_is_missed_or_not_measured_fails_closed() {
    for (run, why) in [
        ("printf 'SF:a.rs\\nDA:1,1\\nDA:2,0\\nend_of_record\\n' > c", "Coverage 50% < 80%; worst: a.rs 50%"),
        ("true", "the report c is missing"),
        ("printf 'SF:a.rs\\nDA:1,1\\n' > c", "it ends in the middle"),
    ] {
        let cluster = Cluster::start(1);
        let whole = "printf 'SF:a.rs\\nDA:1,1\\nend_of_record\\n' > c";
        let run = format!("if test -e a.txt; then {run}; else {whole}; fi");
        let gate = reporting(&run, "{ kind = \"lcov\", path = \"c\" }", "\"coverage >= 80\"");
        let repo = cluster.repo("web", &[("sprint.toml", &gate)], &["--max-attempts", "1"]);
        let reason = refused(&cluster, &repo);
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn a_failing_gate_sends_the_item_back_and_nothing_lands() {
    let cluster = Cluster::start(1);
    let gate = "[[gate]]\nname = \"ripe\"\nrun = \"cat state.txt; grep -q ripe state.txt\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", gate), ("state.txt", "ripe")], &[]);
    let hold = cluster.hold("second");
    let run = format!(
        "if test $SPRINT_ATTEMPT = 1; then {}; else {}; cp \"$SPRINT_FEEDBACK_FILE\" why.md; git add why.md; {}; fi",
        commit("state.txt", "green and sour"),
        hold.run,
        commit("state.txt", "ripe and sweet"),
    );
    let before = repo.tip();
    let id = cluster.add(&repo, "Ripen", &run);
    hold.reached();
    assert_eq!(repo.tip(), before, "what failed did not land");
    let change = &cluster.changes(id)[0];
    assert_eq!(change["state"], "failed");
    assert!(change["reason"].as_str().expect("a reason").contains("ripe"), "{change}");
    hold.release();
    cluster.landed(&repo, id);
    assert_eq!(repo.file("state.txt").as_deref(), Some("ripe and sweet\n"));
    let why = repo.file("why.md").expect("it was told");
    assert!(why.contains("gate \"ripe\" failed with exit code 1") && why.contains("green and sour"), "{why}");
}

#[test]
fn a_gate_runs_on_the_candidate_and_not_on_the_branch_alone() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "whole=test -e README -a -e a.txt && ! test -e b.txt"]);
    let hold = cluster.hold("late");
    // Either is fine alone; both together are not.
    let late = cluster.add(&repo, "late", &format!("{}; {}", hold.run, commit("b.txt", "b")));
    hold.reached();
    let early = cluster.add(&repo, "early", &commit("a.txt", "a"));
    cluster.landed(&repo, early);
    hold.release();
    eventually("the gate fails", || cluster.changes(late).first().is_some_and(|change| change["state"] == "failed"));
    assert_eq!(repo.file("b.txt"), None);
}

#[test]
fn a_gate_whose_command_is_missing_is_no_pass_and_rejects_no_change() {
    let cluster = Cluster::start(1);
    let gate = "[[gate]]\nname = \"lint\"\nrun = \"no-such-linter --strict\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", gate)], &["--max-attempts", "1"]);
    tried_again(&cluster, &repo, "gate \"lint\": command not found");
}

#[test]
fn a_gate_that_takes_too_long_is_no_pass_and_rejects_no_change() {
    let cluster = Cluster::start(1);
    let gate = "[[gate]]\nname = \"slow\"\nrun = \"sleep 1000\"\ntimeout = \"1s\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", gate)], &["--max-attempts", "1"]);
    let id = tried_again(&cluster, &repo, "gate \"slow\" timed out after 1s");
    cluster.sprintctl(&["item", "cancel", &id.to_string()]).succeeded();
    eventually("the gate's processes are gone", || cluster.worker_processes().is_empty());
}

#[test]
fn a_broken_configuration_halts_the_queue_until_a_push_repairs_it() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[("sprint.toml", "[[gate]\nname = \"x\"\n")], &[]);
    let before = repo.tip();
    let id = cluster.add(&repo, "Waits", &commit("a.txt", "a"));
    cluster.until(id, "merging");
    let halted = || cluster.json(&["repo", "show", "web"])["halted"].as_str().map(ToOwned::to_owned);
    eventually("the queue is halted", || halted().is_some());
    let reason = halted().expect("it is halted");
    assert!(reason.contains("sprint.toml cannot be read"), "{reason}");
    let change = cluster.changes(id)[0]["id"].to_string();
    let explained = cluster.sprintctl(&["change", "explain", &change]).succeeded().text();
    assert!(explained.contains("sprint.toml cannot be read") && explained.contains("--resume"), "{explained}");
    let shown = cluster.sprintctl(&["repo", "show", "web"]).succeeded().text();
    assert!(shown.contains("sprint.toml cannot be read"), "{shown}");
    assert_eq!(repo.tip(), before, "nothing landed");

    repo.push(&[("sprint.toml", "[[gate]]\nname = \"x\"\nrun = \"true\"\n")]);
    cluster.landed(&repo, id);
    assert_eq!(halted(), None);
}

#[test]
fn a_change_that_would_break_the_configuration_is_sent_back_with_the_parsers_words() {
    let cluster = Cluster::start(2);
    let good = "[[gate]]\nname = \"x\"\nrun = \"true\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", good)], &["--max-attempts", "1"]);
    let breaks = |title: &str, run: &str| cluster.add(&repo, title, &format!("{run}; git add -A; git commit -qm x"));
    let forms = [
        ("Syntax", "echo '[[gate]' >> sprint.toml", "cannot be read"),
        ("A misspelt key", "echo 'requires = \"tests >= 1\"' >> sprint.toml", "requires"),
        ("A misspelt table", "printf '[[gates]]\\nname = \"y\"\\nrun = \"false\"\\n' >> sprint.toml", "\"gates\""),
        ("A directory", "rm sprint.toml; mkdir sprint.toml; touch sprint.toml/x", "is not a file"),
        ("A link", "rm sprint.toml; ln -s /etc/passwd sprint.toml", "is not a file"),
        ("No text", "printf '\\377\\376' > sprint.toml", "not UTF-8"),
    ];
    let ids = forms.map(|(title, run, said)| (breaks(title, run), said));
    for (id, said) in ids {
        let item = cluster.until(id, "blocked");
        let reason = item["reason"].as_str().expect("a reason");
        assert!(reason.contains("the configuration cannot be read") && reason.contains(said), "{reason}");
    }
    let free = "printf '[x-other]\\nkey = 1\\n' >> sprint.toml";
    let foreign = breaks("A table of another program", free);
    cluster.approved(foreign, "it is another program's");
    cluster.landed(&repo, foreign);
    assert!(cluster.json(&["repo", "show", "web"])["halted"].is_null());
}

#[test]
fn gates_come_from_the_target_branch_and_not_from_the_change() {
    let cluster = Cluster::start(1);
    let gate = "[[gate]]\nname = \"strict\"\nrun = \"test -e sprint.toml\"\n";
    let repo = cluster.repo("web", &[("sprint.toml", gate)], &["--max-attempts", "1"]);
    let before = repo.tip();
    let id = cluster.add(&repo, "Takes the gate away", "git rm -q sprint.toml && git commit -qm no-gates");
    cluster.approved(id, "the gate is to decide");
    cluster.until(id, "blocked");
    assert_eq!(repo.tip(), before);
}

#[test]
fn a_repo_without_gates_says_so() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let shown = cluster.json(&["repo", "show", "web"]);
    assert!(shown["warnings"].to_string().contains("no gate is configured"), "{shown}");
    let id = cluster.add(&repo, "Lands as it is", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let events = cluster.events();
    let begun = events.iter().find(|event| event["kind"] == "change_landing_begun").expect("it began");
    assert_eq!(begun["data"]["candidate"]["gates"], serde_json::json!([]));
}

#[test]
fn a_passed_gate_says_which_commit_and_tree_it_was_for() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let id = cluster.add(&repo, "Passes", &commit("a.txt", "a"));
    let item = cluster.landed(&repo, id);
    let events = cluster.events();
    let passed = events.iter().find(|event| event["kind"] == "trial_gate_passed").expect("it passed");
    let text = passed["data"].to_string();
    assert!(text.contains(item["commit"].as_str().expect("a commit")), "{text}");
    let tree = sprint_tests::git(&repo.upstream, &["rev-parse", "main^{tree}"]);
    assert!(text.contains(&tree), "{text}");
    assert_eq!(cluster.changes(id)[0]["candidate"], item["commit"]);
}

#[test]
fn when_the_branch_itself_fails_no_change_is_rejected_and_a_repair_lands() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "mended=test -e mended.txt", "--max-attempts", "1"]);
    let other = cluster.add(&repo, "Other", &commit("a.txt", "a"));
    let change = || cluster.changes(other)[0]["id"].to_string();
    let explained = || cluster.sprintctl(&["change", "explain", &change()]).succeeded().text();
    cluster.until(other, "merging");
    eventually("it is said", || explained().contains("the branch itself does not pass its gates"));
    assert_eq!(cluster.changes(other)[0]["state"], "queued", "it is not blamed");
    let mends = cluster.add(&repo, "Mends", &commit("mended.txt", "m"));
    cluster.landed(&repo, mends);
    cluster.landed(&repo, other);
}

#[test]
fn gates_of_the_operator_hold_whatever_lands() {
    let cluster = Cluster::start(1);
    let gate = "kept=test ! -e forbidden";
    let repo = cluster.repo("web", &[], &["--gate", gate, "--max-attempts", "1"]);
    let config = "[[gate]]\nname = \"own\"\nrun = \"test ! -e odd\"\n[[gate]]\nname = \"kept\"\nrun = \"true\"\n";
    let run = format!("printf '%s' '{config}' > sprint.toml; git add -A; git commit -qm gates");
    let id = cluster.add(&repo, "Brings gates of its own", &run);
    cluster.approved(id, "more gates do no harm");
    cluster.landed(&repo, id);
    let gates = cluster.json(&["repo", "show", "web"])["gates_in_force"].clone();
    let names: Vec<_> = gates.as_array().expect("a list").iter().map(|gate| gate["name"].clone()).collect();
    assert_eq!(names, ["kept", "own"]);
    for (file, gate) in [("forbidden", "kept"), ("odd", "own")] {
        let id = cluster.add(&repo, file, &sprint_tests::commit(file, "x"));
        let reason = cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains(&format!("\"{gate}\"")), "{reason}");
    }
    // Only the operator takes it away.
    cluster.sprintctl(&["repo", "set", "web", "--no-gates"]).succeeded();
    let id = cluster.add(&repo, "Now it may", &sprint_tests::commit("forbidden", "x"));
    cluster.landed(&repo, id);
}
