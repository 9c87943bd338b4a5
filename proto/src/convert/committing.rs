use sprint_core::committing::{Committing, CommittingPatch, GitIdentity};
use sprint_core::refusal::Refusal;

use super::Malformed;
use super::request::parsed;
use crate::v1;

impl From<Committing> for v1::Committing {
    fn from(committing: Committing) -> Self {
        let Committing { author, committer, sign_off, sign } = committing;
        let text = |identity: Option<GitIdentity>| identity.map(|identity| identity.to_string());
        Self { author: text(author), committer: text(committer), sign_off, sign }
    }
}

impl TryFrom<v1::Committing> for Committing {
    type Error = Malformed;

    fn try_from(committing: v1::Committing) -> Result<Self, Malformed> {
        let v1::Committing { author, committer, sign_off, sign } = committing;
        let identity = |text: Option<String>| text.map(|text| text.parse::<GitIdentity>()).transpose();
        Ok(Self { author: identity(author)?, committer: identity(committer)?, sign_off, sign })
    }
}

impl TryFrom<v1::CommittingPatch> for CommittingPatch {
    type Error = Refusal;

    fn try_from(patch: v1::CommittingPatch) -> Result<Self, Refusal> {
        let v1::CommittingPatch { author, committer, sign_off, sign } = patch;
        let identity = |field: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(Some(None)),
            Some(text) => parsed::<GitIdentity>(field, &text).map(|identity| Some(Some(identity))),
        };
        Ok(Self {
            author: identity("author", author)?,
            committer: identity("committer", committer)?,
            sign_off,
            sign: sign.map(|path| Some(path).filter(|path| !path.is_empty())),
        })
    }
}
