//! `make bench`: each figure beside its floor, both measured in this run.
//!
//! A floor is what the parts below cost without us: tmux, git, the disk. Nothing is asserted;
//! docs/internals/benchmarks.md says how to read the figures. `bench --short PART…` runs the same code
//! for seconds, so that it does not rot; its figures say nothing.

mod agents;
mod confine;
mod dispatch;
mod events;
mod extent;
mod idle;
mod landing;
mod logs;
mod recovery;
mod start;
mod transitions;

use std::time::Duration;

use sprint_tests::load::figures::Figures;
use sprint_tests::load::fleet::{self, Scale, Watch};

use crate::extent::Extent;

const PARTS: [&str; 12] = [
    "transitions",
    "landing",
    "dispatch",
    "events",
    "confine",
    "start",
    "burst",
    "agents",
    "logs",
    "fleet",
    "recovery",
    "idle",
];

fn main() -> anyhow::Result<()> {
    let (flags, wanted): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let landings = flags.iter().find_map(|flag| flag.strip_prefix("--landings=")).map(str::parse).transpose()?;
    let is_known = |flag: &String| flag == "--short" || flag.starts_with("--landings=");
    anyhow::ensure!(flags.iter().all(is_known), "bench knows no flags but --short and --landings=N");
    let unknown = wanted.iter().filter(|part| !PARTS.contains(&part.as_str())).collect::<Vec<_>>();
    anyhow::ensure!(unknown.is_empty(), "no part is called {unknown:?}; there are {PARTS:?}");
    let is_short = flags.iter().any(|flag| flag == "--short");
    let extent = if is_short { Extent::Short } else { Extent::Whole };
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|want| want == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Figures::default();
    runtime.block_on(async {
        if runs("transitions") {
            transitions::run(&mut figures, extent).await?;
        }
        if runs("landing") {
            landing::run(&mut figures, extent, landings).await?;
        }
        if runs("dispatch") {
            dispatch::run(&mut figures, extent).await?;
        }
        if runs("events") {
            events::run(&mut figures, extent).await?;
        }
        if runs("confine") {
            confine::run(&mut figures, extent).await?;
        }
        if runs("start") {
            start::run(&mut figures, extent).await?;
        }
        if runs("burst") {
            start::burst(&mut figures, extent).await?;
        }
        if runs("agents") {
            agents::run(&mut figures, extent).await?;
        }
        if runs("logs") {
            logs::run(&mut figures, extent).await?;
        }
        if runs("fleet") {
            let scale =
                Scale { outposts: extent.of(1_000, 5), workers: extent.of(10, 2), heartbeat: Duration::from_secs(5) };
            let time = Duration::from_secs(extent.of(30, 1));
            let watch = Watch { time, ends_per_second: extent.of(50, 4), kills: 0, kill_every: Duration::ZERO };
            fleet::run(&mut figures, scale, watch).await?;
        }
        if runs("recovery") {
            recovery::run(&mut figures, extent).await?;
        }
        if runs("idle") {
            idle::run(&mut figures, extent).await?;
        }
        anyhow::Ok(())
    })?;
    figures.print();
    Ok(())
}
