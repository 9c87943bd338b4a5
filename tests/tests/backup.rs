//! Backup and restore: the whole of a coordinator in one file.

use sprint_tests::{Cluster, commit, eventually};

#[test]
fn a_restored_coordinator_goes_on_where_its_backup_was_made() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let done = cluster.add(&repo, "Before", &commit("before.txt", "before"));
    cluster.landed(&repo, done);
    let hold = cluster.hold("during");
    let during = cluster.add(&repo, "During", &format!("{}; {}", hold.run, commit("during.txt", "during")));
    hold.reached();
    let file = cluster.path().join("backup.tar");
    // While it runs, and a worker works.
    cluster.coordinator_command(&["backup"], &[&file.display().to_string()]).succeeded();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("is there").permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds keys");
    let after = cluster.add(&repo, "After", &commit("after.txt", "after"));
    cluster.landed(&repo, after);
    let tip = repo.tip();

    cluster.kill_coordinator();
    let data = cluster.coordinator_data();
    std::fs::rename(&data, cluster.path().join("lost")).expect("is moved");
    let restored = cluster.coordinator_command(&["restore"], &[&file.display().to_string()]).succeeded().text();
    assert!(restored.contains("2 items"), "{restored}");
    cluster.coordinator_command(&["check"], &[]).succeeded();
    cluster.start_coordinator();
    // Its outposts know it again, by the same keys; the worker was never disturbed.
    cluster.online("local-1");
    assert_eq!(cluster.item(done)["stage"], "done");
    hold.release();
    cluster.landed(&repo, during);
    assert_eq!(cluster.workers(during).len(), 1);
    // What landed after the backup is still upstream, and the restored coordinator followed it.
    let history = sprint_tests::git(&repo.upstream, &["log", "--format=%H", "main"]);
    assert!(history.contains(&tip), "nothing that was pushed is taken back: {history}");
    let log = cluster.sprintctl(&["worker", "logs", &cluster.workers(done)[0]["id"].to_string()]).succeeded();
    assert_eq!(log.code, 0);
}

#[test]
fn numbers_that_may_have_been_given_after_a_backup_are_not_given_again() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "9"]);
    let file = cluster.path().join("backup.tar").display().to_string();
    cluster.coordinator_command(&["backup"], &[&file]).succeeded();
    let id = cluster.add(&repo, "Unknown to the backup", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let worker = cluster.workers(id)[0]["id"].as_u64().expect("a number");
    cluster.kill_coordinator();
    std::fs::rename(cluster.coordinator_data(), cluster.path().join("lost")).expect("is moved");
    cluster.coordinator_command(&["restore"], &[&file]).succeeded();
    cluster.start_coordinator();
    cluster.online("local-1");
    let again = cluster.add(&repo, "After the restore", &commit("b.txt", "b"));
    cluster.until(again, "done");
    let next = cluster.workers(again)[0]["id"].as_u64().expect("a number");
    assert!(next > worker + 1000, "worker {next} cannot be taken for one of before ({worker})");
}

#[test]
fn an_invalid_backup_and_a_used_directory_are_refused() {
    let cluster = Cluster::start(0);
    let good = cluster.path().join("good.tar");
    cluster.coordinator_command(&["backup"], &[&good.display().to_string()]).succeeded();
    cluster.coordinator_command(&["backup"], &[&good.display().to_string()]).refused(&["is there already"]);
    cluster.coordinator_command(&["restore"], &[&good.display().to_string()]).refused(&["is not empty"]);
    let bytes = std::fs::read(&good).expect("is there");
    let bad = cluster.path().join("bad.tar").display().to_string();
    let fresh = cluster.path().join("fresh").display().to_string();
    for (content, why) in [
        (&b"not a backup"[..], "nothing was restored"),
        (&bytes[..bytes.len() / 3], "nothing was restored"),
        (&[][..], "it is empty"),
    ] {
        std::fs::write(&bad, content).expect("is written");
        std::fs::remove_dir_all(&fresh).ok();
        cluster.binary("coordinator", &["restore", "--data-dir", &fresh, &bad]).refused(&[why]);
    }
    eventually("the coordinator is well", || cluster.sprintctl(&["status"]).code == 0);
}
