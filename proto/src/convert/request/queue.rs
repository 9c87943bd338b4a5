use sprint_core::ids::ItemId;
use sprint_core::landing::LandingWish;
use sprint_core::refusal::Refusal;
use sprint_core::request::{GateRunRequest, LandRequest};

use super::parsed_if_present;
use crate::v1;

impl TryFrom<v1::LandRequest> for LandRequest {
    type Error = Refusal;

    fn try_from(request: v1::LandRequest) -> Result<Self, Refusal> {
        let v1::LandRequest { what, repo, item, direct, force, skip_gates, dry_run, reason } = request;
        Ok(Self {
            what,
            repo: parsed_if_present("repo", repo.as_deref())?,
            item: item.map(ItemId::new),
            wish: LandingWish { direct, force, skip_gates },
            dry_run,
            reason,
        })
    }
}

impl TryFrom<v1::RunGatesRequest> for GateRunRequest {
    type Error = Refusal;

    fn try_from(request: v1::RunGatesRequest) -> Result<Self, Refusal> {
        let v1::RunGatesRequest { repo, what, gates, again } = request;
        Ok(Self { repo: parsed_if_present("repo", repo.as_deref())?, what, gates, again })
    }
}
