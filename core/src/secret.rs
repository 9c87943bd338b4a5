//! Secrets: texts that workers need and nobody else is to see. The record has them sealed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::ids::{OutpostName, RepoName};
use crate::job::{Job, Role};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// The fewest bytes of a secret: a shorter one cannot be told from other text, and so not be hidden.
pub const LEAST: usize = 8;
/// The most bytes of a secret.
pub const MOST: usize = 64 << 10;
const NAME_RULE: &str =
    "it is 1 to 64 of A-Z, a-z, 0-9 and '_', does not begin with a digit, and not with SPRINT_, as a variable is named";

fn valid_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with(|first: char| first.is_ascii_digit())
        // Those variables are Sprint's own.
        && !text.strip_prefix("SPRINT").is_some_and(|rest| rest.starts_with('_'))
}

const ID_RULE: &str = "it is a secret's name, with '@' and its scope where it has one";

fn valid_id(text: &str) -> bool {
    text.len() <= 512 && valid_name(text.split('@').next().unwrap_or_default())
}

crate::ids::name!(
    /// What a worker knows a secret by: its variable, or its file.
    SecretName, "a secret's name", valid_name, NAME_RULE
);
crate::ids::name!(
    /// A name within a scope.
    SecretId, "a secret", valid_id, ID_RULE
);

crate::words! {
    /// How a worker gets a secret.
    pub enum SecretForm as "form of a secret" {
        /// As a variable.
        Env => "env",
        /// As a file, whose path the variable holds.
        File => "file",
    }
}

/// Which workers may have a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub repo: Option<RepoName>,
    /// Without one: all but gates, which run what nobody has looked at yet.
    pub role: Option<Role>,
    pub outpost: Option<OutpostName>,
}

impl Scope {
    fn covers(&self, repo: &RepoName, job: &Job, outpost: &OutpostName) -> bool {
        let role = job.role();
        self.repo.as_ref().is_none_or(|wanted| wanted == repo)
            && self.role.map_or(role != Role::Gate, |wanted| wanted == role)
            && self.outpost.as_ref().is_none_or(|wanted| wanted == outpost)
    }

    /// How narrow it is: of two secrets with one name the narrower counts.
    fn rank(&self) -> (usize, bool, bool, bool) {
        let is_set = (self.outpost.is_some(), self.role.is_some(), self.repo.is_some());
        let count = [is_set.0, is_set.1, is_set.2].into_iter().filter(|set| *set).count();
        (count, is_set.0, is_set.1, is_set.2)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.repo.as_ref().map(|repo| format!("repo={repo}")),
            self.role.map(|role| format!("role={role}")),
            self.outpost.as_ref().map(|outpost| format!("outpost={outpost}")),
        ];
        f.pad(&parts.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

impl SecretId {
    pub fn of(name: &SecretName, scope: &Scope) -> Self {
        let scope = scope.to_string();
        Self(if scope.is_empty() { name.to_string() } else { format!("{name}@{scope}") })
    }
}

/// A secret on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub id: SecretId,
    pub name: SecretName,
    pub scope: Scope,
    pub form: SecretForm,
    /// The text, encrypted; base64.
    pub sealed: String,
    pub set_at: Timestamp,
    pub set_by: String,
    /// When a worker was given it last.
    pub used_at: Option<Timestamp>,
}

crate::noun!(Secret, "secret", "name");

impl EventKind {
    pub const SECRET_SET: Self = Self::new("secret_set");
    pub const SECRET_REMOVED: Self = Self::new("secret_removed");
    pub const SECRET_USED: Self = Self::new("secret_used");
}

/// The secrets that a worker is to have: of those with one name, the one with the narrowest scope.
pub fn for_worker(
    all: impl IntoIterator<Item = Secret>,
    repo: &RepoName,
    job: &Job,
    outpost: &OutpostName,
) -> Vec<Secret> {
    let mut found: Vec<Secret> = all.into_iter().filter(|secret| secret.scope.covers(repo, job, outpost)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name).then(b.scope.rank().cmp(&a.scope.rank())));
    found.dedup_by(|next, kept| next.name == kept.name);
    found
}

