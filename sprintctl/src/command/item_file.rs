//! Items as JSON Lines: one item on each line of a file.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use sprint_core::ids::RepoName;
use sprint_core::item::{ItemKind, MAX_ITEM_BYTES, Priority, StageName};
use sprint_proto::{MAX_MESSAGE_BYTES, v1};
use thiserror::Error;

use crate::failure::{Failure, Place};

/// Why a file of items was not sent; nothing of it was added.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidFile {
    #[error("{why}; nothing was added")]
    Line { line: usize, why: String },
    #[error("the file holds no item; nothing was added")]
    Empty,
    #[error("the file has {0} bytes, more than the {MAX_MESSAGE_BYTES} that one request can add; nothing was added")]
    TooLarge(usize),
}

impl InvalidFile {
    /// The failure of adding the file at `path`.
    pub(crate) fn into_failure(self, path: &Path) -> Failure {
        let failure = |next: &str| Failure::new("client.invalid_file", self.to_string()).with_next(next);
        let file = || Some(Place::File(path.display().to_string()));
        match &self {
            Self::Line { line, why: _ } => {
                failure("correct the line and add the file again").at(Some(Place::Line(*line as u64)))
            }
            Self::Empty => {
                failure(r#"write one JSON object on each line, such as {"title":"…","repo":"…"}"#).at(file())
            }
            Self::TooLarge(_) => failure("split the file").at(file()),
        }
    }
}

/// The items of a file, and the line of each.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) items: Vec<v1::NewItem>,
    pub(crate) lines: Vec<usize>,
}

/// One line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Option<String>,
    repo: Option<RepoName>,
    kind: Option<ItemKind>,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    acceptance: Vec<String>,
    priority: Option<Priority>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    requires: BTreeMap<String, String>,
    parent: Option<Reference>,
    #[serde(default)]
    needs: Vec<Reference>,
    run: Option<String>,
    stage: Option<StageName>,
}

/// The number of an item, or the key of one in the same file.
#[derive(Debug)]
struct Reference(String);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrKey;

        impl Visitor<'_> for NumberOrKey {
            type Value = Reference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item's number or the key of an item in this file")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Reference, E> {
                Ok(Reference(number.to_string()))
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Reference, E> {
                if key.is_empty() {
                    return Err(E::custom("a key is empty"));
                }
                Ok(Reference(key.to_owned()))
            }
        }

        deserializer.deserialize_any(NumberOrKey).map_err(D::Error::custom)
    }
}

/// Reads a file of items; `repo` is for the lines that name none.
///
/// # Errors
/// [`InvalidFile`] for the first line that is not an item.
pub(crate) fn parse(file: &[u8], repo: Option<&RepoName>) -> Result<Batch, InvalidFile> {
    if file.len() > MAX_MESSAGE_BYTES {
        return Err(InvalidFile::TooLarge(file.len()));
    }
    let mut batch = Batch { items: vec![], lines: vec![] };
    let mut keys = HashSet::new();
    for (index, text) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let item = parse_line(text, repo).map_err(|why| InvalidFile::Line { line, why })?;
        if !item.key.is_empty() && !keys.insert(item.key.clone()) {
            let why = format!("the key \"{}\" stands on an earlier line already", item.key);
            return Err(InvalidFile::Line { line, why });
        }
        batch.items.push(item);
        batch.lines.push(line);
    }
    if batch.items.is_empty() { Err(InvalidFile::Empty) } else { Ok(batch) }
}

fn parse_line(text: &[u8], default_repo: Option<&RepoName>) -> Result<v1::NewItem, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    // A list of the values alone would be taken as well.
    if !text.trim_start().starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let Line { key, repo, kind, title, description, acceptance, priority, labels, requires, parent, needs, run, stage } =
        serde_json::from_str(text).map_err(|error| said(&error))?;
    if title.trim().is_empty() {
        return Err("its title is empty".to_owned());
    }
    let repo = repo.as_ref().or(default_repo).ok_or("it names no repo; add \"repo\" to it, or use --repo")?;
    let item = v1::NewItem {
        key: key.unwrap_or_default(),
        repo: repo.to_string(),
        kind: kind.unwrap_or(ItemKind::Task).to_string(),
        title,
        description,
        acceptance,
        priority: priority.unwrap_or(Priority::Medium).to_string(),
        labels,
        requires: requires.into_iter().collect(),
        parent: parent.map(|Reference(parent)| parent),
        needs: needs.into_iter().map(|Reference(need)| need).collect(),
        run,
        stage: stage.unwrap_or(StageName::Ready).to_string(),
    };
    check_size(&item)?;
    Ok(item)
}

