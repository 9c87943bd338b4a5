//! How fast it is: run in release with `--run-ignored only --no-capture`, alone.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sprint_core::ids::WorkerId;

use crate::support::{Site, eventually};

/// When a file was made, in nanoseconds since the epoch.
fn made(path: &std::path::Path) -> Option<u128> {
    let data = std::fs::metadata(path).ok()?;
    let nanos = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
    u128::try_from(nanos).ok()
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch").as_nanos()
}

fn percentile(sorted: &[u128], percent: usize) -> f64 {
    let nanos = sorted[(sorted.len() - 1) * percent / 100];
    Duration::from_nanos(u64::try_from(nanos).expect("short")).as_secs_f64() * 1e3
}

async fn warm(site: &Site, count: usize) {
    let first = site.assign(site.item(1, "exit 1")).await;
    site.finished(first).await;
    let pool = site.data().join("warm/web");
    let ready = || {
        let names = std::fs::read_dir(&pool).into_iter().flatten().flatten();
        names.filter(|entry| !entry.file_name().to_string_lossy().starts_with("new-")).count() >= count
    };
    eventually("the pool is full", ready).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn starts_one_after_another() {
    let site = Site::start(&["--warm", "60"]).await;
    warm(&site, 60).await;
    let mut running = vec![];
    let mut logged = vec![];
    for number in 100..150 {
        let worker = WorkerId::new(number);
        let file = site.worker_dir(worker).join("artifacts/began");
        let began = now();
        site.assign(site.item(number, ": > $SPRINT_ARTIFACTS/began; echo x; exit 1")).await;
        site.coordinator.until("its first byte", |state| !state.log(worker).is_empty()).await;
        logged.push(now() - began);
        running.push(made(&file).expect("it ran").saturating_sub(began));
        site.finished(worker).await;
    }
    running.sort_unstable();
    logged.sort_unstable();
    println!("assigned → running: p50 {:.1} ms, p99 {:.1} ms", percentile(&running, 50), percentile(&running, 99));
    println!("assigned → first log byte: p50 {:.1} ms, p99 {:.1} ms", percentile(&logged, 50), percentile(&logged, 99));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn confinement_alone() {
    let site = Site::start(&[]).await;
    let worker = site.assign(site.item(1, "exit 1")).await;
    site.finished(worker).await;
    let dir = site.worker_dir(worker);
    let plan = std::fs::read(dir.join("exec.json")).expect("a plan");
    let mut open: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    open["sandbox"] = serde_json::Value::Null;
    let open = serde_json::to_vec(&open).expect("JSON");
    for (what, plan) in [("unconfined", &open), ("confined", &plan), ("unconfined", &open), ("confined", &plan)] {
        std::fs::write(dir.join("exec.json"), plan).expect("is written");
        let mut times = vec![];
        for _ in 0..100 {
            let began = now();
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outpost-agent"));
            let status = command.arg("within").arg(&dir).arg(dir.join("artifacts")).arg("/bin/true").status();
            assert!(status.expect("runs").success());
            times.push(now() - began);
        }
        times.sort_unstable();
        println!("{what}: p50 {:.2} ms, p99 {:.2} ms", percentile(&times, 50), percentile(&times, 99));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn starts_all_at_once() {
    const COUNT: u64 = 200;
    let site = Site::start(&["--warm", "200"]).await;
    warm(&site, 200).await;
    let began = Instant::now();
    let from = now();
    for number in 1000..1000 + COUNT {
        site.assign(site.item(number, ": > $SPRINT_ARTIFACTS/began; exec sleep 1000")).await;
    }
    let mut times = vec![];
    for number in 1000..1000 + COUNT {
        let worker = WorkerId::new(number);
        let file = site.worker_dir(worker).join("artifacts/began");
        eventually("it runs", || file.exists()).await;
        times.push(made(&file).expect("it ran").saturating_sub(from));
    }
    times.sort_unstable();
    let last = Duration::from_nanos(u64::try_from(times[times.len() - 1]).expect("short"));
    println!("{COUNT} workers running after {last:?}: {:.0}/s", 200.0 / last.as_secs_f64());
    for number in 1000..1000 + COUNT {
        site.started(WorkerId::new(number)).await;
    }
    println!("and all told after {:?}", began.elapsed());
    for number in 1000..1000 + COUNT {
        site.coordinator.stop_worker(WorkerId::new(number), "enough").await;
    }
    for number in 1000..1000 + COUNT {
        site.finished(WorkerId::new(number)).await;
    }
    println!("and all stopped and saved after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn log_bytes() {
    for workers in [1_u64, 16] {
        let site = Site::start(&["--warm", "0"]).await;
        let share = 256_000_000 / workers;
        let began = Instant::now();
        for number in 1..=workers {
            site.assign(
                site.item(
                    number,
                    &format!("stty -opost; yes 0123456789012345678901234567890123456789 | head -c {share}"),
                ),
            )
            .await;
        }
        for number in 1..=workers {
            let worker = WorkerId::new(number);
            site.finished(worker).await;
        }
        let finished = began.elapsed();
        for number in 1..=workers {
            let worker = WorkerId::new(number);
            let bytes = site.finished(worker).await.log_bytes;
            assert_eq!(bytes, share, "worker {worker}'s log is not whole");
            let what = format!("every byte of worker {worker} is here");
            site.coordinator.until(&what, |state| state.log(worker).len() as u64 >= share).await;
        }
        let took = began.elapsed().as_secs_f64();
        println!("{workers} workers: {:.1} MB/s (finished after {finished:?})", 256.0 / took);
    }
}

/// Makes a repository with this number of files; the next workers start from it.
fn fill(site: &mut Site, files: usize) {
    use std::fmt::Write as _;
    use std::io::Write as _;
    let mut text =
        format!("commit refs/heads/main\ncommitter a <a@b> 1700000001 +0000\ndata 4\nmany\nfrom {}\n", site.base);
    for number in 0..files {
        write!(text, "M 644 inline src/d{}/f{number}.rs\ndata 9\nx{number:07}\n\n", number / 50).expect("is text");
    }
    let mut import = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(site.repository())
        .args(["fast-import", "--quiet"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("git runs");
    import.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("is written");
    assert!(import.wait().expect("ends").success());
    site.base = site.git(&["rev-parse", "refs/heads/main"]).parse().expect("a commit");
}

/// The durations that a field has in the agent's log, in the lines that hold a text.
fn logged(site: &Site, text: &str, field: &str) -> Vec<u128> {
    let read = |line: &str| {
        let (_, value) = line.split_once(&format!("{field}="))?;
        let value = value.split(' ').next()?;
        let (number, unit) = value.split_at(value.find(char::is_alphabetic)?);
        let nanos = number.parse::<f64>().ok()?
            * [("s", 1e9), ("ms", 1e6), ("µs", 1e3)].iter().find(|(name, _)| *name == unit)?.1;
        Some(Duration::from_secs_f64(nanos / 1e9).as_nanos())
    };
    let mut times: Vec<_> = site.agent_log().lines().filter(|line| line.contains(text)).filter_map(read).collect();
    times.sort_unstable();
    times
}

fn time(command: &mut std::process::Command) -> u128 {
    let began = now();
    assert!(command.stdout(std::process::Stdio::null()).status().expect("runs").success());
    now() - began
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn snapshots_of_5000_files() {
    let mut site = Site::without_agent(&["--warm", "0"]).await;
    fill(&mut site, 5_000);
    site.coordinator.with(|state| state.snapshot_ms = 200);
    let mut command = site.agent_command();
    site.start_agent_by(command.env("RUST_LOG", "outpost_agent=trace"));
    site.joined(1).await;
    let go = site.outside().join("go");
    let ten = "n=0; while [ $n -lt 10 ]; do date +%N > src/d$n/f$((n * 50)).rs; n=$((n + 1)); done";
    let run = format!(
        "{ten}; echo ready; while ! test -e '{}'; do sleep 0.1; done; while :; do {ten}; sleep 0.5; done",
        go.display()
    );
    let worker = site.assign(site.item(1, &run)).await;
    eventually("it is looked at", || logged(&site, "nothing has changed", "took").len() >= 40).await;
    let unchanged = logged(&site, "nothing has changed", "took");
    std::fs::write(go, "").expect("is written");
    eventually("snapshots", || logged(&site, "a snapshot was taken", "took").len() >= 40).await;
    let (ready, took) = (logged(&site, "a snapshot was taken", "made"), logged(&site, "a snapshot was taken", "took"));
    site.coordinator.stop_worker(worker, "enough").await;
    site.finished(worker).await;

    let tree = site.worker_dir(worker).join("workspace");
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(&tree).args(args);
        command
    };
    let (mut status, mut add) = (vec![], vec![]);
    for round in 0..20 {
        for number in 0..10 {
            std::fs::write(tree.join(format!("src/d{number}/f{}.rs", number * 50)), format!("{round}"))
                .expect("is written");
        }
        status.push(time(&mut git(&["status", "--porcelain"])));
        add.push(time(&mut git(&["add", "-A"])) + time(&mut git(&["write-tree"])));
    }
    let show = |what: &str, times: &mut Vec<u128>| {
        times.sort_unstable();
        println!("{what}: p50 {:.1} ms, p99 {:.1} ms", percentile(times, 50), percentile(times, 99));
    };
    for step in ["add", "write-tree", "commit-tree", "index-pack", "rev-list", "push"] {
        show(step, &mut logged(&site, &format!("command=\"{step}\""), "took"));
    }
    show("unchanged", &mut unchanged.clone());
    show("10 changed, made and taken over", &mut ready.clone());
    show("10 changed, and pushed", &mut took.clone());
    show("floor: git status", &mut status);
    show("floor: git add -A, git write-tree", &mut add);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_restart_with_20_workers() {
    const COUNT: u64 = 20;
    let mut site = Site::start(&["--warm", "0"]).await;
    for number in 1..=COUNT {
        site.assign(site.item(number, "while :; do date +%s%N; sleep 0.05; done")).await;
    }
    for number in 1..=COUNT {
        site.started(WorkerId::new(number)).await;
    }
    let (mut adopted, mut tailed) = (vec![], vec![]);
    for round in 2..12 {
        site.kill_agent();
        let before: Vec<_> = site.coordinator.with(|state| state.logs.values().map(Vec::len).collect());
        let began = now();
        site.start_agent();
        site.joined(round).await;
        adopted.push(now() - began);
        let workers = site.coordinator.with(|state| state.hellos[round - 1].workers.len());
        assert_eq!(workers, 20);
        let grown =
            |state: &crate::support::State| state.logs.values().zip(&before).all(|(log, before)| log.len() > *before);
        site.coordinator.until("every log goes on", grown).await;
        tailed.push(now() - began);
    }
    adopted.sort_unstable();
    tailed.sort_unstable();
    println!(
        "start → hello with {COUNT} workers: p50 {:.0} ms, most {:.0} ms",
        percentile(&adopted, 50),
        percentile(&adopted, 100)
    );
    println!(
        "start → each log goes on: p50 {:.0} ms, most {:.0} ms",
        percentile(&tailed, 50),
        percentile(&tailed, 100)
    );
    for number in 1..=COUNT {
        site.coordinator.stop_worker(WorkerId::new(number), "enough").await;
    }
    for number in 1..=COUNT {
        site.finished(WorkerId::new(number)).await;
    }
}
