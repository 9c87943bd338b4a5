//! `make soak`: the real daemons under load and faults, for ten minutes; then the coordinator is killed again and
//! again under simulated outposts. docs/internals/reliability-tests.md says what is checked.

use std::time::Duration;

use clap::Parser;
use sprint_tests::load::figures::Figures;
use sprint_tests::load::fleet::{self, Scale, Watch};
use sprint_tests::soak::{self, SoakOptions};

#[derive(Debug, Parser)]
struct Args {
    /// How long faults strike
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Which faults strike when [default: by the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How often the coordinator is killed under simulated outposts afterwards
    #[arg(long, default_value_t = 100)]
    kills: u32,
}

fn main() -> anyhow::Result<()> {
    let Args { time, seed, kills } = Args::parse();
    soak::run(SoakOptions { time, seed: seed.unwrap_or_else(|| fastrand::u64(..)) });
    if kills > 0 {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(fleet::run(
            &mut Figures::default(),
            Scale { outposts: 200, workers: 5, heartbeat: Duration::from_secs(5) },
            Watch { time: Duration::ZERO, ends_per_second: 10, kills, kill_every: Duration::from_secs(2) },
        ))?;
    }
    Ok(())
}
