use sprint_core::request::NewSecret;
use sprint_core::secret::{Scope, SecretName};
use sprint_proto::v1;
use tonic::{Request, Response, Status};

use super::caller;
use super::status::of;
use crate::face::Face;
use crate::service::admission::secrets;

#[tonic::async_trait]
impl v1::secrets_server::Secrets for Face {
    async fn set(&self, request: Request<v1::SetSecretRequest>) -> Result<Response<v1::Secret>, Status> {
        let by = caller(&request)?;
        let new = NewSecret::try_from(request.into_inner()).map_err(of)?;
        let secret = secrets::set(&self.sprint, new, by).await.map_err(of)?;
        Ok(Response::new(v1::Secret::of(secret, false)))
    }

    async fn list(&self, _: Request<v1::ListSecretsRequest>) -> Result<Response<v1::SecretList>, Status> {
        let found = secrets::list(&self.sprint).await.map_err(of)?;
        let secrets = found.into_iter().map(|(secret, is_lost)| v1::Secret::of(secret, is_lost)).collect();
        Ok(Response::new(v1::SecretList { secrets }))
    }

    async fn remove(&self, request: Request<v1::RemoveSecretRequest>) -> Result<Response<v1::Secret>, Status> {
        let by = caller(&request)?;
        let (name, scope) = <(SecretName, Scope)>::try_from(request.into_inner()).map_err(of)?;
        let secret = secrets::remove(&self.sprint, name, scope, by).await.map_err(of)?;
        Ok(Response::new(v1::Secret::of(secret, false)))
    }
}
