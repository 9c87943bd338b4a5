use sprint_core::time::Timestamp;
use sprint_core::token::{Grant, Proof, Token};
use sprint_core::view::TokenView;

use super::{Malformed, time, time_ms};
use crate::v1;

impl From<Token> for v1::Token {
    fn from(token: Token) -> Self {
        let kind = token.kind().to_string();
        let Token { id, proof, grant, expires_at, created_at, created_by, revoked_at } = token;
        let plain = Self {
            id: id.into(),
            kind,
            name: String::new(),
            uses: 0,
            used: 0,
            name_prefix: String::new(),
            created_at_ms: created_at.as_millis(),
            created_by,
            expires_at_ms: expires_at.as_millis(),
            revoked_at_ms: time_ms(revoked_at),
            proof: match proof {
                Proof::Secret(_) => "secret".to_owned(),
                Proof::Key(_) => "certificate".to_owned(),
            },
        };
        match grant {
            Grant::Join { uses, used, name_prefix } => Self { uses, used, name_prefix, ..plain },
            Grant::Access { role: _, name } => Self { name: name.into(), ..plain },
        }
    }
}

/// Only inward to what people see: a token's proof never travels.
impl TryFrom<v1::Token> for TokenView {
    type Error = Malformed;

    fn try_from(token: v1::Token) -> Result<Self, Malformed> {
        let v1::Token {
            id,
            kind,
            name,
            uses,
            used,
            name_prefix,
            created_at_ms,
            created_by,
            expires_at_ms,
            revoked_at_ms,
            proof,
        } = token;
        Ok(Self {
            id: id.parse()?,
            kind: kind.parse()?,
            name,
            uses,
            used,
            name_prefix,
            created_at: Timestamp::from_millis(created_at_ms),
            created_by,
            expires_at: Timestamp::from_millis(expires_at_ms),
            revoked_at: time(revoked_at_ms),
            proof,
        })
    }
}
