//! Repositories with submodules: workers and gates find them, what a worker does in them is kept, and nothing lands that
//! nobody could get.

use std::fs;
use std::path::{Path, PathBuf};

use sprint_tests::{Answer, Cluster, Repo, commit, eventually, git};

/// Git that may take submodules from paths, as a person must allow it.
fn person(directory: &Path, args: &[&str]) -> String {
    git(directory, &[&["-c", "protocol.file.allow=always"], args].concat())
}

/// A repository with a file, at `name` below a directory.
fn library(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(&path).expect("is made");
    git(&path, &["init", "-q", "-b", "main"]);
    fs::write(path.join("text"), text).expect("is written");
    git(&path, &["add", "-A"]);
    git(&path, &["commit", "-qm", text]);
    path
}

/// A cluster with a repo that has a submodule `vendor/lib`, in which there is another, `deep er`.
fn with_submodules(gate: &str) -> (Cluster, Repo, PathBuf) {
    let cluster = Cluster::start(1);
    let libraries = cluster.path().join("libraries");
    library(&libraries, "deep", "deep");
    let lib = library(&libraries, "lib", "lib");
    person(&lib, &["submodule", "add", "-q", "../deep", "deep er"]);
    git(&lib, &["commit", "-qm", "with deep"]);
    let clone = cluster.path().join("made");
    fs::create_dir(&clone).expect("is made");
    let upstream = libraries.join("web.git");
    git(&libraries, &["init", "-q", "--bare", "-b", "main", "web.git"]);
    git(&clone, &["init", "-q", "-b", "main"]);
    git(&clone, &["remote", "add", "origin", &upstream.display().to_string()]);
    person(&clone, &["submodule", "add", "-q", "../lib", "vendor/lib"]);
    fs::write(clone.join("sprint.toml"), format!("[[gate]]\nname = \"test\"\nrun = '''{gate}'''\n"))
        .expect("is written");
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "-qm", "first"]);
    git(&clone, &["push", "-q", "origin", "main"]);
    let options = ["repo", "add", "web", &upstream.display().to_string(), "--max-attempts", "1"];
    cluster.sprintctl(&options).succeeded();
    let repo = Repo { name: "web".to_owned(), upstream };
    (cluster, repo, libraries)
}

const ALL_THERE: &str = "grep -q lib vendor/lib/text && grep -q deep \"vendor/lib/deep er/text\"";

fn log(cluster: &Cluster, item: u64) -> String {
    cluster.sprintctl(&["worker", "logs", &cluster.workers(item)[0]["id"].to_string()]).succeeded().text()
}

#[test]
fn workers_and_gates_find_submodules_at_any_depth() {
    let (cluster, repo, libraries) = with_submodules(&format!("{ALL_THERE} && git submodule status --recursive"));
    let look = format!(
        "set -e; {ALL_THERE}; git submodule status --recursive; git submodule foreach --recursive --quiet 'git fsck --strict'; \
         test -z \"$(git status --porcelain)\"; git submodule update --init --recursive; git -C vendor/lib remote get-url origin; \
         echo a > a; git add a; git commit -qm a"
    );
    let id = cluster.add(&repo, "Looks", &look);
    cluster.landed(&repo, id);
    let said = log(&cluster, id);
    assert!(said.contains(&libraries.join("lib").display().to_string()), "{said}");
    assert_eq!(cluster.count(id, "work_left"), 0, "{said}");

    // The submodule moves on, by a worker that has only its new commit's name.
    let lib = libraries.join("lib");
    fs::write(lib.join("text"), "lib two").expect("is written");
    git(&lib, &["commit", "-qam", "two"]);
    let two = git(&lib, &["rev-parse", "HEAD"]);
    let bump = format!("git update-index --cacheinfo 160000,{two},vendor/lib && git commit -qm bump");
    let id = cluster.add(&repo, "Moves it", &bump);
    cluster.landed(&repo, id);
    let id = cluster.add(&repo, "Sees it", &format!("grep -q two vendor/lib/text && {}", commit("b", "b")));
    cluster.landed(&repo, id);
}

