//! The rules of landing are not changed by what lands: a worker's change of them waits for a person, and passes the old
//! gates and the new.

use serde_json::Value;
use sprint_tests::{Cluster, commit, eventually_some};

const COMMIT: &str = "git add -A; git commit -qm x";

/// What is said of an item's change once it waits for approval.
fn waiting(cluster: &Cluster, item: u64) -> (u64, String) {
    eventually_some("the change waits for approval", || {
        let change = cluster.changes(item).pop()?["id"].as_u64()?;
        let said = cluster.json(&["change", "explain", &change.to_string()]);
        let reasons = said["reasons"].as_array()?.iter();
        let mut reasons = reasons.filter(|reason| reason["code"] == "change.awaits_approval");
        Some((change, reasons.next()?["message"].as_str()?.to_owned()))
    })
}

fn gate(name: &str, run: &str) -> String {
    format!("[[gate]]\nname = \"{name}\"\nrun = \"{run}\"\n")
}

#[test]
fn a_change_of_the_gates_waits_for_a_person_and_passes_both() {
    let cluster = Cluster::start(2);
    let file = gate("test", "test ! -e bad") + &gate("lint", "true");
    let repo = cluster.repo("web", &[("sprint.toml", &file)], &["--max-attempts", "1"]);
    let weaker = "sed -i 's/test ! -e bad/true/; /lint/,$d' sprint.toml; sed -i '$d' sprint.toml";
    let bad = cluster.add(&repo, "Weakens and is bad", &format!("{weaker}; echo x > bad; {COMMIT}"));
    let (change, said) = waiting(&cluster, bad);
    for words in ["sprint.toml", "lets gate \"test\" run another command", "removes gate \"lint\""] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    // It holds up nobody.
    let other = cluster.add(&repo, "Beside it", &commit("a.txt", "a"));
    cluster.landed(&repo, other);
    assert_eq!(cluster.item(bad)["stage"], "merging");
    let id = change.to_string();
    let shown = cluster.sprintctl(&["change", "show", &id]).succeeded();
    assert!(shown.text().contains("protected") && shown.text().contains(&format!("change approve {id}")));
    // Only with a reason, and only once.
    let usage = cluster.sprintctl(&["change", "approve", &id]);
    assert!(usage.code == 2 && usage.stderr.contains("--reason"), "{}", usage.stderr);
    cluster.sprintctl(&["change", "approve", &id, "--reason", " "]).refused(&["say why"]);
    cluster.sprintctl(&["change", "approve", &id, "--reason", "looks fine"]).succeeded();
    cluster.sprintctl(&["change", "approve", &id, "--reason", "twice"]).refused(&["waits for no approval"]);
    // The old gate says no.
    let reason = cluster.until(bad, "blocked")["reason"].to_string();
    assert!(reason.contains("gate \\\"test\\\" failed"), "{reason}");
    assert_eq!(repo.file("sprint.toml").as_deref(), Some(file.as_str()));
    let approved: Vec<Value> =
        cluster.events().into_iter().filter(|event| event["kind"] == "change_approved").collect();
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0]["data"]["reason"], "looks fine");
    assert!(approved[0]["actor"].as_str().is_some_and(|actor| !actor.is_empty()), "{}", approved[0]);
}

#[test]
fn the_new_gates_count_as_well_and_then_it_lands() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[("sprint.toml", &gate("test", "true"))], &["--max-attempts", "1"]);
    let stricter = |run: &str| format!("printf '{}' > sprint.toml", gate("test", run).replace('\n', "\\n"));
    let add = |title: &str, run: &str| {
        cluster.add(&repo, title, &format!("{}; echo x > {title}.txt; {COMMIT}", stricter(run)))
    };
    let own = add("fails", "false");
    cluster.approved(own, "it is meant to be stricter");
    let reason = cluster.until(own, "blocked")["reason"].to_string();
    assert!(reason.contains("gate \\\"test (new)\\\" failed"), "{reason}");
    let good = add("passes", "test -e passes.txt");
    cluster.approved(good, "it is meant to be stricter");
    cluster.landed(&repo, good);
    let gates = cluster.changes(good).pop().expect("a change")["gates"].clone();
    assert_eq!(gates, serde_json::json!(["test", "test (new)"]));
}

