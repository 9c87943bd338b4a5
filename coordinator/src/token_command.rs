//! `coordinator token`: for the person who has the data directory, whether the coordinator runs or not.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sprint_core::event::Actor;
use sprint_core::ids::{PersonName, TokenId};
use sprint_core::token::TokenKind;
use sprint_core::view::TokenView;
use sprint_identity::connect::{Connection, connect};
use sprint_identity::context::Context;
use sprint_proto::v1;
use sprint_proto::v1::identity_client::IdentityClient;

use crate::app::Offline;
use crate::config::{Config, Flags};
use crate::service::tokens::{self, NewToken};
use crate::service::{admin, now};

/// What `coordinator token` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Makes a token and prints it: the one time that it is shown
    Create(Create),
    /// Lists tokens, without their secrets
    List(List),
    /// Takes a token's force away
    Revoke(Revoke),
}

#[derive(Debug, Clone, Args)]
pub struct Create {
    #[command(flatten)]
    place: Place,
    /// What it lets its holder become: outpost, admin, operator or viewer
    #[arg(long, value_name = "KIND")]
    kind: TokenKind,
    /// How long it counts [default: 1h for outposts, 90d for people]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// How many outposts may join with it [default: 1]
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
    /// The names that outposts may take with it all begin so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    name_prefix: String,
    /// Who it is for, as the record names them; for kinds other than outpost
    #[arg(long, value_name = "PERSON")]
    name: Option<PersonName>,
}

#[derive(Debug, Clone, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Also those that let nobody in any more
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The token's id, as the list shows it
    id: TokenId,
}

/// Where the coordinator keeps its data, as for `serve`.
#[derive(Debug, Clone, Args)]
struct Place {
    /// Where the record is kept [default: ~/.local/state/sprint/coordinator]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file of `coordinator serve`
    #[arg(long, value_name = "FILE", env = "SPRINT_CONFIG")]
    config: Option<PathBuf>,
}

impl Place {
    async fn reach(self) -> anyhow::Result<Reach> {
        let flags = Flags { data_dir: self.data_dir, config: self.config, ..Flags::default() };
        let config = Config::load(&flags)?;
        anyhow::ensure!(
            config.data_dir.is_dir(),
            "there is no data directory {}; start the coordinator first (coordinator serve), or name it with --data-dir",
            config.data_dir.display()
        );
        if let Some(offline) = Offline::open(&config).await? {
            return Ok(Reach::Offline(Box::new(offline)));
        }
        let path = config.data_dir.join(admin::FILE);
        let context = Context::read(&path).context("the running coordinator cannot be asked")?;
        let connection =
            connect(&context.coordinator, &context.trusted(), &context.credential()?, |endpoint| endpoint).await?;
        Ok(Reach::Running(IdentityClient::new(connection)))
    }
}

/// How the record is reached.
enum Reach {
    /// The coordinator runs: it is asked, as its local admin.
    Running(IdentityClient<Connection>),
    /// It does not: its record is opened.
    Offline(Box<Offline>),
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Carries the command out.
///
/// # Errors
/// A text for people.
pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(Create { place, kind, ttl, uses, name_prefix, name }) => {
            let text = match place.reach().await? {
                Reach::Offline(offline) => {
                    let new = NewToken { kind, ttl, uses, name_prefix, name };
                    let made = tokens::create(&offline.sprint, new, Actor::Coordinator).await;
                    offline.close().await;
                    made?.1.reveal()
                }
                Reach::Running(mut identity) => {
                    let ttl_ms = ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
                    let request = v1::CreateTokenRequest {
                        kind: kind.to_string(),
                        ttl_ms,
                        uses: uses.unwrap_or(0),
                        name_prefix,
                        name: name.map(Into::into).unwrap_or_default(),
                    };
                    identity.create_token(request).await.map_err(of)?.into_inner().text
                }
            };
            println!("{text}");
        }
        TokenCommand::List(List { place, all }) => {
            let listed: Vec<v1::Token> = match place.reach().await? {
                Reach::Offline(offline) => {
                    let listed = tokens::list(&offline.sprint, all).await;
                    offline.close().await;
                    listed?.into_iter().map(Into::into).collect()
                }
                Reach::Running(mut identity) => {
                    identity.list_tokens(v1::ListTokensRequest { all }).await.map_err(of)?.into_inner().tokens
                }
            };
            for token in listed {
                print(&TokenView::try_from(token)?);
            }
        }
        TokenCommand::Revoke(Revoke { place, id }) => {
            let revoked: v1::Token = match place.reach().await? {
                Reach::Offline(offline) => {
                    let revoked = tokens::revoke(&offline.sprint, id, Actor::Coordinator).await;
                    offline.close().await;
                    revoked?.into()
                }
                Reach::Running(mut identity) => {
                    let request = v1::RevokeTokenRequest { id: id.into() };
                    identity.revoke_token(request).await.map_err(of)?.into_inner()
                }
            };
            print(&TokenView::try_from(revoked)?);
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn of(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}

fn print(token: &TokenView) {
    let TokenView { id, kind, name, uses, used, expires_at, .. } = token;
    let whom = if *kind == TokenKind::Outpost { format!("{used} of {uses} joined") } else { name.clone() };
    println!("{id}  {kind:<8}  {:<8}  until {expires_at}  {whom}", token.state(now()));
}
