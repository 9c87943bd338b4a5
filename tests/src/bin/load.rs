//! `make load`: simulated outposts, each with its workers, against a real coordinator.
//!
//! The outposts keep to the protocol and do no work, so that what is measured is the coordinator alone.

use std::time::Duration;

use clap::Parser;
use sprint_tests::load::figures::Figures;
use sprint_tests::load::fleet::{self, Scale, Watch};

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 1_000)]
    outposts: usize,
    /// Slots of each outpost; all are filled
    #[arg(long, default_value_t = 10)]
    workers: u32,
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    heartbeat: Duration,
    /// Workers that end in a second; their slots are filled again
    #[arg(long, default_value_t = 50)]
    ends_per_second: u64,
    /// How long the full fleet is watched
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How often to kill the coordinator (SIGKILL) and start it again; then all must be accounted for at the end
    #[arg(long, default_value_t = 0)]
    kills: u32,
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    kill_every: Duration,
}

fn main() -> anyhow::Result<()> {
    let Args { outposts, workers, heartbeat, ends_per_second, time, kills, kill_every } = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Figures::default();
    runtime.block_on(fleet::run(
        &mut figures,
        Scale { outposts, workers, heartbeat },
        Watch { time, ends_per_second, kills, kill_every },
    ))?;
    figures.print();
    Ok(())
}
