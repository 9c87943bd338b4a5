//! One hostile worker: whatever it leaves or hands over, it harms nobody but its own item. Each act is on record, and is
//! followed by an innocent item that lands on the same outpost and repo.

use std::time::{Duration, Instant};

use serde_json::Value;
use sprint_tests::hostile::{Act, GIT_CONFIG, HANDING_OVER, LEAVING, MAX_PROCESSES, SLEEP, made_up};
use sprint_tests::{Cluster, OutpostOptions, Repo, commit, eventually, mentioning, peak_memory};

/// How long an act may take: trees are built, and large outputs are read.
const LIMIT: Duration = Duration::from_secs(150);

/// A coordinator and an outpost whose person has a filter that is a script of the repository.
fn site() -> (Cluster, Repo) {
    let mut cluster = Cluster::start(0);
    let home = cluster.path().join("home");
    std::fs::create_dir(&home).expect("is made");
    std::fs::write(home.join(".gitconfig"), GIT_CONFIG).expect("is written");
    let more = ["--max-processes", MAX_PROCESSES].map(ToOwned::to_owned).to_vec();
    let variables = vec![("HOME".to_owned(), home.display().to_string())];
    cluster.add_outpost("host", OutpostOptions { more, variables, ..OutpostOptions::default() });
    cluster.online("host");
    let repo = cluster.repo("web", &[], &["--max-attempts", "1"]);
    (cluster, repo)
}

