//! Repositories are kept small, and nothing that anybody may want goes before its time.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_tests::{Cluster, commit, eventually, git, git_fed, mentioning};

/// How many packs the coordinator lets be.
const PACKS: usize = 20;

fn bare(cluster: &Cluster) -> PathBuf {
    cluster.coordinator_data().join("repos/web.git")
}

/// The names of the files of packs, whole or half.
fn pack_files(repository: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(repository.join("objects/pack")).expect("is there").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn packs(repository: &Path) -> usize {
    pack_files(repository).iter().filter(|name| name.strip_suffix(".pack").is_some()).count()
}

fn refs(cluster: &Cluster, pattern: &str) -> String {
    git(&bare(cluster), &["for-each-ref", "--format=%(refname)", pattern])
}

#[test]
fn the_work_of_items_that_are_over_goes_at_its_time_and_that_of_others_stays() {
    let mut cluster = Cluster::start_with(1, &["--keep-work", "3s"]);
    let repo = cluster.repo("web", &[], &[]);
    cluster.sprintctl(&["repo", "set", "web", "--max-attempts", "1"]).succeeded();
    let blocked = cluster.add(&repo, "Fails", &format!("{}; git branch topic; echo b > b; exit 1", commit("a", "a")));
    cluster.until(blocked, "blocked");
    let done = cluster.add(&repo, "Lands", &format!("{}; echo left > left; git stash -qu", commit("c", "c")));
    cluster.landed(&repo, done);
    assert!(refs(&cluster, "refs/sprint/work").contains(&format!("work/{done}/1")), "it is kept for a while");
    let of = |cluster: &Cluster, item: u64| {
        let all = refs(cluster, "refs/sprint");
        all.lines().filter(|name| name.contains(&format!("/{item}/1"))).count()
    };
    let kept = of(&cluster, blocked);
    assert!(kept >= 2, "{}", refs(&cluster, "refs/sprint"));
    eventually("what the done item left is gone", || of(&cluster, done) == 0);
    assert_eq!(of(&cluster, blocked), kept);
    let restore = cluster.sprintctl(&["item", "restore", &done.to_string(), "--dir", "x"]);
    restore.refused(&["nothing is kept of item", "keeps work for 3s after an item is done or cancelled (--keep-work)"]);
    let shown = cluster.sprintctl(&["item", "show", &done.to_string()]).succeeded();
    assert!(shown.text().contains("nothing: its time ended at"), "{}", shown.text());
    // Also after a restart; and once the item is over, what it left goes, too.
    cluster.kill_coordinator();
    cluster.start_coordinator();
    assert_eq!(of(&cluster, blocked), kept);
    cluster.sprintctl(&["item", "cancel", &blocked.to_string()]).succeeded();
    eventually("what the cancelled item left is gone", || of(&cluster, blocked) == 0);
    assert_eq!(refs(&cluster, "refs/heads"), "refs/heads/main");
    assert_eq!(git(&repo.upstream, &["ls-tree", "--name-only", "main", "c"]), "c");
}

#[test]
fn many_landings_end_packed_and_everything_is_there() {
    let cluster = Cluster::start_with(1, &["--keep-work", "2s"]);
    let repo = cluster.repo("web", &[], &[]);
    cluster.sprintctl(&["repo", "set", "web", "--max-attempts", "1"]).succeeded();
    let blocked = cluster.add(&repo, "Fails", &format!("{}; exit 1", commit("kept", "kept")));
    cluster.until(blocked, "blocked");
    // A push of more than 100 objects stays a pack of its own.
    let many = |name: &str| {
        format!(
            "mkdir {name}; for i in $(seq 110); do echo {name} $i > {name}/$i; done; git add {name}; git commit -qm {name}"
        )
    };
    let names: Vec<String> = (0..PACKS + 4).map(|number| format!("d{number}")).collect();
    let items: Vec<u64> = names.iter().map(|name| cluster.add(&repo, name, &many(name))).collect();
    for item in &items {
        cluster.landed(&repo, *item);
    }
    let bare = bare(&cluster);
    eventually("its repository is packed", || packs(&bare) <= PACKS);
    eventually("the work of what has landed is gone", || {
        refs(&cluster, "refs/sprint/work").lines().all(|name| name.ends_with(&format!("work/{blocked}/1")))
    });
    git(&bare, &["fsck", "--strict", "--no-dangling"]);
    let clone = cluster.path().join("clone");
    let cloned = cluster.git(cluster.path(), &["clone", "--quiet", &cluster.git_url("web"), "clone"]);
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    for name in &names {
        assert_eq!(std::fs::read_dir(clone.join(name)).expect("is there").count(), 110, "{name}");
    }
    // Nothing but what is in use goes from a mirror; workers start from it as before.
    let mirror = cluster.outpost_data("local-1").join("mirrors/web.git");
    git(&mirror, &["fsck", "--strict", "--no-dangling"]);
    let dir = cluster.path().join("restored");
    cluster.sprintctl(&["item", "restore", &blocked.to_string(), "--dir", &dir.display().to_string()]).succeeded();
    assert_eq!(std::fs::read_to_string(dir.join("kept")).expect("is there"), "kept\n");
    let last = cluster.add(&repo, "Lands after it", &commit("last", "last"));
    cluster.landed(&repo, last);
}

#[test]
fn a_coordinator_that_is_killed_while_it_packs_loses_nothing_and_packs_after_its_start() {
    let mut cluster = Cluster::start_with(1, &["--keep-work", "2s"]);
    let repo = cluster.repo("web", &[], &[]);
    let bare = bare(&cluster);
    // Enough that packing takes a moment: the largest part of it cannot be compressed.
    let source = cluster.path().join("source");
    std::fs::create_dir(&source).expect("is made");
    let mut seed = 1_u64;
    let mut list = vec![];
    for number in 0..6_000 {
        let file = source.join(number.to_string());
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33).to_le_bytes()
        };
        std::fs::write(&file, (0..1_500).flat_map(|_| noise()).collect::<Vec<_>>()).expect("is written");
        list.push(file.display().to_string());
    }
    let blobs =
        git_fed(&bare, &["-c", "core.fsync=none", "hash-object", "-w", "--stdin-paths"], list.join("\n").as_bytes());
    let files = blobs.lines().enumerate().map(|(number, blob)| format!("100644 blob {blob}\t{number}"));
    let files = files.collect::<Vec<_>>().join("\n");
    let tree = git_fed(&bare, &["mktree"], files.as_bytes());
    let held = git(&bare, &["commit-tree", "-m", "large", &tree]);
    git(&bare, &["update-ref", "refs/sprint/work/999/1", &held]);

    let is_half = |name: &String| name.starts_with("tmp_") || name.starts_with(".tmp-");
    eventually("it packs", || pack_files(&bare).iter().any(is_half));
    cluster.kill_coordinator();
    for process in mentioning(&bare.display().to_string()) {
        kill(Pid::from_raw(process), Signal::SIGKILL).ok();
    }
    // Killed at another instant, a packing of refs leaves this; nobody can pack or remove refs while it is there.
    std::fs::write(bare.join("packed-refs.new"), "# half").expect("is written");
    git(&bare, &["fsck", "--strict", "--no-dangling"]);

    cluster.start_coordinator();
    // To its end: git's own check reads loose objects, which go when they are packed.
    eventually("it packs anew", || git(&bare, &["count-objects"]).starts_with("0 objects"));
    eventually("nothing half is left", || {
        !pack_files(&bare).iter().any(is_half) && !bare.join("packed-refs.new").exists()
    });
    git(&bare, &["fsck", "--strict", "--no-dangling"]);
    assert_eq!(git(&bare, &["rev-parse", "refs/sprint/work/999/1"]), held);
    let item = cluster.add(&repo, "Lands", &commit("a", "a"));
    cluster.landed(&repo, item);
    eventually("refs are removed", || !refs(&cluster, "refs/sprint/work").contains(&format!("work/{item}/1")));
}
