//! `.gitmodules`: git reads the file; here is read what git prints of it.

use std::collections::HashMap;

use crate::inner_path::InnerPath;

/// The file at the root of a repository that says where its submodules come from.
pub const FILE: &str = ".gitmodules";

/// The keys of it that count, as git takes a regular expression.
pub const KEYS: &str = r"^submodule\..*\.(path|url)$";

/// What it says of a submodule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubmoduleEntry {
    pub name: String,
    pub path: String,
    pub url: Option<String>,
}

impl SubmoduleEntry {
    /// Whether its name and its path stay where they are put, and are none of git's own.
    pub fn is_plain(&self) -> bool {
        is_plain(&self.path) && is_plain(&self.name)
    }
}

fn is_plain(name: &str) -> bool {
    InnerPath::new(name.as_bytes()).is_ok() && !name.chars().any(char::is_control)
}

/// The submodules in what git prints of these keys, each ended by a NUL; in the order of the file, and none without a
/// path.
pub fn entries(listed: &str) -> Vec<SubmoduleEntry> {
    let mut found: Vec<SubmoduleEntry> = vec![];
    let mut places: HashMap<&str, usize> = HashMap::new();
    for line in listed.split('\0') {
        let Some((key, value)) = line.split_once('\n') else { continue };
        let Some((name, field)) = key.strip_prefix("submodule.").and_then(|key| key.rsplit_once('.')) else { continue };
        let at = *places.entry(name).or_insert_with(|| {
            found.push(SubmoduleEntry { name: name.to_owned(), ..SubmoduleEntry::default() });
            found.len() - 1
        });
        match field {
            "path" => value.trim_end_matches('/').clone_into(&mut found[at].path),
            _ => found[at].url = Some(value.to_owned()),
        }
    }
    found.retain(|entry| !entry.path.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_told_from_others() {
        for good in ["lib", "vendor/lib.x", "a b", ".gitx", "é"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/../../x", "/etc", ".git", ".GIT/hooks", "a/.git/x", "a\nb", "./a/.."] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn entries_are_read_whatever_they_are_called() {
        let listed =
            "submodule.a.b.path\nlib/a/\0submodule.a.b.url\n../a.git\0submodule.c.path\nc\0submodule.d.url\nx\0";
        let entry = |name: &str, path: &str, url: Option<&str>| SubmoduleEntry {
            name: name.to_owned(),
            path: path.to_owned(),
            url: url.map(str::to_owned),
        };
        assert_eq!(entries(listed), [entry("a.b", "lib/a", Some("../a.git")), entry("c", "c", None)]);
    }
}
