use sprint_core::ids::WorkerId;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::{Hello, InventoryEntry, OutpostPatch};

use super::super::required;
use super::{duration, field, parsed};
use crate::v1;

impl TryFrom<v1::Hello> for Hello {
    type Error = Refusal;

    fn try_from(hello: v1::Hello) -> Result<Self, Refusal> {
        let v1::Hello { outpost, version, labels, max_workers, instance, workers, draining } = hello;
        let hello = Self {
            outpost: parsed("outpost", &outpost)?,
            version,
            labels: labels.into_iter().collect(),
            max_workers,
            instance,
            draining,
            inventory: workers.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        };
        hello.within_bounds().map_err(|why| Refusal::new(Code::RequestInvalid, why))
    }
}

impl TryFrom<v1::InventoryEntry> for InventoryEntry {
    type Error = Refusal;

    fn try_from(entry: v1::InventoryEntry) -> Result<Self, Refusal> {
        let v1::InventoryEntry { worker, job, finished } = entry;
        let job = required(job, "the job of a worker").and_then(TryInto::try_into);
        Ok(Self { worker: WorkerId::new(worker), job: field("workers", job)?, finished })
    }
}

impl TryFrom<v1::SetOutpostRequest> for OutpostPatch {
    type Error = Refusal;

    fn try_from(request: v1::SetOutpostRequest) -> Result<Self, Refusal> {
        let v1::SetOutpostRequest { name, disconnect_grace_ms } = request;
        Ok(Self { name: parsed("name", &name)?, disconnect_grace: disconnect_grace_ms.map(duration) })
    }
}
