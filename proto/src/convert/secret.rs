use sprint_core::secret::{Scope, Secret, SecretText};
use sprint_core::time::Timestamp;
use sprint_core::view::SecretView;

use super::{Malformed, time, time_ms};
use crate::v1;

impl From<Scope> for v1::SecretScope {
    fn from(scope: Scope) -> Self {
        let Scope { repo, role, outpost } = scope;
        Self { repo: repo.map(Into::into), role: role.map(|role| role.to_string()), outpost: outpost.map(Into::into) }
    }
}

impl TryFrom<v1::SecretScope> for Scope {
    type Error = Malformed;

    fn try_from(scope: v1::SecretScope) -> Result<Self, Malformed> {
        let v1::SecretScope { repo, role, outpost } = scope;
        Ok(Self {
            repo: repo.map(TryInto::try_into).transpose()?,
            role: role.map(|role| role.parse()).transpose()?,
            outpost: outpost.map(TryInto::try_into).transpose()?,
        })
    }
}

/// What people see: without the text, sealed or not.
impl v1::Secret {
    pub fn of(secret: Secret, is_lost: bool) -> Self {
        let Secret { id: _, name, scope, form, sealed: _, set_at, set_by, used_at } = secret;
        Self {
            name: name.into(),
            scope: Some(scope.into()),
            form: form.to_string(),
            set_at_ms: set_at.as_millis(),
            set_by,
            used_at_ms: time_ms(used_at),
            is_lost,
        }
    }
}

impl TryFrom<v1::Secret> for SecretView {
    type Error = Malformed;

    fn try_from(secret: v1::Secret) -> Result<Self, Malformed> {
        let v1::Secret { name, scope, form, set_at_ms, set_by, used_at_ms, is_lost } = secret;
        Ok(Self {
            name: name.parse()?,
            scope: scope.unwrap_or_default().try_into()?,
            form: form.parse()?,
            set_at: Timestamp::from_millis(set_at_ms),
            set_by,
            used_at: time(used_at_ms),
            is_lost,
        })
    }
}

impl From<SecretText> for v1::SecretText {
    fn from(secret: SecretText) -> Self {
        let SecretText { name, form, text } = secret;
        Self { name: name.into(), form: form.to_string(), text }
    }
}

impl TryFrom<v1::SecretText> for SecretText {
    type Error = Malformed;

    fn try_from(secret: v1::SecretText) -> Result<Self, Malformed> {
        let v1::SecretText { name, form, text } = secret;
        Ok(Self { name: name.parse()?, form: form.parse()?, text })
    }
}
