//! How much of what others say is taken: each bound has a name, a number and a sentence, and the page on security lists
//! them all.

use std::fmt::Display;

/// What happens beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub name: &'static str,
    pub most: u64,
    pub of: &'static str,
    pub beyond: &'static str,
}

macro_rules! bounds {
    ($($name:ident: $type:ty = $most:expr, $of:literal, $beyond:literal;)+) => {
        $(#[doc = $of] pub const $name: $type = $most;)+

        /// All bounds, for the page that lists them.
        pub const ALL: &[Described] = &[
            $(Described { name: stringify!($name), most: $name as u64, of: $of, beyond: $beyond }),+
        ];
    };
}

bounds! {
    REASON: usize = 16 << 10, "Bytes of a reason, of an error's words, of what a program printed to standard error", "cut, with its length named";
    DETAIL: usize = 64 << 10, "Bytes of the output that goes with a failed gate or attempt", "cut, with its length named";
    STEPS: usize = 200, "Steps and verdicts of a worker's report", "left out";
    SAVED_FILE: u64 = 512 << 20, "Bytes of one file that is saved as uncommitted work", "not saved; the worker's directory is kept on its outpost";
    SAVED_BYTES: u64 = 1 << 30, "Bytes of all files of at least 16 MiB among them", "not saved; the worker's directory is kept on its outpost";
    REFS: u64 = 16 << 20, "Bytes of the packed refs that a worker has in its repository", "the repository counts as unusable, and its files are saved";
    SAVED: usize = 200, "Labels of what is saved of an attempt besides its work", "left out";
    LISTED_PATHS: usize = 1_000, "Paths of one conflict, or problems of one change, that are kept while it is dealt with", "counted";
    PROGRAM_OUTPUT: usize = 32 << 20, "Bytes that a program prints where the coordinator or an agent reads it whole, and of errors", "the program is ended, and its work fails";
    HELPER_MEMORY: u64 = 1 << 30, "Bytes of memory of a git that looks at a workspace for the agent", "it fails, and with it the attempt";
    MERGE_MEMORY: u64 = 2 << 30, "Bytes of memory of the git that merges for the coordinator; text of 20 million lines takes more", "the change is sent back, as after a conflict";
    DELTA_FILE: u64 = 128 << 20, "Bytes of a file whose versions the coordinator stores as differences", "each version is stored as a whole";
    CONFIG_FILE: usize = 1 << 20, "Bytes of `sprint.toml`, `.gitmodules` and each other file of a repository that the coordinator reads by name", "refused: the change is sent back, the queue halts with the reason";
    ATTRIBUTES: usize = 1 << 20, "Bytes of one `.gitattributes`", "refused: the change is sent back";
    ALL_ATTRIBUTES: usize = 16 << 20, "Bytes of all `.gitattributes` of a tree", "refused: the change is sent back, the queue halts with the reason";
    CHANGED_FILES: usize = 100_000, "Files that a change touches", "refused: the change is sent back";
    COMMITS: usize = 10_000, "Commits of a change", "refused: the change is sent back";
    TREE_FILES: usize = 1_000_000, "Files of a tree, or of a history, that is looked at as a whole", "the queue halts with the reason";
    DEPTH: usize = 1_000, "Directories within each other, in a tree that lands", "refused: the change is sent back";
    PAGE: u64 = 16 << 20, "Bytes of the items, workers or changes of one answer", "the answer says that there are more, and its caller asks for those";
    AGENT_LINE: usize = 4 << 20, "Bytes of one line that an agent says over its channel", "the line is passed over, and the pane says so";
    NOTES: u32 = 500, "Lines of progress, found items and hand-offs of one worker", "refused, and the worker is told";
    NOTE_BYTES: u64 = 1 << 20, "Bytes of all of them", "refused, and the worker is told";
    FOUND: u32 = 50, "Items that one worker may file", "refused, and the worker is told";
    PROGRESS: usize = 4 << 10, "Bytes of a line of progress", "cut, with its length named";
    HAND_OFF_LINES: usize = 200, "Lines of each section of a hand-off", "left out";
    HAND_OFF_LINE: usize = 2 << 10, "Bytes of each of them", "cut, with its length named";
    PROMPT: usize = 4 << 20, "Bytes of a prompt that a repository's template makes", "refused: the attempt is not started, and says why";
    PROMPT_MEMORY: u64 = 512 << 20, "Bytes of memory of the process that fills in a repository's template", "it ends: the attempt is not started, and says why";
    OUTPOST_LABELS: usize = 100, "Labels of an outpost", "refused: the outpost does not join";
    OUTPOST_WORD: usize = 1 << 10, "Bytes of a label, a version, a session's name or another word that an outpost says of itself", "refused in a hello, cut in what follows";
    INVENTORY: usize = 10_000, "Workers that an outpost says it has on its disk", "refused: the outpost does not join";
    NAMED_PATHS: usize = 50, "Paths that a conflict, a refusal or an approval names", "counted";
    NAMED_PATH: usize = 512, "Bytes of each of them", "cut, with its length named";
}

/// The beginning of a text; its length is named where it is longer than `most` bytes. What is cut has no more than that.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let length = format!(" … ({} bytes in all)", text.len());
    let end = text.floor_char_boundary(most.saturating_sub(length.len()));
    format!("{}{length}", &text[..end])
}

/// Paths, as far as they are named.
pub fn named_paths(paths: &[String]) -> Vec<String> {
    paths.iter().take(NAMED_PATHS).map(|path| cut(path, NAMED_PATH)).collect()
}

/// Paths in one phrase, each and all of them within bounds.
pub fn paths_in_words<T: Display>(paths: &[T]) -> String {
    let (named, more) = (paths.iter().take(NAMED_PATHS), paths.len().saturating_sub(NAMED_PATHS));
    let named: Vec<String> = named.map(|path| cut(&path.to_string(), NAMED_PATH)).collect();
    // There may be more than were listed.
    let at_least = if paths.len() == LISTED_PATHS { "at least " } else { "" };
    if more == 0 { named.join(", ") } else { format!("{} and {at_least}{more} more", named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_security_lists_all_of_them() {
        let page = include_str!("../../docs/operate/security.md");
        for Described { name, most, of, beyond } in ALL {
            let row = format!("| `{name}` | {most} | {of} | {beyond} |");
            assert!(page.lines().any(|line| line == row), "the page lacks: {row}");
        }
    }

    #[test]
    fn what_is_cut_says_how_long_it_was() {
        assert_eq!(cut("short", 5), "short");
        let long = "ä".repeat(50);
        assert_eq!(cut(&long, 30), "äää … (100 bytes in all)");
        assert_eq!(cut(&cut(&long, 30), 30), cut(&long, 30));
        assert_eq!(cut(&long, 0), " … (100 bytes in all)");
    }

    #[test]
    fn many_paths_are_counted() {
        let many: Vec<String> = (0..52).map(|number| format!("p{number}")).collect();
        assert!(paths_in_words(&many).ends_with("p49 and 2 more"));
        assert_eq!(paths_in_words(&many[..2]), "p0, p1");
        assert!(paths_in_words(&["x".repeat(600)]).ends_with("(600 bytes in all)"));
    }
}
