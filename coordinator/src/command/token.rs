//! `coordinator token`: for the person who has the data directory, whether the coordinator runs or not.

use std::time::Duration;

use clap::{Args, Subcommand};
use sprint_core::ids::PersonName;
use sprint_core::request::NewToken;
use sprint_core::token::{TokenId, TokenKind};
use sprint_core::view::TokenView;
use sprint_proto::v1;
use sprint_proto::v1::identity_client::IdentityClient;

use super::{Reach, of, reach};
use crate::config::Place;
use crate::service::admission::access;
use crate::service::admission::tokens;
use crate::service::now;

/// The commands of `coordinator token`.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Creates a token and prints it; it is not shown again
    Create(Create),
    /// Lists the valid tokens
    List(List),
    /// Revokes a token; outposts that joined with it stay
    Revoke(Revoke),
}

#[derive(Debug, Clone, Args)]
pub struct Create {
    #[command(flatten)]
    place: Place,
    /// The role of its holder: outpost, admin, operator or viewer
    #[arg(long, value_name = "KIND")]
    kind: TokenKind,
    /// How long it is valid, such as 1h or 30d [default: 1h for outposts, 90d for people]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// Outposts: the number of outposts that may join with it [default: 1]
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
    /// Outposts: the prefix that their names must have
    #[arg(long, value_name = "PREFIX", default_value = "")]
    name_prefix: String,
    /// People: the holder's name in the record [default: the token's id]
    #[arg(long, value_name = "PERSON")]
    name: Option<PersonName>,
}

#[derive(Debug, Clone, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Also those that are expired, used up or revoked
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The token's id, as "token list" prints it
    id: TokenId,
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
            let text = match reach(&place).await? {
                Reach::Offline(offline) => {
                    let new = NewToken { kind, ttl, uses, name_prefix, name };
                    let made = tokens::create(&offline.sprint, new, access::local_admin()).await;
                    offline.close().await;
                    made?.1.reveal()
                }
                Reach::Running(connection) => {
                    let mut identity = IdentityClient::new(connection);
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
            let listed: Vec<v1::Token> = match reach(&place).await? {
                Reach::Offline(offline) => {
                    let listed = tokens::list(&offline.sprint, all).await;
                    offline.close().await;
                    listed?.into_iter().map(Into::into).collect()
                }
                Reach::Running(connection) => {
                    let mut identity = IdentityClient::new(connection);
                    identity.list_tokens(v1::ListTokensRequest { all }).await.map_err(of)?.into_inner().tokens
                }
            };
            for token in listed {
                print(&TokenView::try_from(token)?);
            }
        }
        TokenCommand::Revoke(Revoke { place, id }) => {
            let revoked: v1::Token = match reach(&place).await? {
                Reach::Offline(offline) => {
                    let revoked = tokens::revoke(&offline.sprint, id, access::local_admin()).await;
                    offline.close().await;
                    revoked?.into()
                }
                Reach::Running(connection) => {
                    let mut identity = IdentityClient::new(connection);
                    let request = v1::RevokeTokenRequest { id: id.into() };
                    identity.revoke_token(request).await.map_err(of)?.into_inner()
                }
            };
            print(&TokenView::try_from(revoked)?);
        }
    }
    Ok(())
}

fn print(token: &TokenView) {
    let TokenView { id, kind, name, uses, used, expires_at, .. } = token;
    let whom = if *kind == TokenKind::Outpost { format!("{used} of {uses} joined") } else { name.clone() };
    println!("{id}  {kind:<8}  {:<8}  until {expires_at}  {whom}", token.state(now()));
}
