//! Secrets, as people read them: never their texts.

use sprint_core::view::SecretView;

use crate::render::{Cell, Column, Layout, ago, table};

pub(crate) fn list(secrets: &[SecretView], layout: &Layout) -> String {
    let columns = [
        Column::word("NAME"),
        Column::word("AS"),
        Column::word("SCOPE"),
        Column::word("SET"),
        Column::word("USED"),
        Column::text("BY"),
        Column::text("STATE"),
    ];
    let rows = secrets.iter().map(|secret| {
        let scope = secret.scope.to_string();
        vec![
            Cell::new(&secret.name),
            Cell::new(secret.form),
            Cell::new(if scope.is_empty() { "all but gates".to_owned() } else { scope }),
            Cell::new(ago(layout, secret.set_at)),
            Cell::new(secret.used_at.map_or_else(|| "never".to_owned(), |at| ago(layout, at))),
            Cell::new(&secret.set_by),
            Cell::new(if secret.is_lost { "its key is gone: set it again" } else { "" }),
        ]
    });
    table(layout, &columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use sprint_core::ids::RepoName;
    use sprint_core::job::Role;
    use sprint_core::secret::{Scope, SecretForm, SecretName};
    use sprint_core::time::Timestamp;

    use super::*;

    #[test]
    fn secrets_show_for_whom_they_are_and_whether_they_can_be_opened() {
        let at = |seconds: i64| Timestamp::from_millis(1_763_700_000_000 + seconds * 1_000);
        let plain = SecretView {
            name: SecretName::new("API_KEY").expect("a name"),
            scope: Scope::default(),
            form: SecretForm::Env,
            set_at: at(0),
            set_by: "admin/local".to_owned(),
            used_at: None,
            is_lost: false,
        };
        let repo = Some(RepoName::new("web").expect("a name"));
        let scope = Scope { repo, role: Some(Role::Gate), outpost: None };
        let scoped =
            SecretView { scope, form: SecretForm::File, used_at: Some(at(60)), is_lost: true, ..plain.clone() };
        let layout = Layout { width: Some(120), colour: false, now: at(600) };
        insta::assert_snapshot!(list(&[plain, scoped], &layout));
    }
}