/// Refuses an item that is too large, with its size.
pub(crate) fn check_size(item: &v1::NewItem) -> Result<(), String> {
    let all = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let size = item.title.len()
        + item.description.len()
        + item.run.as_ref().map_or(0, String::len)
        + all(&item.acceptance)
        + all(&item.labels)
        + item.requires.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    if size > MAX_ITEM_BYTES {
        return Err(format!(
            "the item has {size} bytes of text, more than the {MAX_ITEM_BYTES} that one may have; put long texts into the repo and name their path"
        ));
    }
    Ok(())
}

/// A JSON error with its column; each line is a document of its own, so that its line says nothing.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} at column {}", error.column()),
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}

impl Batch {
    /// Names the line of the file in a refusal by the coordinator, which counts items.
    pub(crate) fn at_line(&self, failure: Failure) -> Failure {
        let item = match (&failure.at, self.lines.as_slice()) {
            (Some(Place::Line(item)), _) => usize::try_from(*item).ok(),
            (None | Some(Place::Field(_)), [_]) => Some(1),
            (None | Some(Place::Field(_) | Place::File(_)), _) => None,
        };
        match item.and_then(|item| self.lines.get(item.checked_sub(1)?)) {
            Some(line) => failure.at(Some(Place::Line(*line as u64))),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(file: &str) -> String {
        let error = parse(file.as_bytes(), RepoName::new("web").ok().as_ref()).unwrap_err();
        error.into_failure(Path::new("items.jsonl")).to_string()
    }

    #[test]
    fn a_line_takes_defaults_for_what_it_does_not_say() {
        let file = "\n{\"title\":\"a\",\"key\":\"first\"}\r\n  \n{\"title\":\"b\",\"repo\":\"api\",\"needs\":[\"first\",7],\"parent\":3,\"stage\":\"inbox\"}";
        let batch = parse(file.as_bytes(), RepoName::new("web").ok().as_ref()).unwrap();
        assert_eq!(batch.lines, [2, 4]);
        let [first, second] = batch.items.as_slice() else { panic!("two items") };
        assert_eq!(
            (first.repo.as_str(), first.kind.as_str(), first.priority.as_str(), first.stage.as_str()),
            ("web", "task", "medium", "ready")
        );
        assert_eq!(second.needs, ["first", "7"]);
        assert_eq!(
            (second.repo.as_str(), second.parent.as_deref(), second.stage.as_str()),
            ("api", Some("3"), "inbox")
        );
    }

    #[test]
    fn a_bad_line_is_named_and_rejects_the_file() {
        let good = "{\"title\":\"fine\"}\n\n";
        let large = format!("{{\"title\":\"x\",\"description\":\"{}\"}}", "y".repeat(MAX_ITEM_BYTES));
        let said = [
            "{\"title\":\"a\"",
            "{\"titel\":\"a\"}",
            "{\"description\":\"a\"}",
            "{\"title\":\" \"}",
            "{\"title\":\"a\",\"priority\":\"asap\"}",
            "{\"title\":\"a\",\"needs\":[-1]}",
            "{\"title\":\"a\",\"needs\":\"b\"}",
            "{\"title\":\"a\",\"repo\":\"../x\"}",
            "{\"title\":\"a\",\"key\":\"k\"}\n{\"title\":\"b\",\"key\":\"k\"}",
            "not json",
            "[]",
            &large,
        ]
        .map(|bad| refused(&format!("{good}{bad}")));
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_file_that_is_not_utf_8_or_has_no_items_is_refused() {
        let error = parse(b"{\"title\":\"\xff\"}", None).unwrap_err();
        assert_eq!(error, InvalidFile::Line { line: 1, why: "it is not UTF-8".to_owned() });
        assert_eq!(parse(b" \n\n", None), Err(InvalidFile::Empty));
        let said = parse(b"{\"title\":\"a\"}", None).unwrap_err().to_string();
        assert!(said.contains("it names no repo"), "{said}");
    }

    #[test]
    fn an_answer_that_counts_items_is_given_the_line_of_the_file() {
        let batch = Batch { items: vec![], lines: vec![2, 5] };
        let refused = |at: Option<u64>| Failure::new("x", "no repo").at(at.map(Place::Line));
        let at = |batch: &Batch, at: Option<u64>| batch.at_line(refused(at)).to_string();
        assert_eq!(at(&batch, Some(2)), "line 5: no repo");
        assert_eq!(at(&batch, Some(9)), "line 9: no repo");
        assert_eq!(at(&batch, None), "no repo");
        let one = Batch { items: vec![], lines: vec![3] };
        assert_eq!(at(&one, None), "line 3: no repo");
    }
}
