//! `coordinator backup` and `coordinator restore`: the whole of a coordinator in one file.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use sprint_identity::private;
use sprint_proto::v1;
use sprint_proto::v1::system_client::SystemClient;

use super::{Reach, config, of, reach};
use crate::app::{self, Offline};
use crate::config::Place;
use crate::identity::seal;
use crate::service::admission::secrets;
use crate::service::operate::{backup, check};

#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    place: Place,
    /// The file to write; it must not exist
    file: PathBuf,
    /// Write the key of the secrets into this file, which must not exist either; without it the secrets have to be set
    /// again after a restore
    #[arg(long, value_name = "FILE")]
    with_secrets: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    place: Place,
    /// The file that `coordinator backup` wrote
    file: PathBuf,
    /// The file that its --with-secrets wrote
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
}

/// Writes a backup. It appears whole, or not at all.
///
/// # Errors
/// A text for people.
pub async fn write(args: BackupArgs) -> anyhow::Result<()> {
    let BackupArgs { place, file, with_secrets } = args;
    for file in [Some(&file), with_secrets.as_ref()].into_iter().flatten() {
        anyhow::ensure!(!file.exists(), "{} is there already; name another file", file.display());
    }
    let key = match &with_secrets {
        Some(to) => Some((to, secrets_key(&config(&place)?.place.data_dir())?)),
        None => None,
    };
    let unfinished = file.with_added_extension("unfinished");
    let what = || format!("{} cannot be written", unfinished.display());
    // It holds every key.
    let mut out =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished).with_context(what)?;
    match reach(&place).await? {
        Reach::Offline(offline) => {
            let written = backup::write(&offline.sprint, out.try_clone()?).await;
            offline.close().await;
            written?;
        }
        Reach::Running(connection) => {
            let mut chunks = SystemClient::new(connection).backup(v1::BackupRequest {}).await.map_err(of)?.into_inner();
            while let Some(v1::BackupChunk { data }) = chunks.message().await.map_err(of)? {
                out.write_all(&data).with_context(what)?;
            }
        }
    }
    out.sync_all().with_context(what)?;
    std::fs::rename(&unfinished, &file).with_context(what)?;
    println!("{}: {} bytes; it holds keys, so keep it as you keep those", file.display(), file.metadata()?.len());
    if let Some((to, key)) = key {
        private::write(&std::path::absolute(to)?, &key)
            .with_context(|| format!("{} cannot be written", to.display()))?;
        println!("{}: the key of the secrets; keep it elsewhere than the backup", to.display());
    }
    Ok(())
}

/// The key of the secrets.
fn secrets_key(data: &Path) -> anyhow::Result<Vec<u8>> {
    let path = seal::key_file(data);
    std::fs::read(&path).with_context(|| {
        format!("{} cannot be read; it is there once a secret was set, on the coordinator's own host", path.display())
    })
}

/// Fills an empty data directory from a backup, and checks it.
///
/// # Errors
/// A text for people.
pub async fn read(args: RestoreArgs) -> anyhow::Result<()> {
    let RestoreArgs { place, file, secrets } = args;
    let key = secrets.map(|path| std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display())));
    let key = key.transpose()?;
    if let Some(key) = &key {
        anyhow::ensure!(seal::is_key(key), "the file of --secrets has {} bytes, and is no key of secrets", key.len());
    }
    let from = File::open(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let config = config(&place)?;
    let data = &config.place.data_dir();
    anyhow::ensure!(
        is_empty(data),
        "{} is not empty; restore into a directory that does not exist yet (--data-dir)",
        data.display()
    );
    app::make_data_dir(data)?;
    let offline = Offline::open(&config).await?.context("another coordinator uses the directory")?;
    let restored = async {
        let manifest = backup::read(&offline.sprint, std::io::BufReader::new(from)).await?;
        if let Some(key) = key {
            private::write(&seal::key_file(data), &key)?;
        }
        let lost = secrets::list(&offline.sprint).await?.into_iter().filter(|(_, is_lost)| *is_lost);
        let lost: Vec<String> = lost.map(|(secret, _)| secret.id.to_string()).collect();
        anyhow::Ok((manifest, check::check(&offline.sprint).await?, lost))
    };
    let restored = restored.await;
    offline.close().await;
    let (manifest, checked, lost) =
        restored.with_context(|| format!("nothing was restored; remove {} before you try again", data.display()))?;
    for violation in &checked.violations {
        println!("{violation}");
    }
    println!(
        "restored what version {} wrote at {}: {} items, {} events; start it with: coordinator serve --data-dir {}",
        manifest.version,
        manifest.made_at,
        checked.items,
        checked.events,
        data.display()
    );
    if !lost.is_empty() {
        println!("these secrets have to be set again, since their key is not there: {}", lost.join(" "));
    }
    anyhow::ensure!(checked.violations.is_empty(), "{} invariants are violated in it", checked.violations.len());
    Ok(())
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}
