//! Callers, their roles and their permissions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{OutpostName, PersonName};

crate::words! {
    /// The kind of a token: the role of its holder.
    pub enum TokenKind as "token kind" {
        Outpost => "outpost",
        Admin => "admin",
        Operator => "operator",
        Viewer => "viewer",
    }
}

crate::words! {
    /// The role of a caller.
    pub enum CallerRole as "role" {
        /// May do everything, including the admission of others.
        Admin => "admin",
        /// Steers the work: items, workers, changes, queues.
        Operator => "operator",
        /// Reads, and changes nothing.
        Viewer => "viewer",
        /// A host that runs workers; sees and touches only what is leased to it.
        Outpost => "outpost",
        /// An agent at work; talks to its outpost only.
        Worker => "worker",
    }
}

crate::words! {
    /// A permission; each face maps its routes to these.
    pub enum Permission as "permission" {
        /// To be answered at all; the use case itself checks what the caller shows.
        Enter => "enter",
        /// To learn as whom one is known.
        Identify => "identify",
        /// To read everything that is not secret.
        View => "view",
        /// To steer the work.
        Steer => "steer",
        /// To decide who and what belongs here at all.
        Administer => "administer",
        /// To report, to receive orders, to deliver logs.
        Link => "link",
    }
}

/// The roles that have a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    Everyone,
    Roles(&'static [CallerRole]),
}

impl Permission {
    /// The roles that have it. A worker has none: it talks to its outpost only.
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

/// The proven identity of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Identity {
    Person {
        role: PersonRole,
        name: PersonName,
    },
    Outpost(OutpostName),
    /// A caller without valid credentials.
    Stranger,
}

impl Identity {
    /// Its role; a stranger has none.
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

/// A caller, and the address that the call comes from.
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
