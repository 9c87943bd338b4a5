//! Who calls, and as what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{OutpostName, PersonName};

crate::words! {
    /// What a token lets its holder become.
    pub enum TokenKind as "token kind" {
        Outpost => "outpost",
        Admin => "admin",
        Operator => "operator",
        Viewer => "viewer",
    }
}

crate::words! {
    /// What a caller may be to a coordinator.
    pub enum CallerRole as "role" {
        /// May do everything, also let others in.
        Admin => "admin",
        /// Steers the work: items, workers, changes, queues.
        Operator => "operator",
        /// Looks, and changes nothing.
        Viewer => "viewer",
        /// A host that runs workers; sees and touches only what is leased to it.
        Outpost => "outpost",
        /// An agent at work; speaks with its outpost only.
        Worker => "worker",
    }
}

crate::words! {
    /// What a call may need; each face maps its routes to these.
    pub enum Permission as "permission" {
        /// To be answered at all; the use case itself checks what the caller shows.
        Enter => "enter",
        /// To learn as whom one is known.
        Identify => "identify",
        /// To look at everything that is no secret.
        View => "view",
        /// To steer the work.
        Steer => "steer",
        /// To decide who and what belongs here at all.
        Administer => "administer",
        /// To report, to receive orders, to deliver logs.
        Link => "link",
    }
}

/// Who has a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    Everyone,
    Roles(&'static [CallerRole]),
}

impl Permission {
    /// Who has it. A worker has none: it speaks with its outpost only.
    pub const fn holders(self) -> Holders {
        match self {
            Self::Enter => Holders::Everyone,
            Self::Identify => {
                Holders::Roles(&[CallerRole::Admin, CallerRole::Operator, CallerRole::Viewer, CallerRole::Outpost])
            }
            Self::View => Holders::Roles(&[CallerRole::Admin, CallerRole::Operator, CallerRole::Viewer]),
            Self::Steer => Holders::Roles(&[CallerRole::Admin, CallerRole::Operator]),
            Self::Administer => Holders::Roles(&[CallerRole::Admin]),
            Self::Link => Holders::Roles(&[CallerRole::Outpost]),
        }
    }
}

crate::words! {
    /// What a person may be: the roles that an access token can carry.
    pub enum PersonRole as "role of a person" {
        Admin => "admin",
        Operator => "operator",
        Viewer => "viewer",
    }
}

impl From<PersonRole> for CallerRole {
    fn from(role: PersonRole) -> Self {
        match role {
            PersonRole::Admin => Self::Admin,
            PersonRole::Operator => Self::Operator,
            PersonRole::Viewer => Self::Viewer,
        }
    }
}

/// Who somebody has proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Identity {
    Person {
        role: PersonRole,
        name: PersonName,
    },
    Outpost(OutpostName),
    /// Nobody that is known.
    Stranger,
}

impl Identity {
    /// What it may be called as; a stranger has no role.
    pub fn role(&self) -> Option<CallerRole> {
        match self {
            Self::Person { role, name: _ } => Some((*role).into()),
            Self::Outpost(_) => Some(CallerRole::Outpost),
            Self::Stranger => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { role, name } => write!(f, "{role}/{name}"),
            Self::Outpost(name) => write!(f, "outpost/{name}"),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

/// Somebody who calls, and the address that the call comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    pub identity: Identity,
    pub from: String,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}
