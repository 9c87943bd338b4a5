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
    pub enum Role as "role" {
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
    /// What a person may be: the roles that an access token can carry.
    pub enum PersonRole as "role of a person" {
        Admin => "admin",
        Operator => "operator",
        Viewer => "viewer",
    }
}

impl From<PersonRole> for Role {
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
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Person { role, name: _ } => Some((*role).into()),
            Self::Outpost(_) => Some(Role::Outpost),
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
