//! What a change may put into the tree: files that every clone can hold, and that say what was meant.

use sprint_tests::{Cluster, eventually};

fn reason(cluster: &Cluster, id: u64) -> String {
    cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned()
}

const CONFLICT: &str = "printf '<<<<<<< HEAD\\na\\n=======\\nb\\n>>>>>>> x\\n'";
const POINTER: &str = "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 3\\n' 7";

#[test]
fn what_not_every_clone_can_hold_is_sent_back_with_paths_and_the_rule() {
    let cluster = Cluster::start(2);
    let rules = "[tree]\nmax_blob = \"1MiB\"\nwindows_names = \"refuse\"\n";
    let files = [("sprint.toml", rules), ("docs/Guide.md", "x\n"), ("odd", "<<<<<<< a\n=======\n>>>>>>> b\n")];
    let repo = cluster.repo("web", &files, &["--max-attempts", "1"]);
    let add = |title: &str, run: &str| cluster.add(&repo, title, &format!("{run}; git add -A; git commit -qm x"));
    let forms = [
        ("Case of a file", "echo y > docs/guide.md", "docs/guide.md differs from Guide.md in case only"),
        ("Case of a directory", "mkdir Docs; echo y > Docs/other", "Docs differs from docs in case only"),
        ("Case within the change", "echo a > new; echo b > NEW", "new differs from NEW in case only"),
        ("A device", "echo a > aux.c", "aux.c is a name that Windows cannot hold"),
        ("A large file", "head -c 2000000 /dev/zero > large", "large has 2000000 bytes, more than 1048576"),
        ("Markers", &format!("{CONFLICT} >> docs/Guide.md"), "docs/Guide.md has conflict markers from line 2 on"),
        ("A pointer", &format!("{POINTER} > big.bin"), "big.bin is a pointer of Git LFS"),
        (
            "Switches the rule off for itself",
            "sed -i s/1MiB/none/ sprint.toml; head -c 2000000 /dev/zero > b",
            "b has 2000000 bytes",
        ),
    ];
    let ids = forms.map(|(title, run, said)| (add(title, run), said));
    for (id, said) in ids {
        let reason = reason(&cluster, id);
        assert!(reason.contains(said) && reason.contains("[tree] of sprint.toml"), "{said:?} is not in {reason:?}");
    }
    // What was so before is nobody's fault, and what is gone is no problem.
    cluster.landed(&repo, add("Beside old markers", "echo more >> odd"));
    cluster.landed(&repo, add("A new name", "git mv docs/Guide.md docs/guide.md"));
    let allows = add("Allows it", "sed -i s/1MiB/none/ sprint.toml");
    cluster.approved(allows, "it weakens nothing that is needed");
    cluster.landed(&repo, allows);
    cluster.landed(&repo, add("Then it lands", "head -c 2000000 /dev/urandom > large"));
}

#[test]
fn two_changes_that_do_not_fit_together_are_told_apart() {
    let cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    cluster.sprintctl(&["repo", "set", "web", "--halt", "both are to meet"]).succeeded();
    let add = |file: &str| cluster.add(&repo, file, &sprint_tests::commit(file, "x"));
    let ids = [add("notes"), add("Notes")];
    for id in ids {
        cluster.until(id, "merging");
    }
    cluster.sprintctl(&["repo", "set", "web", "--resume"]).succeeded();
    eventually("one lands and one comes back", || {
        let mut stages = ids.map(|id| cluster.item(id)["stage"].as_str().unwrap_or_default().to_owned());
        stages.sort();
        stages == ["blocked", "done"]
    });
    let blocked = ids.into_iter().find(|id| cluster.item(*id)["stage"] == "blocked").expect("one is");
    assert!(reason(&cluster, blocked).contains("in case only"), "{}", reason(&cluster, blocked));
}

#[test]
fn a_persons_branch_with_an_unknown_submodule_does_not_land_either() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    // With an entry it lands.
    let commit = repo.tip();
    let name = repo.upstream.file_name().expect("a name").to_string_lossy();
    let known = format!("[submodule \"lib\"]\n\tpath = lib\n\turl = ../{name}\n");
    for (branch, modules) in [("bad", ""), ("good", known.as_str())] {
        let clone = tempfile::tempdir().expect("a directory");
        let git = |args: &[&str]| sprint_tests::git(clone.path(), args);
        git(&["clone", "-q", &repo.upstream.display().to_string(), "."]);
        std::fs::write(clone.path().join(".gitmodules"), modules).expect("is written");
        git(&["add", "-A"]);
        git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},lib")]);
        git(&["commit", "-qm", "lib"]);
        git(&["push", "-q", "origin", &format!("HEAD:{branch}")]);
    }
    let land = |branch: &str| cluster.json(&["land", branch])["item"].as_u64().expect("an item");
    let bad = land("bad");
    assert!(reason(&cluster, bad).contains("lib is a repository of its own without an entry in .gitmodules"));
    let good = land("good");
    cluster.landed(&repo, good);
}
