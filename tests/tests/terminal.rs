//! What others write reaches people as text: it steers no terminal, and hides nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use sprint_core::visible::is_hidden;
use sprint_tests::{Cluster, OutpostOptions, binary, commit, eventually};

/// The clipboard, a title, a question that the terminal answers, a control of one byte, and letters that turn around.
const HOSTILE: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]0;evil\u{7}\u{1b}[6n\u{9b}5n\u{202e}exe.txt\u{2069}";
const PRINTF: &str = "printf '\\033]52;c;ZXZpbA==\\007\\033]0;evil\\007\\033[6n\\033[31mred\\033[0m\\302\\2335n\\342\\200\\256exe.txt\\n'";

/// Runs sprintctl on a terminal; answers everything that the terminal gets.
fn on_a_terminal(cluster: &Cluster, args: &str) -> String {
    // What does not end by itself is left.
    let line = format!("stty rows 24 cols 80; timeout --foreground 5 {} {args}", binary("sprintctl").display());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("SPRINT_CONFIG_DIR", cluster.contexts());
    let output = script.env_remove("NO_COLOR").env("TERM", "xterm-256color").output().expect("script runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether nothing in it does anything but set colours.
fn steers_nothing(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(|char| is_hidden(char) && char != '\r') {
        let after = &rest[at..];
        let Some(parameters) = after.strip_prefix("\u{1b}[") else { return false };
        let end = parameters.find(|char: char| !char.is_ascii_digit() && char != ';').unwrap_or(parameters.len());
        if !parameters[end..].starts_with('m') {
            return false;
        }
        rest = &parameters[end..];
    }
    true
}

#[test]
fn nothing_that_others_write_steers_a_terminal() {
    let mut cluster = Cluster::start(0);
    let more = vec!["--label".to_owned(), format!("evil={HOSTILE}")];
    cluster.add_outpost("host", OutpostOptions { more, ..OutpostOptions::default() });
    cluster.online("host");
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let hook = repo.upstream.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().expect("has one")).expect("is made");
    fs::write(&hook, format!("#!/bin/sh\n{PRINTF} >&2\nexit 1\n")).expect("is written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("is set");
    // A title, a commit's message, a log, the end of a log, and an upstream's own words.
    let landed = cluster.add(
        &repo,
        "A title \u{202e}exe.txt",
        &commit("a", "a").replace("git commit", &format!("{PRINTF} > m; git commit -F m; true || git commit")),
    );
    let failed = cluster.add(&repo, "Fails", &format!("{PRINTF}; exit 1"));
    cluster.until(failed, "blocked");
    eventually("the upstream refuses", || {
        cluster.sprintctl(&["repo", "show", "web"]).succeeded().stderr.contains("exe.txt")
    });
    let worker = cluster.workers(failed)[0]["id"].to_string();
    // What a person writes, another one reads.
    let protected = cluster.add(&repo, "Protected", &commit("sprint.toml", "protect = []"));
    let said = format!("because {HOSTILE}");
    let approved = cluster.approved(protected, &said);
    cluster.sprintctl(&["item", "edit", &failed.to_string(), "--label", HOSTILE]).succeeded();
    cluster.sprintctl(&["repo", "set", "web", "--freeze", &said]).succeeded();
    for args in [
        "item list".to_owned(),
        format!("item show {landed}"),
        format!("item show {failed}"),
        format!("item explain {landed}"),
        format!("item explain {failed}"),
        "change list --all".to_owned(),
        format!("change show {approved}"),
        format!("change explain {approved}"),
        "outpost list".to_owned(),
        "outpost show host".to_owned(),
        "repo show web".to_owned(),
        "repo list".to_owned(),
        "status".to_owned(),
        "worker list --all".to_owned(),
        format!("worker logs {worker}"),
        "event tail --since 0".to_owned(),
        "audit".to_owned(),
        format!("item show {HOSTILE:?}"),
    ] {
        let shown = on_a_terminal(&cluster, &args);
        assert!(!shown.trim().is_empty() && steers_nothing(&shown), "sprintctl {args}: {shown:?}");
    }
    let log = on_a_terminal(&cluster, &format!("worker logs {worker}"));
    assert!(log.contains("\u{1b}[31mred\u{1b}[0m") && log.contains("\\x1b]52;c;ZXZpbA==\\x07"), "{log:?}");
    // Byte for byte in a pipe, and where it is wanted.
    let raw = cluster.sprintctl(&["worker", "logs", &worker]).succeeded();
    assert!(raw.text().contains("\u{1b}]52;c;ZXZpbA==\u{7}"), "{:?}", raw.text());
    let raw = on_a_terminal(&cluster, &format!("worker logs --raw {worker}"));
    assert!(raw.contains("\u{1b}]52;c;ZXZpbA==\u{7}"), "{raw:?}");
    // Scripts read the same, and a person who looks at it is safe.
    for args in [vec!["item", "list"], vec!["event", "tail", "--since", "0"], vec!["worker", "logs", &worker]] {
        let json = cluster.sprintctl(&[&args[..], &["-o", "json"]].concat()).succeeded().text();
        assert!(!json.contains(is_hidden), "{args:?}: {json:?}");
    }
    let item = cluster.item(landed);
    assert_eq!(item["title"], "A title \u{202e}exe.txt");
}

#[test]
fn who_joins_a_worker_gets_its_window_and_no_more() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("joined");
    let id = cluster.add(&repo, "Writes", &format!("{PRINTF}; echo drawn; {}", hold.run));
    hold.reached();
    let worker = cluster.worker(id);
    for way in ["", "--remote"] {
        let shown = on_a_terminal(&cluster, &format!("worker attach {way} {worker}"));
        assert!(shown.contains("drawn"), "{way}: {shown:?}");
        for evil in ["\u{1b}]52;", "\u{1b}]0;evil", "\u{9b}5n"] {
            assert!(!shown.contains(evil), "{way}: {evil:?} in {shown:?}");
        }
    }
    hold.release();
}
