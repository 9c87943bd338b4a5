//! What `coordinator` can do beside serving: for the person who has the data directory.

pub mod backup;
pub mod check;
pub mod token;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use sprint_identity::connect::{Connection, connect};
use sprint_identity::context::Context;

use crate::app::Offline;
use crate::config::{Config, Flags};
use crate::service::admission::local_admin;

/// Where the coordinator keeps its data, as for `serve`.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Where the record is kept [default: ~/.local/state/sprint/coordinator]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file of `coordinator serve`
    #[arg(long, value_name = "FILE", env = "SPRINT_CONFIG")]
    config: Option<PathBuf>,
}

/// How the record is reached.
enum Reach {
    /// The coordinator runs: it is asked, as its local admin.
    Running(Connection),
    /// It does not: its record is opened.
    Offline(Box<Offline>),
}

impl Place {
    fn config(self) -> anyhow::Result<Config> {
        Config::load(&Flags { data_dir: self.data_dir, config: self.config, ..Flags::default() })
    }

    async fn reach(self) -> anyhow::Result<Reach> {
        let config = self.config()?;
        anyhow::ensure!(
            config.data_dir.is_dir(),
            "there is no data directory {}; start the coordinator first (coordinator serve), or name it with --data-dir",
            config.data_dir.display()
        );
        if let Some(offline) = Offline::open(&config).await? {
            return Ok(Reach::Offline(Box::new(offline)));
        }
        let path = config.data_dir.join(local_admin::FILE);
        let context = Context::read(&path).context("the running coordinator cannot be asked")?;
        let credential = context.credential()?;
        Ok(Reach::Running(connect(&context.coordinator, &context.trusted(), &credential, |endpoint| endpoint).await?))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn of(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