#[test]
fn what_a_worker_does_in_a_submodule_is_kept_and_what_nobody_could_get_does_not_land() {
    let (cluster, repo, _) = with_submodules("true");
    let run = "set -e; cd vendor/lib; echo mine > mine; git add mine; git commit -qm mine; echo half > half; \
               cd 'deep er'; echo changed >> text; cd ../../..; git add vendor/lib; git commit -qm bump";
    let id = cluster.add(&repo, "Commits in it", run);
    let reason = cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("vendor/lib is a submodule at a commit that cannot be fetched"), "{reason}");
    let shown = cluster.sprintctl(&["item", "show", &id.to_string()]).succeeded().text();
    for label in
        ["left nested/vendor%2Flib/HEAD", "left nested/vendor%2Flib/wip", "left nested/vendor%2Flib%2Fdeep%20er/wip"]
    {
        assert!(shown.contains(label), "{label} is missing in\n{shown}");
    }
    // Not committed in the repository around it, it is kept all the same.
    let run = "set -e; git -C vendor/lib -c user.name=w -c user.email=w@w commit -q --allow-empty -m quiet; echo a > a; git add a; git commit -qm a";
    let id = cluster.add(&repo, "Leaves it", &format!("[ -n \"$SPRINT_FEEDBACK_FILE\" ] || {{ {run}; }}"));
    cluster.landed(&repo, id);
    let shown = cluster.sprintctl(&["item", "show", &id.to_string()]).succeeded().text();
    assert!(shown.contains("left nested/vendor%2Flib/HEAD"), "{shown}");
}

#[test]
fn only_a_person_brings_a_submodule_from_a_new_address() {
    let (cluster, repo, libraries) = with_submodules("true");
    library(&libraries, "secret", "secret");
    let add = "set -e; cp -r .git /tmp/x 2>/dev/null || true; git config -f .gitmodules submodule.s.path s; \
               git config -f .gitmodules submodule.s.url ADDRESS; git update-index --add --cacheinfo 160000,COMMIT,s; \
               git add .gitmodules; git commit -qm s";
    let secret = git(&libraries.join("secret"), &["rev-parse", "HEAD"]);
    let run = add.replace("COMMIT", &secret).replace("ADDRESS", "../secret");
    let id = cluster.add(&repo, "Asks for another's", &run);
    let reason = cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("s is a submodule at an address that the branch does not have"), "{reason}");
    // By a person's push it comes along.
    let clone = cluster.path().join("made");
    git(&clone, &["pull", "-q", "--no-recurse-submodules", "origin", "main"]);
    person(&clone, &["submodule", "add", "-q", "../secret", "s"]);
    git(&clone, &["commit", "-qam", "s"]);
    git(&clone, &["push", "-q", "origin", "main"]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = cluster.add(&repo, "Finds it", &format!("grep -q secret s/text && {}", commit("b", "b")));
    cluster.landed(&repo, id);
}

