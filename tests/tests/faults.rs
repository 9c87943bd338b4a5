//! What is not lost when something dies.

use std::time::Duration;

use sprint_test_needs::{Need, SmallDisk, have};
use sprint_tests::{Cluster, OutpostOptions, commit, eventually};

#[test]
fn a_worker_goes_on_without_its_agent_and_is_adopted() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let hold = cluster.hold("middle");
    let starts = cluster.shared().join("starts");
    let run =
        format!("echo x >> '{}'; echo before; {}; echo after; {}", starts.display(), hold.run, commit("a.txt", "a"));
    let id = cluster.add(&repo, "Survives", &run);
    hold.reached();
    let worker = cluster.worker(id);
    cluster.kill_outpost("local-1");
    assert!(!cluster.worker_processes().is_empty(), "the worker goes on");
    cluster.start_outpost("local-1");
    cluster.online("local-1");
    hold.release();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
    assert_eq!(std::fs::read_to_string(&starts).expect("it started").lines().count(), 1);
    let log = cluster.sprintctl(&["worker", "logs", &worker]).succeeded().text();
    assert_eq!(log, "before\r\nafter\r\n");
}

#[test]
fn a_worker_that_ends_while_its_agent_is_dead_lands() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("middle");
    let id = cluster.add(&repo, "Ends alone", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    cluster.kill_outpost("local-1");
    hold.release();
    eventually("the worker ends by itself", || cluster.worker_processes().is_empty());
    cluster.start_outpost("local-1");
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
}

