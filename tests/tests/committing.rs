//! Whose the commits of landings are: the repo's choice, and provable.

use std::fs;
use std::process::Command;

use sprint_tests::{Cluster, Repo, commit, git, git_as};

const ANN: &str = "Ann Example <ann@example.org>";

/// Of the last commit of the upstream's main.
fn shown(repo: &Repo, format: &str) -> String {
    git(&repo.upstream, &["log", "-1", &format!("--format={format}"), "main"])
}

#[test]
fn landings_are_committed_as_the_repo_says() {
    let cluster = Cluster::start(1);
    // The identity of the person who adds it is the author, as git has it for them.
    let home = cluster.path().join("home");
    fs::create_dir(&home).expect("is made");
    fs::write(home.join(".gitconfig"), "[user]\n\tname = Ann Example\n\temail = ann@example.org\n")
        .expect("is written");
    let other = cluster.repo("other", &[], &[]);
    let url = other.upstream.display().to_string();
    let variables = [("HOME", home.to_str().expect("UTF-8"))];
    let added = cluster.sprintctl_with(&variables, &["repo", "add", "web", &url, "-o", "json"]).succeeded().json();
    assert_eq!(added["committing"]["author"], ANN);
    let repo = Repo { name: "web".to_owned(), ..other };
    let land = |file: &str| {
        let id = cluster.add(&repo, file, &commit(file, "x"));
        cluster.landed(&repo, id);
    };
    land("a");
    assert_eq!(shown(&repo, "%an <%ae>|%cn <%ce>"), format!("{ANN}|Sprint <sprint@localhost>"));
    assert!(!shown(&repo, "%B").contains("Signed-off-by"));

    let set = |args: &[&str]| cluster.sprintctl(&[&["repo", "set", "web"], args].concat()).succeeded();
    set(&["--committer", "Bot <bot@example.org>", "--sign-off"]);
    land("b");
    assert_eq!(shown(&repo, "%an|%cn <%ce>"), "Ann Example|Bot <bot@example.org>");
    assert!(shown(&repo, "%(trailers:key=Signed-off-by,valueonly)").contains("Bot <bot@example.org>"));
    set(&["--author", "", "--committer", "", "--sign-off=false"]);
    land("c");
    assert_eq!(shown(&repo, "%an|%cn|%(trailers:key=Signed-off-by)"), "Sprint|Sprint|");

    // With one commit for all of a change it is the worker's, and the repo's author's where the worker is nobody.
    repo.push(&[("sprint.toml", "[merge]\nmethod = \"squash\"\n")]);
    set(&["--author", ANN]);
    land("d");
    assert_eq!(shown(&repo, "%an"), "Ann Example");
    let named = format!("git config user.name Bob; git config user.email bob@example.org; {}", commit("e", "x"));
    let id = cluster.add(&repo, "Named", &named);
    cluster.landed(&repo, id);
    assert_eq!(shown(&repo, "%an"), "Bob");

    for (args, why) in [
        (["--author", "Ann"], "no identity of git"),
        (["--committer", "A <b> <c>"], "no identity of git"),
        (["--sign", "/no/such/key"], "cannot sign"),
    ] {
        cluster.sprintctl(&[&["repo", "set", "web"], &args[..]].concat()).refused(&[why]);
    }
}

#[test]
fn signed_landings_verify_for_each_merge_method() {
    let cluster = Cluster::start(1);
    let key = cluster.path().join("signing key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen runs").success());
    let public = fs::read_to_string(key.with_extension("pub")).expect("is read");
    let allowed = cluster.path().join("allowed");
    fs::write(&allowed, format!("bot@example.org {public}")).expect("is written");
    let repo =
        cluster.repo("web", &[], &["--sign", key.to_str().expect("UTF-8"), "--committer", "Bot <bot@example.org>"]);
    let verify = |commit: &str| {
        let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let args = ["-c", "gpg.format=ssh", "-c", &setting, "verify-commit", commit];
        let output = git_as(&repo.upstream, &[], &args);
        assert!(output.status.success(), "{commit}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for method in ["merge", "squash", "rebase", "fast-forward"] {
        let before = repo.push_to("main", &[("sprint.toml", &format!("[merge]\nmethod = \"{method}\"\n"))]);
        let two = format!("{}; {}", commit(&format!("{method}-1"), "x"), commit(&format!("{method}-2"), "y"));
        let id = cluster.add(&repo, method, &two);
        cluster.until(id, "done");
        // Of a merge the worker's own commits stay as they are.
        let range = ["rev-list", "--first-parent", &format!("{before}..main")];
        let landed = git(&repo.upstream, &range);
        assert!(!landed.is_empty(), "{method}");
        landed.lines().for_each(verify);
        assert_eq!(git(&repo.upstream, &["fsck", "--strict", "--no-dangling"]), "", "{method}");
    }
    // A key with a passphrase asks nobody, and is refused.
    let locked = cluster.path().join("locked");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "secret", "-f"]).arg(&locked).status();
    assert!(made.expect("ssh-keygen runs").success());
    cluster
        .sprintctl(&["repo", "set", "web", "--sign", &locked.display().to_string()])
        .refused(&["cannot sign", "passphrase"]);
    // One that is gone halts nothing for good.
    fs::rename(&key, key.with_extension("away")).expect("is moved");
    let id = cluster.add(&repo, "Waits for the key", &commit("late", "x"));
    sprint_tests::eventually("it says why", || {
        cluster.sprintctl(&["item", "explain", &id.to_string()]).text().contains("cannot sign")
    });
    fs::rename(key.with_extension("away"), &key).expect("is moved");
    cluster.until(id, "done");
}