/// The item once it stands still: blocked, done, or its change waits for a person.
fn settled(cluster: &Cluster, id: u64, name: &str) -> (Value, String) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let item = cluster.item(id);
        let explained = cluster.sprintctl(&["item", "explain", &id.to_string(), "-o", "json"]).succeeded().text();
        let waits = explained.contains("change.awaits_approval");
        if waits || ["blocked", "done"].contains(&item["stage"].as_str().unwrap_or_default()) {
            let said = format!("{item}\n{explained}");
            return (item, said);
        }
        assert!(Instant::now() < deadline, "{name}: not settled within {LIMIT:?}: {item}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How long a process sleeps that is to be gone in the end: another test has its own number, and its workers may sleep.
fn own_sleep() -> String {
    format!("{SLEEP}.{:07}", std::process::id())
}

/// A hostile command line, for this test.
fn own(run: &str) -> String {
    run.replace(SLEEP, &own_sleep())
}

fn withstand(cluster: &Cluster, repo: &Repo, act: &Act, run: &str) {
    let began = Instant::now();
    let id = cluster.add(repo, act.name, &own(run));
    let (item, said) = settled(cluster, id, act.name);
    assert_ne!(item["stage"], "done", "{}: it landed", act.name);
    assert!(said.contains(act.said), "{}: {:?} is not in {said:.3000}", act.name, act.said);
    assert!(said.len() < 200_000, "{}: {} bytes are said of it", act.name, said.len());
    println!("{}: {:?}", act.name, began.elapsed());
    let innocent = cluster.add(repo, "Innocent", &commit(&format!("after-{id}.txt"), "x"));
    cluster.landed(repo, innocent);
}

/// A process, and those that it descends from, for whoever looks for the reason.
fn described(pid: i32) -> String {
    let read = |pid: i32, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let text = |pid: i32, file: &str| String::from_utf8_lossy(&read(pid, file)).replace('\0', " ");
    let mut line = vec![];
    let mut at = pid;
    while at > 1 && line.len() < 20 {
        line.push(format!("{at} {:.200}", text(at, "cmdline")));
        let stat = text(at, "stat");
        let parent = stat.rsplit_once(')').and_then(|(_, after)| after.split_whitespace().nth(1)?.parse().ok());
        at = parent.unwrap_or(0);
    }
    line.join(" <- ")
}

/// What is left of it all: the daemons are small, and nothing runs that a worker has started.
fn afterwards(cluster: &Cluster) {
    let (coordinator, agent) = (peak_memory(cluster.coordinator_pid()), peak_memory(cluster.outpost_pid("host")));
    println!("peak memory: coordinator {coordinator} MiB, agent {agent} MiB");
    assert!(coordinator <= 300 && agent <= 150, "coordinator {coordinator} MiB, agent {agent} MiB");
    let left: Vec<String> = mentioning(&own_sleep()).into_iter().map(described).collect();
    assert_eq!(left, Vec::<String>::new(), "processes of workers go on");
    assert_eq!(cluster.worker_processes(), Vec::<i32>::new());
}

#[test]
fn whatever_a_worker_leaves_harms_its_own_item_only() {
    let (cluster, repo) = site();
    for act in LEAVING {
        withstand(&cluster, &repo, act, &act.leaving());
    }
    afterwards(&cluster);
}

#[test]
fn whatever_a_worker_hands_over_harms_its_own_item_only() {
    let (cluster, repo) = site();
    for act in HANDING_OVER {
        withstand(&cluster, &repo, act, act.run);
    }
    afterwards(&cluster);
}

/// How many files a process has open.
fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

#[test]
fn hostile_workers_made_up_by_seeds_do_no_harm_to_honest_ones_beside() {
    let seeds: u64 = std::env::var("SPRINT_SEEDS").map_or(30, |seeds| seeds.parse().expect("SPRINT_SEEDS is a number"));
    let (cluster, repo) = site();
    let mut honest = vec![];
    for seed in 1..=seeds {
        let hostile = cluster.add(&repo, &format!("Seed {seed}"), &own(&made_up(seed)));
        if seed % 2 == 0 {
            honest.push(cluster.add(&repo, "Honest", &commit(&format!("honest-{seed}.txt"), "x")));
        }
        // Some are ended from outside, wherever they are.
        if seed % 3 == 0 {
            std::thread::sleep(Duration::from_millis(seed * 37 % 400));
            cluster.sprintctl(&["item", "cancel", &hostile.to_string()]);
        }
        // No more at a time than the outpost has slots, or little would run beside.
        let deadline = Instant::now() + LIMIT;
        while cluster.json(&["worker", "list"]).as_array().is_some_and(|all| all.len() >= 3) {
            assert!(Instant::now() < deadline, "seed {seed}: the slots are taken for more than {LIMIT:?}");
            if let Some(last) = seed.checked_sub(2) {
                cancel_old(&cluster, last);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    for id in honest {
        let deadline = Instant::now() + LIMIT;
        while cluster.item(id)["stage"] != "done" {
            assert!(Instant::now() < deadline, "honest item {id} has not landed within {LIMIT:?}");
            cancel_old(&cluster, seeds);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(repo.landings(id), 1, "item {id} lands once");
    }
    eventually("every worker has ended", || {
        cancel_old(&cluster, seeds);
        cluster.json(&["worker", "list"]).as_array().is_some_and(Vec::is_empty)
    });
    afterwards(&cluster);
    let (coordinator, agent) = (open_files(cluster.coordinator_pid()), open_files(cluster.outpost_pid("host")));
    println!("open files: coordinator {coordinator}, agent {agent}");
    assert!(coordinator < 200 && agent < 200, "coordinator {coordinator}, agent {agent}");
}

/// Cancels those that sleep for a minute at their end, as the person does who watches.
fn cancel_old(cluster: &Cluster, seeds: u64) {
    let items = cluster.json(&["item", "list"]);
    for item in items.as_array().into_iter().flatten() {
        let title = item["title"].as_str().unwrap_or_default();
        let seed = title.strip_prefix("Seed ").and_then(|seed| seed.parse::<u64>().ok());
        if seed.is_some_and(|seed| seed <= seeds) && item["stage"] == "in_progress" {
            cluster.sprintctl(&["item", "cancel", &item["id"].to_string()]);
        }
    }
}

#[test]
fn a_persons_filter_that_is_a_script_of_the_repository_works_and_stays_confined() {
    let (cluster, repo) = site();
    let outside = cluster.path().join("outside");
    std::fs::create_dir(&outside).expect("is made");
    // It comes before the file that needs it, as git checks out in order.
    let script =
        format!("printf '%s\\n' 'touch \"{}/escaped\" 2>/dev/null; sed s/raw/smudged/' > a.sh", outside.display());
    let run = format!("{script}; echo '*.y filter=y' > .gitattributes; echo raw > b.y; git add -A; git commit -qm x");
    let brings = cluster.add(&repo, "Brings the script", &run);
    cluster.landed(&repo, brings);
    let uses = cluster.add(&repo, "Uses it", &format!("grep -q smudged b.y && {}", commit("used.txt", "x")));
    cluster.landed(&repo, uses);
    assert!(!outside.join("escaped").exists(), "the filter ran outside of a confinement");
    afterwards(&cluster);
}

#[test]
fn a_conflict_in_14_000_paths_is_told_in_few_words() {
    let (cluster, repo) = site();
    let many = |text: &str| {
        format!(
            "mkdir d; perl -e 'for (1..14000) {{ open F, \">d/\".(\"x\" x 195).$_; print F \"{text}\"; close F }}'; \
             git add -A; git commit -qm many"
        )
    };
    let hold = cluster.hold("second");
    let second = cluster.add(&repo, "Second", &format!("{}; {}", hold.run, many("b")));
    hold.reached();
    let first = cluster.add(&repo, "First", &many("a"));
    settled(&cluster, first, "first");
    hold.release();
    let (item, said) = settled(&cluster, second, "second");
    assert_eq!(item["stage"], "blocked", "{item:.300}");
    assert!(said.contains("and at least 950 more") && said.len() < 200_000, "{} bytes: {said:.500}", said.len());
    let innocent = cluster.add(&repo, "Innocent", &commit("after.txt", "x"));
    cluster.landed(&repo, innocent);
    let record = std::fs::metadata(cluster.coordinator_data().join("sprint.db")).expect("is there").len();
    assert!(record < 20 << 20, "the record has {record} bytes");
    afterwards(&cluster);
}
