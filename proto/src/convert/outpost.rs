use std::time::Duration;

use sprint_core::ids::{KeyId, OutpostName};
use sprint_core::outpost::{Load, Outpost, Suspicion};
use sprint_core::time::Timestamp;

use super::{Malformed, millis};
use crate::v1;

impl From<Outpost> for v1::Outpost {
    fn from(outpost: Outpost) -> Self {
        let Outpost {
            name,
            key,
            labels,
            max_workers,
            state,
            version,
            draining,
            paused,
            quick_failures,
            suspicion,
            disconnect_grace,
            joined_at,
            last_seen,
        } = outpost;
        Self {
            name: name.into(),
            key: key.map(Into::into),
            labels: labels.into_iter().collect(),
            max_workers,
            state: state.to_string(),
            version,
            draining,
            paused,
            quick_failures,
            suspicion: suspicion.map(Into::into),
            disconnect_grace_ms: disconnect_grace.map(millis),
            joined_at_ms: joined_at.as_millis(),
            last_seen_ms: last_seen.as_millis(),
        }
    }
}

impl TryFrom<v1::Outpost> for Outpost {
    type Error = Malformed;

    fn try_from(outpost: v1::Outpost) -> Result<Self, Malformed> {
        let v1::Outpost {
            name,
            key,
            labels,
            max_workers,
            state,
            version,
            draining,
            paused,
            quick_failures,
            suspicion,
            disconnect_grace_ms,
            joined_at_ms,
            last_seen_ms,
        } = outpost;
        Ok(Self {
            name: OutpostName::new(name)?,
            key: key.map(KeyId::new).transpose()?,
            labels: labels.into_iter().collect(),
            max_workers,
            state: state.parse()?,
            version,
            draining,
            paused,
            quick_failures,
            suspicion: suspicion.map(Into::into),
            disconnect_grace: disconnect_grace_ms.map(Duration::from_millis),
            joined_at: Timestamp::from_millis(joined_at_ms),
            last_seen: Timestamp::from_millis(last_seen_ms),
        })
    }
}

impl From<Suspicion> for v1::Suspicion {
    fn from(suspicion: Suspicion) -> Self {
        let Suspicion { reason, since, retry_at } = suspicion;
        Self { reason, since_ms: since.as_millis(), retry_at_ms: retry_at.as_millis() }
    }
}

impl From<v1::Suspicion> for Suspicion {
    fn from(suspicion: v1::Suspicion) -> Self {
        let v1::Suspicion { reason, since_ms, retry_at_ms } = suspicion;
        Self { reason, since: Timestamp::from_millis(since_ms), retry_at: Timestamp::from_millis(retry_at_ms) }
    }
}

impl From<Load> for v1::Load {
    fn from(load: Load) -> Self {
        let Load { load1, free_disk_bytes, free_memory_bytes } = load;
        Self { load1, free_disk_bytes, free_memory_bytes }
    }
}

impl From<v1::Load> for Load {
    fn from(load: v1::Load) -> Self {
        let v1::Load { load1, free_disk_bytes, free_memory_bytes } = load;
        Self { load1, free_disk_bytes, free_memory_bytes }
    }
}
