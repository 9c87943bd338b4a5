//! What `coordinator` can do beside serving: for the person who has the data directory.

pub mod backup;
pub mod check;
pub mod token;

use anyhow::Context as _;
use sprint_identity::connect::{Connection, connect};
use sprint_identity::context::Context;

use crate::app::Offline;
use crate::config::{Config, Place};
use crate::service::admission::local_admin;

/// How the record is reached.
enum Reach {
    /// The coordinator runs: it is asked, as its local admin.
    Running(Connection),
    /// It does not: its record is opened.
    Offline(Box<Offline>),
}

/// Finds the record: through the coordinator while that runs, else by opening it.
async fn reach(place: &Place) -> anyhow::Result<Reach> {
    let config = config(place)?;
    let data = config.place.data_dir();
    anyhow::ensure!(
        data.is_dir(),
        "there is no data directory {}; start the coordinator first (coordinator serve), or name it with --data-dir",
        data.display()
    );
    if let Some(offline) = Offline::open(&config).await? {
        return Ok(Reach::Offline(Box::new(offline)));
    }
    let context = Context::read(&data.join(local_admin::FILE)).context("the running coordinator cannot be asked")?;
    let credential = context.credential()?;
    Ok(Reach::Running(connect(&context.coordinator, &context.trusted(), &credential, |endpoint| endpoint).await?))
}

fn config(place: &Place) -> anyhow::Result<Config> {
    Config::of(place).map_err(|error| {
        let text = error.to_string();
        anyhow::anyhow!("{}", text.trim_end().trim_start_matches("error: "))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn of(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
