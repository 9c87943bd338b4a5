use sprint_core::refusal::Code;
use sprint_core::request::{Enrolment, NewToken};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::status::{malformed, of, plain};
use super::{caller, caller_of};
use crate::face::Face;
use crate::service::admission::enrol;
use crate::service::admission::enrol::Enrolled;
use crate::service::admission::tokens;

pub(super) fn certificate(enrolled: Enrolled) -> v1::Certificate {
    let Enrolled { issued, trust_pem } = enrolled;
    v1::Certificate { chain_pem: issued.chain_pem, trust_pem, expires_at_ms: issued.expires_at.as_millis() }
}

#[tonic::async_trait]
impl v1::identity_server::Identity for Face {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::Certificate>, Status> {
        let from = caller_of(&request)?.from.clone();
        let address = from.rsplit_once(':').map_or("", |(host, _)| host).to_owned();
        let attempts = &self.sprint.enrolment_attempts;
        let result = if attempts.are_exhausted(&address) {
            let why = "too many failed tries to join came from this address; wait a minute";
            Err(plain(Code::LimitExceeded, why))
        } else {
            match Enrolment::try_from(request.into_inner()) {
                Ok(enrolment) => enrol::enrol(&self.sprint, enrolment, from).await.map_err(of),
                Err(refusal) => Err(of(refusal)),
            }
        };
        match result {
            Ok(enrolled) => Ok(Response::new(certificate(enrolled))),
            Err(status) => {
                attempts.failed(&address);
                Err(status)
            }
        }
    }

    async fn who_am_i(&self, request: Request<v1::WhoAmIRequest>) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(v1::WhoAmIResponse {
            identity: caller.to_string(),
            role: caller.identity.role().map(|role| role.to_string()).unwrap_or_default(),
            from: caller.from.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let by = caller(&request)?;
        let new = NewToken::try_from(request.into_inner()).map_err(of)?;
        let (token, text) = tokens::create(&self.sprint, new, by).await.map_err(of)?;
        Ok(Response::new(v1::CreateTokenResponse { token: Some(token.into()), text: text.reveal() }))
    }

    async fn list_tokens(&self, request: Request<v1::ListTokensRequest>) -> Result<Response<v1::TokenList>, Status> {
        let tokens = tokens::list(&self.sprint, request.into_inner().all).await.map_err(of)?;
        Ok(Response::new(v1::TokenList { tokens: tokens.into_iter().map(Into::into).collect() }))
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Result<Response<v1::Token>, Status> {
        let by = caller(&request)?;
        let id = request.into_inner().id.parse().map_err(malformed)?;
        Ok(Response::new(tokens::revoke(&self.sprint, id, by).await.map_err(of)?.into()))
    }
}
