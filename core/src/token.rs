//! Tokens: they admit an outpost, or authenticate a person.
//!
//! An outpost exchanges its token for a certificate when it joins; the token counts its uses. A person sends a
//! token with each call until it expires or is revoked.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::PersonRole;
pub use crate::access::TokenKind;
use crate::act::Act;
use crate::event::EventKind;
use crate::ids::{Fingerprint, KeyId, OutpostName, PersonName, SHA256_RULE, hexadecimal, valid_sha256};
use crate::refusal::Code;
use crate::time::Timestamp;

/// The variable from which an outpost reads the token that admits it.
pub const OUTPOST_VARIABLE: &str = "SPRINT_OUTPOST_TOKEN";

/// How far an outpost's clock may be off: certificates are valid from so long before they are made.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// The access that a token grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "grants", rename_all = "snake_case")]
pub enum Grant {
    /// Joining as an outpost.
    Join {
        /// How many outposts may join with it.
        uses: u32,
        used: u32,
        /// The prefix that their names must have.
        name_prefix: String,
    },
    /// Calling as a person.
    Access { role: PersonRole, name: PersonName },
}

/// What its holder must show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The text whose hash this is.
    Secret(SecretHash),
    /// A certificate for this key.
    Key(KeyId),
}

const TOKEN_ID_RULE: &str = "it is 8 hexadecimal digits, as \"token list\" prints them";

fn valid_token_id(text: &str) -> bool {
    text.len() == 8 && hexadecimal(text)
}

crate::ids::name!(
    /// A token's public part.
    TokenId, "a token id", valid_token_id, TOKEN_ID_RULE
);
crate::ids::name!(
    /// The SHA-256 of a token's secret.
    SecretHash, "a secret's hash", valid_sha256, SHA256_RULE
);

/// A token as the coordinator stores it: its kind and its limits, never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub proof: Proof,
    pub grant: Grant,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    pub revoked_at: Option<Timestamp>,
}

crate::noun!(Token, "token", "id", "List the tokens and use an id from the list.");

impl EventKind {
    pub const TOKEN_CREATED: Self = Self::new("token_created");
    pub const TOKEN_USED: Self = Self::new("token_used");
    pub const TOKEN_REVOKED: Self = Self::new("token_revoked");
}

/// Why a token does not admit its holder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenRefused {
    #[error("the token is not known here; another coordinator may have made it")]
    Unknown { kind: TokenKind },
    #[error("the token {id} was revoked at {at}; ask an admin for a new one of kind {kind}")]
    Revoked { id: TokenId, kind: TokenKind, at: Timestamp },
    #[error("the token {id} expired at {at}; ask an admin for a new one of kind {kind}")]
    Expired { id: TokenId, kind: TokenKind, at: Timestamp },
    #[error("the token {id} is used up: {uses} joined with it; ask an admin for a new one of kind outpost")]
    UsedUp { id: TokenId, uses: u32 },
    #[error("the token {id} is of kind {kind}; people log in with it, and an outpost needs one of kind outpost")]
    ForPeople { id: TokenId, kind: TokenKind },
    #[error(
        "the token {id} is of kind outpost; outposts join with it, and a person needs one of kind admin, operator or viewer"
    )]
    ForOutposts { id: TokenId },
    #[error("the token {id} admits outposts whose names begin with \"{prefix}\", and \"{name}\" does not")]
    WrongName { id: TokenId, prefix: String, name: OutpostName },
}

impl TokenRefused {
    /// The code of the refusal.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } => Code::TokenUnknown,
            Self::Revoked { .. } => Code::TokenRevoked,
            Self::Expired { .. } => Code::TokenExpired,
            Self::UsedUp { .. } => Code::TokenUsedUp,
            Self::ForPeople { .. } | Self::ForOutposts { .. } => Code::TokenWrongKind,
            Self::WrongName { .. } => Code::TokenWrongName,
        }
    }

    /// The act that would help.
    pub const fn next(&self) -> Option<Act> {
        match self {
            Self::Unknown { kind } | Self::Revoked { kind, .. } | Self::Expired { kind, .. } => {
                Some(Act::CreateToken(*kind))
            }
            Self::UsedUp { .. } | Self::ForPeople { .. } => Some(Act::CreateToken(TokenKind::Outpost)),
            Self::ForOutposts { .. } => Some(Act::CreateToken(TokenKind::Operator)),
            Self::WrongName { .. } => None,
        }
    }
}

