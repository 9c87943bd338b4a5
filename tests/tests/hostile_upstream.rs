//! One hostile upstream: what its trees are called, and how large they are, harms no other repo, and nothing outside of
//! the coordinator's own directory.

use std::path::Path;

use git2::{ObjectType, Oid, Repository};
use sprint_tests::{Cluster, commit, eventually, git, peak_memory};

/// A tree of entries as they are, whatever git thinks of them.
fn tree(objects: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = vec![];
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    objects.odb().and_then(|objects| objects.write(ObjectType::Tree, &bytes)).expect("is written")
}

/// Moves the branch of an upstream to a commit of this tree, without git's consent.
fn push(upstream: &Path, make: impl FnOnce(&Repository) -> Oid) {
    let objects = Repository::open(upstream).expect("a repository");
    let tree = make(&objects);
    let tip = objects.revparse_single("main").ok().map(|tip| tip.id().to_string());
    let parent = tip.map(|tip| format!("parent {tip}\n")).unwrap_or_default();
    let who = "x <x@example.invalid> 1700000000 +0000";
    let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\nx\n");
    let commit = objects.odb().and_then(|objects| objects.write(ObjectType::Commit, text.as_bytes())).expect("written");
    objects.reference("refs/heads/main", commit, true, "x").expect("is moved");
}

fn blob(objects: &Repository, text: &[u8]) -> Oid {
    objects.blob(text).expect("is written")
}

type Make = fn(&Repository) -> Oid;

/// Trees whose entries lead somewhere: each with what git's fsck calls it.
const NAMES: &[(&str, Make, &str)] = &[
    (
        "a path for a name",
        |objects| {
            let planted = blob(objects, b"* merge=union\n");
            let inner = tree(objects, &[("100644", b".gitattributes", planted)]);
            tree(objects, &[("40000", b"../../../../planted", inner)])
        },
        "fullPathname",
    ),
    (
        "an absolute path",
        |objects| {
            let file = blob(objects, b"x");
            tree(objects, &[("100644", b"/tmp/sprint-planted", file)])
        },
        "fullPathname",
    ),
    (
        "the directory above",
        |objects| {
            let file = blob(objects, b"x");
            let inner = tree(objects, &[("100644", b".gitattributes", file)]);
            tree(objects, &[("40000", b"..", inner)])
        },
        "hasDotdot",
    ),
    (
        "git's own directory",
        |objects| {
            let file = blob(objects, b"[core]\n\tfsmonitor = touch /tmp/sprint-planted\n");
            let inner = tree(objects, &[("100644", b"config", file)]);
            tree(objects, &[("40000", b".GIT", inner)])
        },
        "hasDotgit",
    ),
    (
        "its short name",
        |objects| {
            let file = blob(objects, b"x");
            let inner = tree(objects, &[("100644", b"config", file)]);
            tree(objects, &[("40000", b"git~1", inner)])
        },
        "hasDotgit",
    ),
    (
        "two of one name",
        |objects| {
            let (one, other) = (blob(objects, b"x"), blob(objects, b"y"));
            tree(objects, &[("100644", b"same", one), ("100644", b"same", other)])
        },
        "duplicateEntries",
    ),
    (
        "no name",
        |objects| {
            let file = blob(objects, b"x");
            tree(objects, &[("100644", b"", file)])
        },
        "empty filename",
    ),
    (
        "a submodule with an option for an address",
        |objects| {
            let file = blob(objects, b"[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n");
            tree(objects, &[("100644", b".gitmodules", file)])
        },
        "gitmodulesUrl",
    ),
    (
        "a submodule that leads out",
        |objects| {
            let file = blob(objects, b"[submodule \"../../x\"]\n\tpath = x\n\turl = https://example.invalid\n");
            tree(objects, &[("100644", b".gitmodules", file)])
        },
        "gitmodulesName",
    ),
    (
        "a link in the place of .gitmodules",
        |objects| {
            let file = blob(objects, b"/etc/passwd");
            tree(objects, &[("120000", b".gitmodules", file)])
        },
        "gitmodulesSymlink",
    ),
];

