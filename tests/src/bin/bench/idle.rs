//! What the coordinator costs while nothing is to be done.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use sprint_tests::load::figures::Figures;
use sprint_tests::load::site::Site;
use sprint_tests::load::usage::cpu;

use crate::extent::Extent;

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    site.outpost("one", 4, 2).await?;
    site.outpost("two", 4, 2).await?;
    let pid = site.coordinator_pid().context("it runs")?;
    // Connecting and starting are not idling.
    tokio::time::sleep(Duration::from_millis(extent.of(5_000, 100))).await;
    let (before, began) = (cpu(pid)?, Instant::now());
    tokio::time::sleep(Duration::from_secs(extent.of(60, 1))).await;
    let used = (cpu(pid)? - before) * 60.0 / began.elapsed().as_secs_f64();
    figures.add("idle coordinator, 2 outposts", format!("{used:.3} CPU s/min"), "0", "< 0.05");
    Ok(())
}
