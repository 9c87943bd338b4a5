//! What the coordinator costs while nothing is to be done.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::figures::Figures;
use crate::site::Site;

const TIME: Duration = Duration::from_mins(1);

pub(crate) async fn run(figures: &mut Figures) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    site.outpost("one", 4, 2).await?;
    site.outpost("two", 4, 2).await?;
    let pid = site.coordinator_pid().context("it runs")?;
    // Connecting and starting are not idling.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, began) = (cpu(pid)?, Instant::now());
    tokio::time::sleep(TIME).await;
    let used = (cpu(pid)? - before) * 60.0 / began.elapsed().as_secs_f64();
    figures.add("idle coordinator, 2 outposts", format!("{used:.3} CPU s/min"), "0", "< 0.05");
    Ok(())
}

/// The CPU time that a process and its threads have used so far, in seconds.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<f64> {
    let mut nanos = 0_u64;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().context("a number")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos).as_secs_f64())
}

/// The memory that a process holds now.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("its memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}