#[test]
fn what_is_protected_is_found_in_every_form_and_can_be_switched_off_by_a_person() {
    let cluster = Cluster::start(2);
    let file = "protect = [\"ci/\", \"*.cov\"]\n";
    let files = [("sprint.toml", file), ("ci/run.sh", "exit 0\n"), ("unit.cov", "80\n"), ("docs/a.md", "a\n")];
    let repo = cluster.repo("web", &files, &["--max-attempts", "1"]);
    let add = |title: &str, run: &str| cluster.add(&repo, title, &format!("{run}; {COMMIT}"));
    let forms = [
        ("An edit", "echo 1 >> ci/run.sh", "ci/run.sh"),
        ("A new file", "mkdir -p ci/deep/er; echo x > ci/deep/er/x", "ci/deep/er/x"),
        ("A removal", "git rm -q unit.cov", "unit.cov"),
        ("A file moved in", "git mv docs/a.md ci/a.md", "ci/a.md"),
        ("A file moved out", "git mv ci/run.sh docs/run.sh", "ci/run.sh"),
        ("A mode", "chmod +x ci/run.sh", "ci/run.sh"),
        ("A link in its place", "rm -r ci; ln -s docs ci", "ci"),
        ("Another's recipe", "echo '{\"setup\": \"true\"}' > conductor.json", "conductor.json"),
        ("A list of files to bring", "echo .env > .worktreeinclude", ".worktreeinclude"),
        ("The protection itself", "echo 'protect = \"off\"' > sprint.toml", "switches the protection of paths off"),
        ("One path of it", "echo 'protect = [\"ci/\"]' > sprint.toml", "protects *.cov no more"),
    ];
    let ids = forms.map(|(title, run, said)| (title, add(title, run), said));
    for (title, id, said) in ids {
        let (_, text) = waiting(&cluster, id);
        assert!(text.contains(said), "{title}: {said:?} is not in {text:?}");
    }
    let beside = add("Is not protected", "echo b > docs/ci.md");
    cluster.landed(&repo, beside);
    // What a person brings is a person's word.
    let clone = tempfile::tempdir().expect("a directory");
    let git = |args: &[&str]| sprint_tests::git(clone.path(), args);
    git(&["clone", "-q", &repo.upstream.display().to_string(), "."]);
    std::fs::write(clone.path().join("sprint.toml"), "protect = \"off\"\n").expect("is written");
    git(&["commit", "-qam", "off"]);
    git(&["push", "-q", "origin", "HEAD:off"]);
    let off = cluster.json(&["land", "off"])["item"].as_u64().expect("an item");
    cluster.landed(&repo, off);
    let change = cluster.changes(off).pop().expect("a change");
    assert_eq!(change["protection"]["approval"]["by"], "who brought it", "{change}");
    let free = add("After that", "echo 2 >> ci/run.sh");
    cluster.landed(&repo, free);
}

