use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::status::PassReason;
use tokio::sync::Notify;

use super::driver::{Loop, Next};
use crate::service::repos::{self, housekeeping};
use crate::service::{Coordinator, Notices};

/// Packs repositories, and gives up the work of items that are long over.
#[derive(Default)]
pub(super) struct Housekeeper {
    work: housekeeping::Work,
}

impl Loop for Housekeeper {
    const NAME: &'static str = "housekeeper";
    const TICK: Duration = Duration::from_mins(1);
    // A packing that fails, for example on a full disk, has read everything before.
    const AFTER_FAILURE: Duration = Duration::from_mins(10);

    fn woken_by(_: &Notices) -> Option<&Notify> {
        None
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        let names: BTreeSet<_> = repos::list(sprint).iter().map(|repo| repo.name.clone()).collect();
        let mut failed = vec![];
        for name in names {
            // What is cut off is done again.
            let tend = self.work.tend(sprint, &name);
            match sprint.stop.run_until_cancelled(tend).await {
                Some(Ok(())) => {}
                // The others are not held up.
                Some(Err(error)) => failed.push(format!("repo \"{name}\": {:#}", anyhow::Error::new(error))),
                None => break,
            }
        }
        anyhow::ensure!(failed.is_empty(), failed.join("; "));
        Ok(housekeeping::Work::pause(sprint).map_or(Next::AtTick, Next::After))
    }
}