/// A secret's text on its way to a worker. No message shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretText {
    pub name: SecretName,
    pub form: SecretForm,
    pub text: String,
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretText({}, …)", self.name)
    }
}

/// A text as a secret is kept.
///
/// # Errors
/// Why it can be none.
pub fn admit(text: String, form: SecretForm) -> Result<String, Refusal> {
    let refused = |why: String| Err(Refusal::new(Code::SecretInvalid, why).field("text"));
    // What `echo` and editors add is no part of a variable.
    let text = match form {
        SecretForm::Env => {
            text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).to_owned()).unwrap_or(text)
        }
        SecretForm::File => text,
    };
    if text.contains('\0') {
        return refused(
            "the secret contains a NUL character, which no variable holds; encode it, such as by base64".to_owned(),
        );
    }
    if text.trim().len() < LEAST {
        return refused(format!(
            "the secret has {} bytes, and needs at least {LEAST}: a shorter one could not be kept out of logs without hiding other words",
            text.trim().len()
        ));
    }
    if text.len() > MOST {
        return refused(format!("the secret has {} bytes, and the most is {MOST}", text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::attempt_job;
    use crate::ids::TrialId;
    use crate::job::GateJob;

    fn secret(scope: Scope) -> Secret {
        let name = SecretName::new("API_KEY").expect("a name");
        Secret {
            id: SecretId::of(&name, &scope),
            name,
            scope,
            form: SecretForm::Env,
            sealed: String::new(),
            set_at: Timestamp::default(),
            set_by: "admin/local".to_owned(),
            used_at: None,
        }
    }

    #[test]
    fn the_narrowest_of_a_name_counts_and_gates_get_none_unasked() {
        let (repo, other) = (RepoName::new("web").expect("a name"), RepoName::new("api").expect("a name"));
        let outpost = OutpostName::new("local-1").expect("a name");
        let of_repo = Scope { repo: Some(repo.clone()), ..Scope::default() };
        let of_gate = Scope { role: Some(Role::Gate), ..Scope::default() };
        let all = [secret(Scope::default()), secret(of_repo.clone()), secret(of_gate.clone())];
        let found = |repo: &RepoName, job: &Job| -> Vec<Scope> {
            for_worker(all.clone(), repo, job, &outpost).into_iter().map(|secret| secret.scope).collect()
        };
        assert_eq!(found(&repo, &attempt_job(1)), [of_repo]);
        assert_eq!(found(&other, &attempt_job(1)), [Scope::default()]);
        let gate = Job::Gate(GateJob { trial: TrialId::new(1), gate: "test".to_owned() });
        assert_eq!(found(&repo, &gate), std::slice::from_ref(&of_gate));
        assert!(for_worker([secret(Scope::default())], &repo, &gate, &outpost).is_empty());
        assert_eq!(secret(of_gate).id.as_str(), "API_KEY@role=gate");
    }

    #[test]
    fn what_cannot_be_hidden_is_no_secret_and_a_last_line_end_is_no_part_of_a_variable() {
        assert_eq!(admit("12345678\r\n".to_owned(), SecretForm::Env).as_deref(), Ok("12345678"));
        assert_eq!(admit("12345678\n".to_owned(), SecretForm::File).as_deref(), Ok("12345678\n"));
        for text in ["", "short\n", "1234567", "with\0nul in it", &"x".repeat(MOST + 1)] {
            assert!(admit(text.to_owned(), SecretForm::Env).is_err(), "{text:?}");
        }
        for name in ["", "1A", "A-B", "SPRINT_X", "A B", &"A".repeat(65)] {
            assert!(SecretName::new(name).is_err(), "{name:?}");
        }
        let shown = SecretText {
            name: secret(Scope::default()).name,
            form: SecretForm::Env,
            text: "hunter2hunter2".to_owned(),
        };
        assert!(!format!("{shown:?}").contains("hunter2"));
    }
}
