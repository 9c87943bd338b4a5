use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::{Enrolment, NewSecret, NewToken};
use sprint_core::secret::{Scope, SecretName};
use sprint_core::time::Timestamp;
use sprint_core::token::TokenText;

use super::{above_zero, duration, not_empty, parsed, parsed_if_present};
use crate::v1;

impl TryFrom<v1::CreateTokenRequest> for NewToken {
    type Error = Refusal;

    fn try_from(request: v1::CreateTokenRequest) -> Result<Self, Refusal> {
        let v1::CreateTokenRequest { kind, ttl_ms, uses, name_prefix, name } = request;
        Ok(Self {
            kind: parsed("kind", &kind)?,
            ttl: duration(ttl_ms),
            uses: above_zero(uses),
            name_prefix,
            name: parsed_if_present("name", not_empty(name).as_deref())?,
        })
    }
}

impl TryFrom<v1::SetSecretRequest> for NewSecret {
    type Error = Refusal;

    fn try_from(request: v1::SetSecretRequest) -> Result<Self, Refusal> {
        let v1::SetSecretRequest { name, scope, form, text } = request;
        Ok(Self { name: parsed("name", &name)?, scope: scope_of(scope)?, form: parsed("form", &form)?, text })
    }
}

impl TryFrom<v1::RemoveSecretRequest> for (SecretName, Scope) {
    type Error = Refusal;

    fn try_from(request: v1::RemoveSecretRequest) -> Result<Self, Refusal> {
        let v1::RemoveSecretRequest { name, scope } = request;
        Ok((parsed("name", &name)?, scope_of(scope)?))
    }
}

fn scope_of(scope: Option<v1::SecretScope>) -> Result<Scope, Refusal> {
    let scope = Scope::try_from(scope.unwrap_or_default());
    scope.map_err(|why| Refusal::new(Code::RequestInvalid, why).field("scope"))
}

impl TryFrom<v1::EnrolRequest> for Enrolment {
    type Error = Refusal;

    fn try_from(request: v1::EnrolRequest) -> Result<Self, Refusal> {
        let v1::EnrolRequest { token, outpost, csr, now_ms } = request;
        let token = token.parse::<TokenText>();
        Ok(Self {
            token: token.map_err(|error| Refusal::new(Code::TokenMalformed, error).field("token"))?,
            outpost: parsed("outpost", &outpost)?,
            request: csr.to_vec(),
            now: Timestamp::from_millis(now_ms),
        })
    }
}
