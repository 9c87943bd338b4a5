//! Outposts, as people read them.

use sprint_core::outpost::{Load, Suspicion};
use sprint_core::view::OutpostView;

use crate::render::{Cell, Column, Layout, ago, commas, fields, short_duration, table};

pub(crate) fn one(outpost: &OutpostView, layout: &Layout) -> String {
    list(std::slice::from_ref(outpost), layout)
}

pub(crate) fn list(outposts: &[OutpostView], layout: &Layout) -> String {
    let columns = [
        Column::word("NAME"),
        Column::word("STATE"),
        Column::number("WORKERS"),
        Column::number("LOAD"),
        Column::number("DISK FREE"),
        Column::word("SEEN"),
        Column::word("VERSION"),
        Column::text("LABELS"),
        Column::text("NOTE"),
    ];
    let rows = outposts.iter().map(|outpost| {
        vec![
            Cell::new(&outpost.name),
            Cell::state(outpost.state),
            Cell::new(format!("{}/{}", outpost.active_workers, outpost.max_workers)),
            Cell::maybe(outpost.load.map(|load| format!("{:.2}", load.load1))),
            Cell::maybe(outpost.load.map(|load| bytes(load.free_disk_bytes))),
            Cell::new(format!("{} ago", ago(layout, outpost.last_seen))),
            Cell::new(&outpost.version),
            Cell::new(labels(outpost)),
            Cell::gist(&note(outpost)),
        ]
    });
    table(layout, &columns, rows.collect())
}

/// The notes on an outpost in a list.
fn note(outpost: &OutpostView) -> String {
    match (&outpost.paused, outpost.lapses_in, &outpost.suspicion) {
        (Some(why), _, _) => format!("takes nothing new: {why}"),
        (None, Some(left), _) => format!("its work is tried elsewhere in {}", short_duration(left)),
        (None, None, Some(Suspicion { reason, since, retry_at: _ })) => {
            format!("suspect since {since}, gets one worker at a time: the last ones failed within seconds: {reason}")
        }
        (None, None, None) => String::new(),
    }
}

fn labels(outpost: &OutpostView) -> String {
    commas(outpost.labels.iter().map(|(key, value)| format!("{key}={value}")))
}

pub(crate) fn details(outpost: &OutpostView, layout: &Layout) -> String {
    let load = |say: &dyn Fn(&Load) -> String| outpost.load.as_ref().map(say).unwrap_or_default();
    fields(&[
        ("name", outpost.name.to_string()),
        ("state", outpost.state.to_string()),
        ("workers", format!("{} of {}", outpost.active_workers, outpost.max_workers)),
        ("labels", labels(outpost)),
        ("load", load(&|load| format!("{:.2} (1 minute)", load.load1))),
        ("disk", load(&|load| format!("{} free", bytes(load.free_disk_bytes)))),
        ("memory", load(&|load| format!("{} free", bytes(load.free_memory_bytes)))),
        ("seen", format!("{} ({} ago)", outpost.last_seen, ago(layout, outpost.last_seen))),
        ("grace", outpost.disconnect_grace.map(short_duration).unwrap_or_default()),
        ("note", note(outpost)),
        ("version", outpost.version.clone()),
    ])
}

/// A number of bytes in the unit that people read.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS.iter().find(|(size, _)| bytes >= *size).map_or_else(
        || format!("{bytes} B"),
        |(size, unit)| format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sprint_core::ids::OutpostName;
    use sprint_core::outpost::OutpostState;
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_outpost_shows_its_slots_and_its_load() {
        let now = Timestamp::from_millis(1_763_700_000_000);
        let outpost = OutpostView {
            name: OutpostName::new("gpu-3").unwrap(),
            state: OutpostState::Draining,
            max_workers: 4,
            active_workers: 2,
            labels: [("os".to_owned(), "linux".to_owned()), ("gpu".to_owned(), "2".to_owned())].into(),
            last_seen: Timestamp::from_millis(1_763_699_990_000),
            version: "0.1.0".to_owned(),
            paused: Some("less than 1 GiB of disk is free".to_owned()),
            disconnect_grace: Some(Duration::from_mins(30)),
            suspicion: None,
            lapses_in: None,
            load: Some(Load { load1: 0.5, free_disk_bytes: 5_000_000_000, free_memory_bytes: 700 }),
        };
        let layout = Layout { width: Some(100), colour: false, now };
        insta::assert_snapshot!(details(&outpost, &layout) + "\n" + &one(&outpost, &layout));
    }
}