#[test]
fn names_that_lead_out_are_refused_at_first_and_later() {
    let cluster = Cluster::start(1);
    let honest = cluster.repo("honest", &[], &[]);
    for (number, (what, make, fault)) in NAMES.iter().enumerate() {
        let upstream = cluster.path().join(format!("bad-{number}.git"));
        git(cluster.path(), &["init", "-q", "--bare", "-b", "main", &upstream.display().to_string()]);
        push(&upstream, make);
        let answer = cluster.sprintctl(&["repo", "add", &format!("bad-{number}"), &upstream.display().to_string()]);
        assert!(answer.code == 1 && answer.stderr.contains(fault), "{what}: {}", answer.stderr);
        assert!(answer.stderr.contains("fsck") || *what == "no name", "{what}: {}", answer.stderr);
    }
    // The same at the upstream of a repo that is managed: nothing comes here, and it says so.
    for (number, (what, make, fault)) in NAMES.iter().enumerate().take(4) {
        let repo = cluster.repo(&format!("turned-{number}"), &[], &[]);
        push(&repo.upstream, make);
        let before = cluster.sprintctl(&["repo", "fetch", &repo.name]);
        assert!(before.code == 1 && before.stderr.contains(fault), "{what}: {}", before.stderr);
    }
    for planted in ["/tmp/sprint-planted", "planted"] {
        let data = cluster.coordinator_data();
        let places = data.ancestors().map(|place| place.join(planted));
        assert_eq!(places.filter(|place| place.exists()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
    }
    let id = cluster.add(&honest, "Innocent", &commit("a.txt", "a"));
    cluster.landed(&honest, id);
}

#[test]
fn programs_that_talk_to_an_upstream_end_with_their_coordinator() {
    let mut cluster = Cluster::start(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/silent.git", listener.local_addr().expect("an address"));
    let adding = cluster.spawn(&["repo", "add", "silent", &url]);
    let (_open, _) = listener.accept().expect("git asks");
    let programs = || -> Vec<i32> {
        let all = sprint_tests::mentioning(&url).into_iter();
        let is_git =
            |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("git"));
        all.filter(is_git).collect()
    };
    eventually("git and its helper run", || programs().len() >= 2);
    // Killed, it cannot end them; the next one does.
    cluster.kill_coordinator();
    assert!(!programs().is_empty());
    cluster.start_coordinator();
    eventually("they have ended", || programs().is_empty());
    drop(adding);
}

#[test]
fn a_tree_that_is_too_large_halts_its_own_queue_only() {
    let cluster = Cluster::start(1);
    let honest = cluster.repo("honest", &[], &[]);
    let bomb = cluster.repo("bomb", &[], &[]);
    let attributes = cluster.repo("attributes", &[], &[]);
    push(&bomb.upstream, |objects| {
        let file = blob(objects, b"x");
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let files: Vec<_> = names.iter().map(|name| ("100644", name.as_bytes(), file)).collect();
        (0..9).fold(tree(objects, &files), |below, _| {
            let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), below)).collect();
            tree(objects, &entries)
        })
    });
    push(&attributes.upstream, |objects| {
        let file = blob(objects, &b"# x\n".repeat(5 << 20));
        tree(objects, &[("100644", b".gitattributes", file)])
    });
    for (repo, words) in [(&bomb, "more than"), (&attributes, "more than 1048576 bytes")] {
        cluster.sprintctl(&["repo", "fetch", &repo.name]);
        let branch = format!("b-{}", repo.name);
        let clone = tempfile::tempdir().expect("a directory");
        git(clone.path(), &["init", "-q", "-b", "main"]);
        git(clone.path(), &["fetch", "-q", "--depth=1", &format!("file://{}", repo.upstream.display()), "main"]);
        let tree = git(clone.path(), &["rev-parse", "FETCH_HEAD^{tree}"]);
        let head = git(clone.path(), &["commit-tree", &tree, "-p", "FETCH_HEAD", "-m", "more"]);
        git(
            clone.path(),
            &["push", "-q", &repo.upstream.display().to_string(), &format!("{head}:refs/heads/{branch}")],
        );
        let landed = cluster.sprintctl(&["land", &branch, "--repo", &repo.name]);
        println!("{}: {}{}", repo.name, landed.text(), landed.stderr);
        // At once, or in the queue.
        eventually("it says why nothing lands", || {
            let said = cluster.sprintctl(&["item", "list", "--repo", &repo.name, "-o", "json"]).text();
            let change = cluster.json(&["change", "list", "--all", "--repo", &repo.name]);
            let change = change.as_array().and_then(|all| all.first()?["id"].as_u64()).unwrap_or_default().to_string();
            let explained = cluster.sprintctl(&["change", "explain", &change, "-o", "json"]).text();
            landed.stderr.contains(words) || said.contains(words) || explained.contains(words)
        });
    }
    let id = cluster.add(&honest, "Innocent", &commit("a.txt", "a"));
    cluster.landed(&honest, id);
    let peak = peak_memory(cluster.coordinator_pid());
    assert!(peak <= 300, "the coordinator has had {peak} MiB");
}