#[test]
fn a_submodule_that_cannot_be_had_is_named_and_comes_by_itself() {
    let (cluster, repo, libraries) = with_submodules("true");
    let clone = cluster.path().join("made");
    let parked = libraries.join("parked");
    let other = library(&libraries, "other", "other");
    person(&clone, &["submodule", "add", "-q", "../other", "other"]);
    git(&clone, &["commit", "-qam", "other"]);
    fs::rename(&other, &parked).expect("is renamed");
    git(&clone, &["push", "-q", "origin", "main"]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let shown = || cluster.sprintctl(&["repo", "show", "web"]);
    let warned = |answer: Answer| answer.succeeded().stderr.clone();
    let text = warned(shown());
    assert!(text.contains("workers find the submodule other empty"), "{text}");
    let id = cluster.add(&repo, "Goes on", &format!("test ! -e other/text && {}", commit("c", "c")));
    cluster.landed(&repo, id);
    let said = log(&cluster, id);
    assert!(said.contains("[sprint] the submodule other: the coordinator does not have its commit"), "{said}");
    fs::rename(&parked, &other).expect("is renamed");
    eventually("it is fetched", || !warned(shown()).contains("the submodule other"));
    let id = cluster.add(&repo, "Finds it", &format!("grep -q other other/text && {}", commit("d", "d")));
    cluster.landed(&repo, id);
}

#[test]
fn a_link_that_a_worker_has_put_in_a_submodules_place_leads_nowhere() {
    let (cluster, repo, _) = with_submodules("true");
    cluster.sprintctl(&["repo", "set", "web", "--retry-from", "wip", "--max-attempts", "2"]).succeeded();
    let elsewhere = cluster.shared().join("elsewhere");
    fs::create_dir_all(&elsewhere).expect("is made");
    for place in ["vendor", "vendor/lib"] {
        // The next attempt begins with the files of this one; the agent must not write through the link.
        let run = format!(
            "if [ \"$SPRINT_ATTEMPT\" = 1 ]; then rm -rf {place}; ln -s '{}' {place}; exit 3; fi; git checkout -q -- . ; git clean -qfd; {}",
            elsewhere.display(),
            commit(&format!("f{}", place.len()), "a")
        );
        let id = cluster.add(&repo, "Puts a link", &run);
        cluster.landed(&repo, id);
        assert_eq!(fs::read_dir(&elsewhere).expect("is read").count(), 0, "{place}");
    }
}

#[test]
fn an_odd_list_of_submodules_keeps_nobody_from_working() {
    let (cluster, repo, _) = with_submodules("true");
    let clone = cluster.path().join("made");
    let lib = git(&clone, &["rev-parse", ":vendor/lib"]);
    let odd = ["../x", "/etc", ":(bad)x", "a/../b", "q\"uote"];
    for (number, path) in odd.iter().enumerate() {
        git(&clone, &["config", "-f", ".gitmodules", &format!("submodule.odd{number}.path"), path]);
        git(&clone, &["config", "-f", ".gitmodules", &format!("submodule.odd{number}.url"), "../lib"]);
    }
    // Two whose names lie in each other.
    for (name, path) in [("twin", "twin"), ("twin/HEAD", "other")] {
        git(&clone, &["config", "-f", ".gitmodules", &format!("submodule.{name}.path"), path]);
        git(&clone, &["config", "-f", ".gitmodules", &format!("submodule.{name}.url"), "../lib"]);
        git(&clone, &["update-index", "--add", "--cacheinfo", &format!("160000,{lib},{path}")]);
    }
    git(&clone, &["add", ".gitmodules"]);
    git(&clone, &["commit", "-qm", "odd"]);
    git(&clone, &["push", "-q", "origin", "main"]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = cluster.add(&repo, "Works", &format!("{ALL_THERE} && {}", commit("a", "a")));
    cluster.landed(&repo, id);
}

#[test]
fn a_worker_brings_no_address_by_a_submodule_of_a_submodule() {
    let (cluster, repo, libraries) = with_submodules("true");
    // The known submodule's server has a commit whose own submodule is elsewhere; nobody has brought that here.
    library(&libraries, "secret", "secret");
    let lib = libraries.join("lib");
    git(&lib, &["checkout", "-q", "-b", "evil"]);
    person(&lib, &["submodule", "add", "-q", "../secret", "s"]);
    git(&lib, &["commit", "-qm", "evil"]);
    let evil = git(&lib, &["rev-parse", "HEAD"]);
    git(&lib, &["checkout", "-q", "main"]);
    let run = format!("git update-index --cacheinfo 160000,{evil},vendor/lib && git commit -qm bump");
    let id = cluster.add(&repo, "Asks for another's", &run);
    let reason = cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("vendor/lib/s is a submodule at an address that the branch does not have"), "{reason}");
}
