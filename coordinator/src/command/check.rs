//! `coordinator check`: whether the record is sound, and the repositories hold what it says.

use clap::Args;
use sprint_proto::v1;
use sprint_proto::v1::system_client::SystemClient;

use super::{Reach, of, reach};
use crate::config::Place;
use crate::service::operate::check;
use crate::service::operate::check::Checked;

#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    place: Place,
}

/// Carries the command out.
///
/// # Errors
/// A text for people, also when something does not hold.
pub async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let checked = match reach(&args.place).await? {
        Reach::Offline(offline) => {
            let checked = check::check(&offline.sprint).await;
            offline.close().await;
            let Checked { items, workers, changes, events, violations } = checked?;
            let (items, workers, changes) = (items as u64, workers as u64, changes as u64);
            v1::CheckResponse { items, workers, changes, events, violations }
        }
        Reach::Running(connection) => {
            SystemClient::new(connection).check(v1::CheckRequest {}).await.map_err(of)?.into_inner()
        }
    };
    let v1::CheckResponse { items, workers, changes, events, violations } = checked;
    for violation in &violations {
        println!("{violation}");
    }
    anyhow::ensure!(
        violations.is_empty(),
        "{} invariants are violated; keep the data directory as it is, and report them with the coordinator's log",
        violations.len()
    );
    println!("ok: {items} items, {workers} workers, {changes} changes, {events} events");
    Ok(())
}
