//! Three agents land a small feature, one after the other, on a repository with a gate. The model follows a script; the
//! programs, the repository, the terminals and the merge queue are real.

use sprint_tests::{Cluster, agents};

/// Counts words; the gate runs its tests.
const PROJECT: [(&str, &str); 3] = [
    ("count.sh", "#!/bin/sh\nwc -w \"$@\" | awk '{ print $1 }'\n"),
    ("test.sh", "#!/bin/sh\nset -e\nfor t in tests/*.sh; do sh \"$t\"; done\necho \"all tests pass\"\n"),
    ("tests/words.sh", "test \"$(echo one two | sh count.sh)\" = 2\n"),
];

/// Which agent does what, by the script that its model follows.
const STEPS: [(&str, &str, &str); 3] = [
    (
        "claude",
        "Count lines as well",
        "@@tool report_progress {\"text\": \"I add --lines to count.sh\"}\n\
         @@run printf '#!/bin/sh\\nunit=-w\\nif [ \"$1\" = --lines ]; then unit=-l; shift; fi\\nwc $unit \"$@\" | awk \"{ print \\\\$1 }\"\\n' > count.sh && sh test.sh && git add -A && git commit -qm 'Count lines with --lines'\n\
         @@say count.sh takes --lines now.",
    ),
    (
        "codex",
        "Test that lines are counted",
        "@@run printf 'test \"$(printf \"a\\\\nb\\\\n\" | sh count.sh --lines)\" = 2\\n' > tests/lines.sh && sh test.sh && git add -A && git commit -qm 'Test --lines'\n\
         @@tool file_item {\"title\": \"Count letters as well\", \"kind\": \"feature\"}\n\
         @@say tests/lines.sh checks it.",
    ),
    (
        "grok",
        "Say so in the README",
        "@@run printf '# count\\n\\n`count.sh FILE` counts words, `count.sh --lines FILE` lines.\\n' > README.md && git add -A && git commit -qm 'Describe --lines'\n\
         @@say The README says it.",
    ),
];

fn main() {
    let packages = match agents::packages() {
        Ok(packages) => packages,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::exit(1);
        }
    };
    let mut cluster = Cluster::start(0);
    let _model = agents::outpost(&mut cluster, &packages, &[]);
    let say =
        |args: &[&str]| println!("$ sprintctl {}\n{}", args.join(" "), cluster.sprintctl(args).succeeded().text());
    say(&["runtime", "list"]);
    let repo =
        cluster.repo("count", &PROJECT, &["--agent", "claude", "--model", "fake-1", "--gate", "test=sh test.sh"]);
    for (agent, title, script) in STEPS {
        cluster.sprintctl(&["repo", "set", "count", "--agent", agent, "--model", "fake-1"]).succeeded();
        let added = cluster.json(&["item", "add", "--repo", "count", title, "--description", script]);
        let id = added["id"].as_u64().expect("a number");
        cluster.landed(&repo, id);
        let worker = cluster.workers(id)[0]["id"].to_string();
        println!("== {agent}: {title}");
        say(&["worker", "logs", &worker]);
    }
    say(&["item", "list"]);
    say(&["item", "list", "--stage", "inbox"]);
    say(&["usage", "--by", "model"]);
    println!("main:\n{}", repo.log());
}
