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
    const AFTER_FAILURE: Duration = Duration::from_mins(1);

    fn woken_by(_: &Notices) -> Option<&Notify> {
        None
    }

    async fn pass(&mut self, sprint: &Arc<Coordinator>, _: PassReason) -> anyhow::Result<Next> {
        let names: BTreeSet<_> = repos::list(sprint).iter().map(|repo| repo.name.clone()).collect();
        for name in names {
            // What is cut off is done again.
            let tend = self.work.tend(sprint, &name);
            match sprint.stop.run_until_cancelled(tend).await {
                Some(done) => done?,
                None => break,
            }
        }
        Ok(housekeeping::Work::pause(sprint).map_or(Next::AtTick, Next::After))
    }
}