#[test]
fn work_goes_on_while_the_coordinator_is_dead() {
    let mut cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let hold = cluster.hold("middle");
    let id = cluster.add(&repo, "Survives", &format!("echo one; {}; echo two; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    let worker = cluster.worker(id);
    let following = cluster.spawn(&["worker", "logs", "-f", &worker]);
    let waiting = cluster.spawn(&["wait", &id.to_string(), "--timeout", "30s"]);
    following.connected();
    waiting.connected();
    cluster.kill_coordinator();
    hold.release();
    eventually("the worker ends by itself", || cluster.worker_processes().is_empty());
    cluster.start_coordinator();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
    waiting.answer().succeeded();
    assert_eq!(following.answer().succeeded().text(), "one\r\ntwo\r\n");
    eventually("the outposts are back", || {
        cluster
            .json(&["outpost", "list"])
            .as_array()
            .expect("a list")
            .iter()
            .all(|outpost| outpost["state"] == "online")
    });
}

#[test]
fn a_coordinator_killed_while_a_gate_runs_lands_the_change_once() {
    let mut cluster = Cluster::start(1);
    let hold = cluster.hold("gate");
    let repo = cluster.repo("web", &[], &["--gate", &format!("held={}", hold.run)]);
    let id = cluster.add(&repo, "Is gated", &commit("a.txt", "a"));
    hold.reached();
    cluster.kill_coordinator();
    hold.release();
    eventually("the gate ends by itself", || cluster.worker_processes().is_empty());
    cluster.start_coordinator();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
    assert_eq!(cluster.count(id, "item_landed"), 1);
}

#[test]
fn a_coordinator_killed_around_a_landing_lands_each_change_once() {
    let mut cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    let mut ids = vec![];
    for round in 0..6_u64 {
        let id = cluster.add(&repo, "Item", &commit(&format!("{round}.txt"), "x"));
        ids.push(id);
        eventually("it comes to the merge queue", || {
            let stage = cluster.item(id)["stage"].clone();
            stage == "merging" || stage == "done"
        });
        std::thread::sleep(Duration::from_millis(round * 7));
        cluster.kill_coordinator();
        cluster.start_coordinator();
    }
    for id in ids {
        cluster.landed(&repo, id);
        assert_eq!(cluster.count(id, "item_landed"), 1);
        assert_eq!(cluster.changes(id).len(), 1);
    }
}

#[test]
fn both_daemons_killed_at_once_come_back_and_the_item_lands() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    let hold = cluster.hold("middle");
    let id = cluster.add(&repo, "Survives", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    cluster.kill_coordinator();
    cluster.kill_outpost("local-1");
    hold.release();
    cluster.start_outpost("local-1");
    cluster.start_coordinator();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
}

#[test]
fn kills_at_random_moments_lose_nothing() {
    let rounds: u64 = std::env::var("SPRINT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let seed = u64::from(std::process::id());
    eprintln!("{rounds} rounds, seed {seed}");
    // An xorshift: enough to vary the moments.
    let mut state = seed | 1;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &["--gate", "ok=sleep 0.1"]);
    for round in 0..rounds {
        let ids = (0..4).map(|n| {
            let run = format!("sleep 0.{n}; {}", commit(&format!("{round}-{n}.txt"), "x"));
            cluster.add(&repo, &format!("Round {round}, item {n}"), &run)
        });
        let ids = ids.collect::<Vec<_>>();
        let pause = random(1500);
        std::thread::sleep(Duration::from_millis(pause));
        let victim = random(3);
        eprintln!("round {round}: victim {victim} after {pause} ms");
        match victim {
            0 => {
                cluster.kill_coordinator();
                cluster.start_coordinator();
            }
            1 => {
                cluster.kill_outpost("local-1");
                cluster.start_outpost("local-1");
            }
            _ => {
                cluster.kill_coordinator();
                cluster.kill_outpost("local-2");
                cluster.start_outpost("local-2");
                cluster.start_coordinator();
            }
        }
        for id in &ids {
            cluster.landed(&repo, *id);
            assert_eq!(cluster.count(*id, "item_attempt_failed"), 0, "a kill is not the item's fault");
        }
    }
    let all = (0..rounds).flat_map(|round| (0..4).map(move |n| format!("{round}-{n}.txt")));
    for file in all {
        assert_eq!(repo.file(&file).as_deref(), Some("x\n"), "{file}");
    }
    let seqs = cluster.events().iter().map(|event| event["seq"].as_u64()).collect::<Option<Vec<_>>>();
    let seqs = seqs.expect("numbers");
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "the record has no gap");
}

#[test]
fn a_coordinator_ends_within_5_s_of_sigterm() {
    let mut cluster = Cluster::start(2);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("middle");
    let id = cluster.add(&repo, "Goes on", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    // Streams that are open do not hold it up.
    let tail = cluster.spawn(&["event", "tail", "-f", "--since", "0"]);
    let logs = cluster.spawn(&["worker", "logs", "-f", &cluster.worker(id)]);
    let wait = cluster.spawn(&["wait", &id.to_string()]);
    for open in [&tail, &logs, &wait] {
        open.connected();
    }
    let (status, took) = cluster.terminate_coordinator();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!cluster.worker_processes().is_empty(), "workers go on");
    cluster.start_coordinator();
    hold.release();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
    wait.answer().succeeded();
    logs.answer().succeeded();
    assert!(tail.ended().text().contains("item_added"));
}

#[test]
fn sigterm_of_an_agent_leaves_its_workers_running_and_says_so() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("middle");
    let id = cluster.add(&repo, "Goes on", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    let (status, took) = cluster.terminate_outpost("local-1");
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    assert!(!cluster.worker_processes().is_empty(), "the worker goes on");
    let log = cluster.outpost_log("local-1");
    assert!(log.contains("1 workers go on and are adopted at the next start"), "{log}");
    cluster.start_outpost("local-1");
    hold.release();
    let item = cluster.landed(&repo, id);
    assert_eq!(item["attempt"], 1);
}

#[test]
fn a_lost_terminal_server_loses_the_attempt_and_not_the_item() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let run = format!("if test $SPRINT_ATTEMPT = 1; then echo up; sleep 1000; fi; {}", commit("a.txt", "a"));
    let id = cluster.add(&repo, "Is tried again", &run);
    let worker = cluster.worker(id);
    eventually("it runs", || cluster.sprintctl(&["worker", "logs", &worker]).text().contains("up"));
    let socket = cluster.outpost_data("local-1").join("tmux.sock");
    let killed = std::process::Command::new("tmux").arg("-S").arg(socket).arg("kill-server").status();
    assert!(killed.expect("tmux runs").success());
    let item = cluster.landed(&repo, id);
    assert_eq!((&item["attempt"], &item["failures"]), (&2.into(), &0.into()));
    assert_eq!(cluster.count(id, "item_attempt_lost"), 1);
}