impl Token {
    pub const fn kind(&self) -> TokenKind {
        match &self.grant {
            Grant::Join { .. } => TokenKind::Outpost,
            Grant::Access { role: PersonRole::Admin, .. } => TokenKind::Admin,
            Grant::Access { role: PersonRole::Operator, .. } => TokenKind::Operator,
            Grant::Access { role: PersonRole::Viewer, .. } => TokenKind::Viewer,
        }
    }

    /// Whether it counts at all at `now`.
    ///
    /// # Errors
    /// [`TokenRefused::Revoked`] or [`TokenRefused::Expired`].
    pub fn check(&self, now: Timestamp) -> Result<(), TokenRefused> {
        let (id, kind) = (self.id.clone(), self.kind());
        match self.revoked_at {
            Some(at) => Err(TokenRefused::Revoked { id, kind, at }),
            None if self.expires_at <= now => Err(TokenRefused::Expired { id, kind, at: self.expires_at }),
            None => Ok(()),
        }
    }

    /// Spends one use on an outpost's joining.
    ///
    /// # Errors
    /// [`TokenRefused`]; `self` is unchanged.
    pub fn spend(&mut self, outpost: &OutpostName, now: Timestamp) -> Result<(), TokenRefused> {
        self.check(now)?;
        let id = self.id.clone();
        match &mut self.grant {
            Grant::Access { .. } => Err(self.not_for_outposts()),
            Grant::Join { uses, used, name_prefix } => {
                if !outpost.as_str().starts_with(name_prefix.as_str()) {
                    return Err(TokenRefused::WrongName { id, prefix: name_prefix.clone(), name: outpost.clone() });
                }
                if used >= uses {
                    return Err(TokenRefused::UsedUp { id, uses: *uses });
                }
                *used += 1;
                Ok(())
            }
        }
    }

    /// Lets an outpost that joined with it ask once more for what it was answered.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn again(&self, now: Timestamp) -> Result<(), TokenRefused> {
        self.check(now)?;
        match self.grant {
            Grant::Join { .. } => Ok(()),
            Grant::Access { .. } => Err(self.not_for_outposts()),
        }
    }

    fn not_for_outposts(&self) -> TokenRefused {
        TokenRefused::ForPeople { id: self.id.clone(), kind: self.kind() }
    }

    /// The person that it stands for.
    ///
    /// # Errors
    /// [`TokenRefused`], also when it is for outposts.
    pub fn person(&self, now: Timestamp) -> Result<(PersonRole, &PersonName), TokenRefused> {
        self.check(now)?;
        match &self.grant {
            Grant::Access { role, name } => Ok((*role, name)),
            Grant::Join { .. } => Err(TokenRefused::ForOutposts { id: self.id.clone() }),
        }
    }
}

/// A text that is no token, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidToken {
    #[error("this is not a token: a token begins with \"sprint1_\"; copy the whole line that \"token create\" printed")]
    NoToken,
    #[error("the token is incomplete or changed; copy the whole line that \"token create\" printed")]
    Damaged,
}

/// A token as its holder has it: `sprint1_ID_SECRET_FINGERPRINT`. Its secret is never shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText {
    pub id: TokenId,
    secret: String,
    /// Of the coordinator's certificate authority: who the holder may show the secret to.
    pub authority: Fingerprint,
}

/// The hexadecimal digits of a secret: 160 bits, too many to guess.
pub const SECRET_DIGITS: usize = 40;

impl TokenText {
    /// # Errors
    /// [`InvalidToken::Damaged`] when `secret` is not what a secret is.
    pub fn new(id: TokenId, secret: String, authority: Fingerprint) -> Result<Self, InvalidToken> {
        let hexadecimal = secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if secret.len() != SECRET_DIGITS || !hexadecimal {
            return Err(InvalidToken::Damaged);
        }
        Ok(Self { id, secret, authority })
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole text, with the secret: for its holder's eyes only.
    pub fn reveal(&self) -> String {
        format!("sprint1_{}_{}_{}", self.id, self.secret, self.authority)
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({}, …)", self.id)
    }
}

impl FromStr for TokenText {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let rest = text.trim().strip_prefix("sprint1_").ok_or(InvalidToken::NoToken)?;
        let mut parts = rest.split('_');
        let mut part = || parts.next().ok_or(InvalidToken::Damaged);
        let (id, secret, authority) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(InvalidToken::Damaged);
        }
        let id = TokenId::new(id).map_err(|_| InvalidToken::Damaged)?;
        let authority = Fingerprint::new(authority).map_err(|_| InvalidToken::Damaged)?;
        Self::new(id, secret.to_owned(), authority)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
