//! `sprintctl outpost`.

use std::time::Duration;

use clap::Subcommand;
use sprint_core::ids::OutpostName;
use sprint_core::outpost::{Load, Outpost};
use sprint_core::view::OutpostView;
use sprint_proto::convert::{Malformed, millis};
use sprint_proto::v1;

use crate::cli::App;
use crate::failure::Failure;
use crate::render::{Cell, Column, Layout, ago, commas, fields, short_duration, table};

#[derive(Debug, Subcommand)]
pub(crate) enum OutpostCommand {
    /// List the outposts
    List,
    /// Show an outpost: its labels, its slots and its load
    Show {
        /// The outpost's name
        name: OutpostName,
    },
    /// Give an outpost nothing new; what runs goes on
    Drain {
        /// The outpost's name
        name: OutpostName,
    },
    /// Give an outpost work again after a drain
    Resume {
        /// The outpost's name
        name: OutpostName,
    },
    /// Change an outpost's settings
    Set {
        /// The outpost's name
        name: OutpostName,
        /// How long it keeps its work while it is cut off, before the work is tried elsewhere; 0s for the
        /// coordinator's own setting
        #[arg(long, value_name = "DURATION", required = true)]
        disconnect_grace: humantime::Duration,
    },
    /// Forget an outpost; its certificate is refused from then on
    Remove {
        /// The outpost's name
        name: OutpostName,
        /// Also when it is connected or holds workers; these count as lost
        #[arg(long)]
        force: bool,
    },
}

impl OutpostCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut outposts = app.client.outposts();
        let request = |name: &OutpostName| v1::OutpostRequest { name: name.to_string() };
        match self {
            Self::List => app.output.list(&all(app).await?, "outposts", list),
            Self::Show { name } => app.output.one(&find(app, &name).await?, details),
            Self::Drain { name } => {
                outposts.drain(request(&name)).await?;
                changed(app, &name).await
            }
            Self::Resume { name } => {
                outposts.resume(request(&name)).await?;
                changed(app, &name).await
            }
            Self::Set { name, disconnect_grace } => {
                let grace = Some(millis(*disconnect_grace));
                outposts.set(v1::SetOutpostRequest { name: name.to_string(), disconnect_grace_ms: grace }).await?;
                app.output.one(&find(app, &name).await?, details)
            }
            Self::Remove { name, force } => {
                let request = v1::RemoveOutpostRequest { name: name.into(), force };
                let gone = Outpost::try_from(outposts.remove(request).await?.into_inner())?;
                app.output.one(&OutpostView::new(gone, 0, None, None), one)
            }
        }
    }
}

async fn all(app: &App) -> Result<Vec<OutpostView>, Failure> {
    let outposts = app.client.outposts().list(v1::ListOutpostsRequest {}).await?.into_inner().outposts;
    let view = |status: v1::OutpostStatus| {
        let v1::OutpostStatus { outpost, active_workers, load, lapses_in_ms } = status;
        let outpost = outpost.ok_or(Malformed::Missing("the outpost"))?;
        let lapses_in = lapses_in_ms.map(Duration::from_millis);
        Ok(OutpostView::new(outpost.try_into()?, active_workers, load.map(Load::from), lapses_in))
    };
    outposts.into_iter().map(view).collect()
}

async fn find(app: &App, name: &OutpostName) -> Result<OutpostView, Failure> {
    all(app).await?.into_iter().find(|outpost| outpost.name == *name).ok_or_else(|| {
        Failure::Failed(format!("there is no outpost \"{name}\"; see those there are with: sprintctl outpost list"))
    })
}

async fn changed(app: &App, name: &OutpostName) -> Result<(), Failure> {
    app.output.one(&find(app, name).await?, one)
}

fn one(outpost: &OutpostView, layout: &Layout) -> String {
    list(std::slice::from_ref(outpost), layout)
}

fn list(outposts: &[OutpostView], layout: &Layout) -> String {
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

/// What a person should know of it.
fn note(outpost: &OutpostView) -> String {
    match (&outpost.paused, outpost.lapses_in) {
        (Some(why), _) => format!("takes nothing new: {why}"),
        (None, Some(left)) => format!("its work is tried elsewhere in {}", short_duration(left)),
        (None, None) => String::new(),
    }
}

fn labels(outpost: &OutpostView) -> String {
    commas(outpost.labels.iter().map(|(key, value)| format!("{key}={value}")))
}

fn details(outpost: &OutpostView, layout: &Layout) -> String {
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
            lapses_in: None,
            load: Some(Load { load1: 0.5, free_disk_bytes: 5_000_000_000, free_memory_bytes: 700 }),
        };
        let layout = Layout { width: Some(100), colour: false, now };
        insta::assert_snapshot!(details(&outpost, &layout) + "\n" + &one(&outpost, &layout));
    }
}