#[test]
fn a_worker_that_leaves_children_behind_ends_with_them() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let run = format!(
        "setsid sleep 1001 >/dev/null 2>&1 & nohup sh -c 'trap \"\" TERM HUP; sleep 1002; sleep 1003' >/dev/null 2>&1 & {}",
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Forks", &run);
    cluster.landed(&repo, id);
    eventually("no process is left", || cluster.worker_processes().is_empty());
}

#[test]
fn output_that_is_not_utf_8_arrives_as_it_is() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    // Every byte but NUL and the newline, which a terminal changes.
    let print = "i=1; while [ $i -le 255 ]; do [ $i = 10 ] || printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done";
    let id = cluster.add(&repo, "Binary", &format!("{print}; {}", commit("a.txt", "a")));
    let worker = cluster.worker(id);
    cluster.landed(&repo, id);
    let wanted = (1..=255_u8).filter(|byte| *byte != 10).collect::<Vec<_>>();
    assert_eq!(cluster.sprintctl(&["worker", "logs", &worker]).succeeded().stdout, wanted);
    // And the reason of an item that failed with such an output can still be read.
    let bad = cluster.add(&repo, "Fails", &format!("{print}; exit 9"));
    let item = cluster.until(bad, "blocked");
    assert!(item["reason"].as_str().expect("a reason").contains("code 9"), "{item}");
}

