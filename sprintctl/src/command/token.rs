//! `sprintctl token`.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use sprint_core::ids::PersonName;
use sprint_core::token::{TokenId, TokenKind, TokenText};
use sprint_core::view::TokenView;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::app::App;
use crate::args::word;
use crate::failure::Failure;
use crate::output::{Format, progress};
use crate::render::token::{TokenEntry, hints, list};
use crate::secret::Hidden;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it; it is not shown again
    Create(TokenCreateArgs),
    /// List the valid tokens
    List {
        /// Also those that are revoked, expired or used up
        #[arg(long)]
        all: bool,
    },
    /// Revoke a token; outposts that joined with it stay
    Revoke {
        /// The token's id, as "token list" prints it, or the token itself
        id: Hidden,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// The role of its holder
    #[arg(long, value_parser = word(TokenKind::ALL, TokenKind::as_str))]
    kind: TokenKind,
    /// How long it is valid, such as 1h or 30d [default: 1h for outposts, 90d for people]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<humantime::Duration>,
    /// Outposts: the number of outposts that may join with it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// Outposts: the prefix that their names must have
    #[arg(long, value_name = "PREFIX")]
    name_prefix: Option<String>,
    /// People: the holder's name in the record [default: the token's id]
    #[arg(long, value_name = "PERSON")]
    name: Option<PersonName>,
}

impl TokenCommand {
    /// Refuses what makes no sense before anything is asked.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.check(),
            Self::List { .. } => Ok(()),
            Self::Revoke { id } => token_id(id).map(drop),
        }
    }

    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut identity = app.client.identity();
        match self {
            Self::Create(args) => {
                let v1::CreateTokenResponse { token, text } = identity.create_token(args.request()).await?.into_inner();
                let view = TokenView::try_from(token.ok_or(Malformed::Missing("the token"))?)?;
                created(app, view, text)
            }
            Self::List { all } => {
                let tokens = identity.list_tokens(v1::ListTokensRequest { all }).await?.into_inner().tokens;
                let views = tokens.into_iter().map(TokenView::try_from).collect::<Result<Vec<_>, Malformed>>()?;
                let shown = views.into_iter().map(|view| TokenEntry::new(view, &app.output.layout)).collect::<Vec<_>>();
                app.output.list(&shown, "tokens", list)?;
                app.output.hidden(!all, "those that are revoked, expired or used up: sprintctl token list --all");
                Ok(())
            }
            Self::Revoke { id } => {
                let id = token_id(&id)?.into();
                let token = identity.revoke_token(v1::RevokeTokenRequest { id }).await?.into_inner();
                let shown = TokenEntry::new(token.try_into()?, &app.output.layout);
                app.output.one(&shown, |shown, layout| list(std::slice::from_ref(shown), layout))
            }
        }
    }
}

impl TokenCreateArgs {
    fn check(&self) -> Result<(), Failure> {
        let Self { kind, ttl, uses, name_prefix, name } = self;
        let refuse =
            |flag: &str, why: &str| Err(Failure::usage(format!("{flag} does not go with --kind {kind}: {why}")));
        if ttl.is_some_and(|ttl| ttl.as_millis() == 0) {
            return Err(Failure::usage("--ttl 0s makes a token that has expired already")
                .with_next("use a duration such as 1h"));
        }
        match kind {
            TokenKind::Outpost if name.is_some() => {
                refuse("--name", "an outpost names itself when it joins; --name-prefix restricts the name")
            }
            TokenKind::Outpost => Ok(()),
            TokenKind::Admin | TokenKind::Operator | TokenKind::Viewer if uses.is_some() => {
                refuse("--uses", "a person's token is valid for any number of calls until it expires; see --ttl")
            }
            TokenKind::Admin | TokenKind::Operator | TokenKind::Viewer if name_prefix.is_some() => {
                refuse("--name-prefix", "it restricts the names of outposts; name a person with --name")
            }
            TokenKind::Admin | TokenKind::Operator | TokenKind::Viewer => Ok(()),
        }
    }

    fn request(self) -> v1::CreateTokenRequest {
        let Self { kind, ttl, uses, name_prefix, name } = self;
        v1::CreateTokenRequest {
            kind: kind.to_string(),
            ttl_ms: ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            uses: uses.unwrap_or_default(),
            name_prefix: name_prefix.unwrap_or_default(),
            name: name.map(Into::into).unwrap_or_default(),
        }
    }
}

/// The id in what was typed, which may be the whole token; it is not shown when it is neither.
fn token_id(typed: &Hidden) -> Result<TokenId, Failure> {
    let Hidden(text) = typed;
    let of_token = || text.parse::<TokenText>().map(|token| token.id).ok();
    TokenId::new(text.as_str()).ok().or_else(of_token).ok_or_else(|| {
        Failure::usage("the argument is not a token's id, which has 8 hexadecimal digits")
            .with_next("see: sprintctl token list")
    })
}

/// Prints the token alone, so that `$(…)` holds it, and prints its purpose for a person.
fn created(app: &App, view: TokenView, text: String) -> Result<(), Failure> {
    match app.output.format {
        Format::Json => {
            let shown = TokenEntry { token: Some(text), ..TokenEntry::new(view, &app.output.layout) };
            app.output.one(&shown, |_, _| String::new())
        }
        Format::Table => {
            app.output.text(&text)?;
            // A token that is kept off the terminal must not appear there in a hint.
            let token = if std::io::stdout().is_terminal() { &text } else { "TOKEN" };
            progress(&hints(&view, &app.target.address, token, &app.output.layout));
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
