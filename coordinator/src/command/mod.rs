//! What `coordinator` can do beside serving: for the person who has the data directory.

pub mod backup;
pub mod check;
pub mod token;

use std::time::{Duration, Instant};

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

/// How long a command waits for a coordinator that is starting, and how often it looks.
const START_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// When it says that it waits.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// Finds the record: through the coordinator while that runs or starts, else by opening it.
async fn reach(place: &Place) -> anyhow::Result<Reach> {
    let config = config(place)?;
    let began = Instant::now();
    let mut said = false;
    loop {
        let error = match look(&config).await? {
            Ok(reach) => return Ok(reach),
            Err(error) => error,
        };
        if began.elapsed() >= START_LIMIT {
            return Err(error);
        }
        if began.elapsed() >= SAY_AFTER && !said {
            said = true;
            eprintln!("waiting for a coordinator to start in {} …", config.place.data_dir().display());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Finds the record as it is now; the inner error is one that ends when a coordinator has started.
async fn look(config: &Config) -> anyhow::Result<anyhow::Result<Reach>> {
    let data = config.place.data_dir();
    if !data.is_dir() {
        return Ok(Err(anyhow::anyhow!(
            "there is no data directory {}; start the coordinator first (coordinator serve), or name it with --data-dir",
            data.display()
        )));
    }
    if let Some(offline) = Offline::open(config).await? {
        return Ok(Ok(Reach::Offline(Box::new(offline))));
    }
    let ask = async {
        let context =
            Context::read(&data.join(local_admin::FILE)).context("the running coordinator cannot be asked")?;
        let credential = context.credential()?;
        Ok(Reach::Running(connect(&context.coordinator, &context.trusted(), &credential, |endpoint| endpoint).await?))
    };
    Ok(ask.await)
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
