//! What workers are told: by the templates that ship, and by a repository's own.

use sprint_tests::{Cluster, commit, eventually};

fn first_log(cluster: &Cluster, item: u64) -> String {
    let worker = cluster.workers(item)[0]["id"].to_string();
    cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text().replace("\r\n", "\n")
}

fn read_and_commit(file: &str) -> String {
    format!("cat $SPRINT_PROMPT_FILE; {}", commit(file, "x"))
}

#[test]
fn a_worker_is_told_what_its_item_belongs_to_and_what_to_read_first() {
    let cluster = Cluster::start(1);
    let spec = [("specs/001-login/spec.md", "# Login"), ("memory/constitution.md", "Be kind.")];
    let repo = cluster.repo("web", &spec, &["--gate", "ok=true"]);
    let feature = ["item", "add", "--repo", "web", "Login", "--kind", "feature", "--label", "001-login"];
    let feature = cluster.json(&[&feature[..], &["--description", "People log in.", "--stage", "planning"]].concat());
    let parent = feature["id"].to_string();
    let id = cluster.add_with(
        &repo,
        "The form",
        &read_and_commit("a.txt"),
        &["--parent", &parent, "--accept", "it is there"],
    );
    cluster.landed(&repo, id);
    let told = first_log(&cluster, id);
    let first = "# The form\n\n## Done when\n- it is there\n\n## It is part of feature 1: Login\n\nPeople log in.\n";
    assert!(told.starts_with(first), "{told}");
    assert!(told.contains("## Read first\n- memory/constitution.md\n- specs/001-login/spec.md\n"), "{told}");
    assert!(told.contains("Commit your work") && told.contains("sprintctl item resolve --nothing-to-do"), "{told}");
}

#[test]
fn a_repositorys_own_template_is_used_and_a_wrong_one_starts_nobody() {
    let cluster = Cluster::start(1);
    let own = "Our way, {{ role }}.\n# {{ item.title }}\n{% include \"sprint/task.md\" %}\n";
    let repo = cluster.repo("web", &[("sprint/prompts/developer.md", own)], &["--gate", "ok=true"]);
    let run = read_and_commit("a.txt");
    let id = cluster.add_with(&repo, "Do it", &run, &["--description", "Well. {{ tip }}"]);
    cluster.landed(&repo, id);
    let told = first_log(&cluster, id);
    assert!(told.starts_with("Our way, developer.\n# Do it\n\nWell. {{ tip }}\n"), "{told}");
    assert!(!told.contains("only commits count"), "{told}");

    // A worker's change of it waits for a person, as one of sprint.toml does.
    let change = "printf '{{ itm.title }}' > sprint/prompts/developer.md; git commit -qam worse";
    let worse = cluster.add(&repo, "Make it worse", change);
    eventually("it waits for a person", || {
        cluster.sprintctl(&["item", "explain", &worse.to_string()]).text().contains("sprint/prompts/developer.md")
    });
    let change = cluster.changes(worse)[0]["id"].to_string();
    cluster.sprintctl(&["change", "approve", &change, "--reason", "to see what comes of it"]).succeeded();
    cluster.landed(&repo, worse);
    let after = cluster.add(&repo, "Nobody can", &read_and_commit("b.txt"));
    eventually("it says which line is wrong", || {
        let shown = cluster.sprintctl(&["item", "show", &after.to_string()]).text();
        shown.contains("sprint/prompts/developer.md cannot be filled in") && shown.contains("developer.md:1")
    });
    assert_eq!(cluster.count(after, "item_attempt_failed"), 0, "it is nobody's fault");
}

#[test]
fn a_template_that_asks_for_all_memory_or_all_time_starts_nobody_and_harms_nobody() {
    let cluster = Cluster::start(1);
    let doubled = format!("{{% set x = \"x\" * 50000000 %}}{}", "{% set x = x ~ x %}".repeat(12));
    let forever = "{% set x = \"x\" * 50000000 %}{% for i in range(100000) %}{% set y = x ~ x %}{% endfor %}";
    for (name, template) in [("memory", doubled.as_str()), ("time", forever)] {
        let repo = cluster.repo(name, &[("sprint/prompts/developer.md", template)], &["--gate", "ok=true"]);
        let id = cluster.add(&repo, "Nobody can", &read_and_commit("a.txt"));
        eventually("it says why", || {
            let shown = cluster.sprintctl(&["item", "show", &id.to_string()]).text();
            shown.contains("developer.md takes more than") || shown.contains("developer.md takes longer")
        });
    }
    let honest = cluster.repo("honest", &[], &["--gate", "ok=true"]);
    let id = cluster.add(&honest, "Do it", &read_and_commit("a.txt"));
    cluster.landed(&honest, id);
}
