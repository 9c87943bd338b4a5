//! How reports name files.

/// A file's name from the root of the repository, if it is below it.
pub(crate) fn relative<'a>(root: &str, name: &'a str) -> &'a str {
    let name = name.strip_prefix("file://").unwrap_or(name);
    let below = name.strip_prefix(root).filter(|_| !root.is_empty()).and_then(|rest| rest.strip_prefix('/'));
    let name = below.unwrap_or(name);
    name.strip_prefix("./").unwrap_or(name)
}