#[test]
fn a_worker_that_prints_very_much_is_kept_whole() {
    let bytes: u64 = std::env::var("SPRINT_LOG_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(64) << 20;
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    // A stream that repeats after no power of two, so that a lost or doubled block is seen.
    let sum = cluster.shared().join("sum");
    let run = format!(
        "yes \"$(seq -s ' ' 1 1000)\" | tr -d '\\n' | head -c {bytes} | tee /dev/tty | md5sum > '{}'; {}",
        sum.display(),
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Prints", &run);
    let worker = cluster.worker(id);
    let limit = (60 + bytes / (1 << 20)).to_string() + "s";
    cluster.sprintctl(&["wait", &id.to_string(), "--timeout", &limit]).succeeded();
    let kept = cluster.path().join("kept");
    let script = format!("'{}' worker logs {worker} > '{}'", sprintctl(), kept.display());
    let read = std::process::Command::new("sh")
        .args(["-c", &script])
        .env("SPRINT_COORDINATOR", cluster.address())
        .env("SPRINT_CONFIG_DIR", cluster.contexts())
        .status();
    assert!(read.expect("it runs").success());
    assert_eq!(std::fs::metadata(&kept).expect("was read").len(), bytes);
    let md5 = std::process::Command::new("md5sum").stdin(std::fs::File::open(&kept).expect("is there")).output();
    let md5 = String::from_utf8_lossy(&md5.expect("it runs").stdout).into_owned();
    assert_eq!(md5, std::fs::read_to_string(&sum).expect("the worker's sum"));
}

fn sprintctl() -> String {
    let executable = std::env::current_exe().expect("known");
    executable.ancestors().nth(2).expect("target/PROFILE").join("sprintctl").display().to_string()
}

#[test]
fn a_full_disk_fails_the_worker_with_that_reason_and_the_agent_lives() {
    let mut cluster = Cluster::start(0);
    let Some(disk) = have(Need::Tmpfs, || SmallDisk::mount(cluster.path().join("disk"), "24m")) else { return };
    let data = disk.path().join("data");
    let repo = cluster.repo("web", &[], &[]);
    let room = disk.path().join("room");
    std::fs::create_dir(&room).expect("is made");
    let more = vec!["--allow-write".to_owned(), room.display().to_string()];
    cluster
        .add_outpost("small", OutpostOptions { data: Some(data), max_workers: 1, more, ..OutpostOptions::default() });
    cluster.online("small");
    let fat = room.join("fat");
    let hold = cluster.hold("room");
    let fill = format!("head -c 100M /dev/zero > '{}' || exit 1", fat.display());
    let run = format!(
        "if ! test -e '{}'; then {fill}; fi; {}",
        cluster.shared().join("room.go").display(),
        commit("a.txt", "a")
    );
    let id = cluster.add(&repo, "Fills the disk", &run);
    let first = |id| cluster.workers(id).first().cloned().unwrap_or_default();
    eventually("the worker fails", || first(id)["state"] == "failed");
    let reason = first(id)["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("the outpost's disk is full"), "{reason}");
    let runs = cluster.sprintctl(&["outpost", "show", "small", "-o", "json"]).succeeded().json();
    assert_eq!(runs["state"], "online", "the agent lives");
    hold.release();
    std::fs::remove_file(&fat).expect("is removed");
    cluster.landed(&repo, id);
    assert!(cluster.outpost_runs("small"));
    cluster.kill_outpost("small");
}

#[test]
fn a_repository_that_cannot_be_read_holds_up_no_other() {
    let cluster = Cluster::start(1);
    let (web, api) = (cluster.repo("web", &[], &[]), cluster.repo("api", &[], &[]));
    let first = cluster.add(&api, "First", &commit("a", "a"));
    cluster.landed(&api, first);
    // Its branch still names a commit, and the commit is gone.
    let bare = cluster.coordinator_data().join("repos/api.git");
    let missing = cluster.path().join("missing");
    std::fs::rename(bare.join("objects"), &missing).expect("is renamed");
    std::fs::create_dir(bare.join("objects")).expect("is made");
    let held = cluster.add(&api, "Waits", &commit("b", "b"));
    for number in 0..3 {
        let id = cluster.add(&web, "Goes on", &commit(&format!("w{number}"), "w"));
        cluster.landed(&web, id);
    }
    std::fs::remove_dir_all(bare.join("objects")).expect("is removed");
    std::fs::rename(&missing, bare.join("objects")).expect("is renamed");
    cluster.landed(&api, held);
    assert_eq!(cluster.item(held)["failures"].as_u64().unwrap_or(0), 0);
}

#[test]
fn logs_of_workers_that_have_ended_are_closed() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    let ids: Vec<u64> = (0..6)
        .map(|n| cluster.add(&repo, &n.to_string(), &format!("echo said; {}", commit(&n.to_string(), "x"))))
        .collect();
    for id in ids {
        cluster.landed(&repo, id);
    }
    let descriptors = format!("/proc/{}/fd", cluster.coordinator_pid());
    let open = || {
        let links = std::fs::read_dir(&descriptors).expect("is there").flatten();
        links
            .filter(|link| {
                std::fs::read_link(link.path())
                    .is_ok_and(|path| path.starts_with(cluster.coordinator_data().join("logs")))
            })
            .count()
    };
    eventually("no log is open", || open() == 0);
}

#[test]
fn a_wait_may_be_as_long_as_a_number_says() {
    let cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "Lands", &commit("a", "a"));
    cluster.sprintctl(&["wait", &id.to_string(), "--timeout", "18446744073709551615s"]).succeeded();
    cluster.sprintctl(&["worker", "logs", "1", "--since", "18446744073709551615s"]).succeeded();
    cluster.sprintctl(&["repo", "add", "other", "fd::0"]).refused(&["of no kind that is used", "https://"]);
}
