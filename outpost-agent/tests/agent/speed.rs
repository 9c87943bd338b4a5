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
