//! Settings of git as text: what `git config --list -z` prints, and the variables by which git takes some.

/// The settings whose keys begin with one of `starts`, as they are listed: each a key, and after a line break its value.
/// A key alone is true.
pub fn among(listed: &str, starts: &[&str]) -> Vec<(String, String)> {
    let entries = listed.split('\0').map(|entry| entry.split_once('\n').unwrap_or((entry, "true")));
    let counts = |key: &str| starts.iter().any(|start| key.starts_with(start));
    entries.filter(|(key, _)| counts(key)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The variables that set them for one run of git.
pub fn variables(settings: &[(String, String)]) -> Vec<(String, String)> {
    let mut variables = vec![("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string())];
    for (number, (key, value)) in settings.iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{number}"), key.clone()));
        variables.push((format!("GIT_CONFIG_VALUE_{number}"), value.clone()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_settings_are_chosen_and_become_variables() {
        let listed = "user.name\nAnn\0url.ssh://x/.insteadof\nhttps://x/\0credential.helper\0http.x.proxy\na\nb\0";
        let found = among(listed, &["url.", "credential.", "http."]);
        let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let expected =
            [("url.ssh://x/.insteadof", "https://x/"), ("credential.helper", "true"), ("http.x.proxy", "a\nb")];
        assert_eq!(found, text(&expected));
        let expected =
            [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "http.x.proxy"), ("GIT_CONFIG_VALUE_0", "a\nb")];
        assert_eq!(variables(&found[2..]), text(&expected));
        assert_eq!(among("", &["url."]), vec![]);
        assert_eq!(variables(&[]), text(&[("GIT_CONFIG_COUNT", "0")]));
    }
}
