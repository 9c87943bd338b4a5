//! `make bench`: each figure beside its floor, both measured in this run.
//!
//! A floor is what the parts below cost without us: tmux, git, the disk. Nothing is asserted;
//! docs/internals/benchmarks.md says how to read the figures.

mod dispatch;
mod events;
mod idle;
mod landing;
mod logs;
mod recovery;
mod start;
mod transitions;

use std::time::Duration;

use sprint_tests::load::figures::Figures;
use sprint_tests::load::fleet::{self, Scale, Watch};

fn main() -> anyhow::Result<()> {
    let wanted = std::env::args().skip(1).collect::<Vec<_>>();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|want| want == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Figures::default();
    runtime.block_on(async {
        if runs("transitions") {
            transitions::run(&mut figures).await?;
        }
        if runs("landing") {
            landing::run(&mut figures).await?;
        }
        if runs("dispatch") {
            dispatch::run(&mut figures).await?;
        }
        if runs("events") {
            events::run(&mut figures).await?;
        }
        if runs("start") {
            start::run(&mut figures).await?;
        }
        if runs("logs") {
            logs::run(&mut figures).await?;
        }
        if runs("fleet") {
            let scale = Scale { outposts: 1_000, workers: 10, heartbeat: Duration::from_secs(5) };
            let watch =
                Watch { time: Duration::from_secs(30), ends_per_second: 50, kills: 0, kill_every: Duration::ZERO };
            fleet::run(&mut figures, scale, watch).await?;
        }
        if runs("recovery") {
            recovery::run(&mut figures).await?;
        }
        if runs("idle") {
            idle::run(&mut figures).await?;
        }
        anyhow::Ok(())
    })?;
    figures.print();
    Ok(())
}