#[test]
fn a_workers_change_that_a_person_brings_waits_as_well_and_lands_directly_only_by_force() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[("sprint.toml", &gate("test", "true"))], &["--max-attempts", "1"]);
    let weaker = format!("printf '{}' > sprint.toml; {COMMIT}", gate("test", ":").replace('\n', "\\n"));
    let id = cluster.add(&repo, "Weakens", &weaker);
    let (first, _) = waiting(&cluster, id);
    // A wait for it says who has to act, once, and ends with its limit.
    let waited = cluster.sprintctl(&["wait", &id.to_string(), "--timeout", "3s"]);
    let told = format!("item {id}: the change waits for a person's approval: it changes protected paths: sprint.toml");
    assert_eq!(waited.stderr.matches(&told).count(), 1, "{}", waited.stderr);
    assert!(waited.stderr.contains(&format!("sprintctl change approve {first} --reason")), "{}", waited.stderr);
    assert!(waited.code == 1 && waited.stderr.contains("timed out"), "{}", waited.stderr);
    cluster.sprintctl(&["change", "drop", &first.to_string(), "--reason", "not so"]).succeeded();
    cluster.until(id, "blocked");

    let item = id.to_string();
    let protected = |report: &Value| {
        let checks = report["checks"].as_array().expect("checks").iter();
        let mut checks = checks.filter(|checked| checked["check"] == "protected");
        checks.next().expect("one of them")["result"].as_str().expect("a word").to_owned()
    };
    assert_eq!(protected(&cluster.json(&["land", &item, "--dry-run"])), "pending");
    cluster.sprintctl(&["land", &item, "--direct"]).refused(&["protected: a worker changes sprint.toml"]);
    // By its commit it is a worker's just the same.
    let head = cluster.changes(id).pop().expect("a change")["head"].as_str().expect("a commit").to_owned();
    let by_head = ["land", &head, "--item", &item, "--direct"];
    cluster.sprintctl(&by_head).refused(&["protected: a worker changes sprint.toml"]);
    assert_eq!(protected(&cluster.json(&["land", &head, "--dry-run"])), "pending");
    assert_eq!(protected(&cluster.json(&["land", &item])), "pending");
    let (second, _) = waiting(&cluster, id);
    assert_ne!(second, first);
    assert_eq!(repo.landings(id), 0);
    let forced = cluster.json(&["land", &item, "--direct", "--force", "--reason", "it is meant so"]);
    assert_eq!(protected(&forced), "skipped");
    let change = cluster.changes(id).pop().expect("a change");
    assert_eq!(change["protection"]["approval"]["reason"], "it is meant so", "{change}");
    cluster.landed(&repo, id);
    let skipped = cluster.events().into_iter().filter(|event| event["kind"] == "landing_check_skipped");
    let skipped: Vec<_> =
        skipped.map(|event| (event["data"]["check"].clone(), event["data"]["reason"].clone())).collect();
    assert_eq!(skipped, [("protected".into(), "it is meant so".into())]);
    let quiet = cluster.sprintctl(&["wait", &item]).succeeded();
    assert!(!quiet.stderr.contains("approval"), "{}", quiet.stderr);
}

#[test]
fn a_direct_landing_that_comes_to_need_an_approval_waits_and_holds_up_nobody() {
    let cluster = Cluster::start(2);
    let hold = cluster.hold("direct");
    let file = format!("[[gate]]\nname = \"test\"\nrun = '''if test -e ci/a; then {}; fi'''\n", hold.run);
    let repo = cluster.repo("web", &[("sprint.toml", &file)], &["--max-attempts", "1"]);
    cluster.sprintctl(&["repo", "set", "web", "--freeze", "by hand"]).succeeded();
    let id = cluster.add(&repo, "Adds a script", &format!("mkdir ci; echo x > ci/a; {COMMIT}"));
    cluster.until(id, "merging");
    // Nothing protects it yet.
    let item = id.to_string();
    let wanted = ["land", &item, "--direct", "--force", "--no-wait", "--reason", "now"];
    let report = cluster.json(&wanted);
    assert!(report["checks"].to_string().contains("it changes no protected paths"), "{report}");
    hold.reached();
    repo.push_to("main", &[("sprint.toml", &format!("protect = [\"ci/\"]\n{file}"))]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let (change, said) = waiting(&cluster, id);
    assert!(said.contains("ci/a"), "{said}");
    cluster.sprintctl(&["repo", "set", "web", "--resume"]).succeeded();
    let other = cluster.add(&repo, "Is not held up", &commit("b.txt", "b"));
    cluster.landed(&repo, other);
    assert_eq!(repo.landings(id), 0);
    cluster.sprintctl(&["change", "approve", &change.to_string(), "--reason", "seen"]).succeeded();
    hold.release();
    cluster.landed(&repo, id);
}

#[test]
fn a_protect_that_cannot_be_read_is_sent_back() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let forms = ["protect = \"of\"", "protect = [\"\"]", "protect = [1]", "protekt = \"off\"", "[protect]\npaths = []"];
    for form in forms {
        let run = format!("printf '%s\\n' '{form}' > sprint.toml; {COMMIT}");
        let id = cluster.add(&repo, form, &run);
        let reason = cluster.until(id, "blocked")["reason"].to_string();
        assert!(reason.contains("the configuration cannot be read"), "{form}: {reason}");
    }
}
