//! Who may call a scripted coordinator, and its `Identity` service.

use sprint_identity::pki_types::CertificateDer;
use sprint_proto::v1;
use sprint_proto::v1::identity_server::Identity;
use tonic::{Request, Response, Status};

use crate::scripted::{Answer, Scripted};

/// What a call showed of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) authorization: Option<String>,
    pub(crate) with_certificate: bool,
}

impl Scripted {
    /// Notes how a call is made, and refuses it if the script says so.
    pub(crate) fn admit(&self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization");
        let authorization = header.map(|value| value.to_str().expect("is text").to_owned());
        let certificate = request.extensions().get::<Option<CertificateDer<'static>>>();
        let with_certificate = certificate.expect("every connection says it").is_some();
        self.with(|script| {
            script.seen.push(Seen { authorization, with_certificate });
            script.refuse.clone().map_or(Ok(request), Err)
        })
    }
}

fn token(request: &v1::CreateTokenRequest) -> v1::Token {
    v1::Token {
        id: "1a2b3c4d".to_owned(),
        kind: request.kind.clone(),
        name: request.name.clone(),
        uses: request.uses,
        name_prefix: request.name_prefix.clone(),
        created_by: "admin/me".to_owned(),
        // The year 2100.
        expires_at_ms: 4_102_444_800_000,
        proof: "secret".to_owned(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl Identity for Scripted {
    async fn enrol(&self, _: Request<v1::EnrolRequest>) -> Answer<v1::Certificate> {
        Err(Status::unimplemented(""))
    }

    async fn who_am_i(&self, _: Request<v1::WhoAmIRequest>) -> Answer<v1::WhoAmIResponse> {
        let answer = |text: &str| text.to_owned();
        Ok(Response::new(v1::WhoAmIResponse {
            identity: answer("operator/ann"),
            role: answer("operator"),
            from: answer("10.0.0.4:5120"),
            version: answer("0.1.0"),
        }))
    }

    async fn create_token(&self, request: Request<v1::CreateTokenRequest>) -> Answer<v1::CreateTokenResponse> {
        let request = request.into_inner();
        let token = token(&request);
        let text = self.with(|script| {
            script.created.push(request);
            script.token.clone()
        });
        Ok(Response::new(v1::CreateTokenResponse { token: Some(token), text }))
    }

    async fn list_tokens(&self, request: Request<v1::ListTokensRequest>) -> Answer<v1::TokenList> {
        let kind = if request.into_inner().all { "admin" } else { "viewer" };
        let request = v1::CreateTokenRequest { kind: kind.to_owned(), name: "ann".to_owned(), ..Default::default() };
        Ok(Response::new(v1::TokenList { tokens: vec![token(&request)] }))
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Answer<v1::Token> {
        let made = v1::CreateTokenRequest { kind: "outpost".to_owned(), uses: 1, ..Default::default() };
        Ok(Response::new(v1::Token { id: request.into_inner().id, revoked_at_ms: Some(1), ..token(&made) }))
    }
}
