//! `make sim`, its last part: a generated history through real gates on four outposts.
//! docs/internals/merge-planner.md says what is checked.

use clap::Parser;
use sprint_tests::replay::{self, ReplayOptions};

#[derive(Debug, Parser)]
struct Args {
    /// How many changes
    #[arg(long, default_value_t = 500)]
    changes: usize,
    /// Which changes [default: by the clock]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() {
    let Args { changes, seed } = Args::parse();
    replay::run(ReplayOptions { changes, seed: seed.unwrap_or_else(|| fastrand::u64(..)) });
}
