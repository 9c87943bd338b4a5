//! Generated histories: what people do to a tree, and branches that part and meet, as `git fast-import` reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names that tools trip over.
const NAMES: &[&str] = &[
    "a",
    "b.txt",
    "c.log",
    "d.lock",
    "with space",
    "quo\"te",
    "-dash",
    "tab\there",
    "ünïcode",
    "日本",
    "back\\slash",
    "new\nline",
    "x.bin",
    "semi;colon",
    "*",
    "README",
    "#hash",
    "a.b.c",
];
const DIRECTORIES: &[&str] = &["", "", "src/", "src/deep/", "other dir/", "ñ/", "lib/"];
const ATTRIBUTES: &[&str] = &[
    "*.log merge=union",
    "*.lock -merge",
    "*.bin binary",
    "* text=auto",
    "*.txt eol=crlf",
    "*.txt text",
    "a -text",
    "*.log merge=binary",
    "README merge=nobody-has-this-driver",
    "*.txt -merge",
    "[attr]mine merge=union",
    "b.txt mine",
    "* !merge",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    File,
    Program,
    Link,
    Submodule,
}

impl Mode {
    const fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Program => "100755",
            Self::Link => "120000",
            Self::Submodule => "160000",
        }
    }

    const fn has_text(self) -> bool {
        matches!(self, Self::File | Self::Program)
    }
}

/// A file, a link's target, or a submodule's commit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: Mode,
    content: Vec<u8>,
}

type Tree = BTreeMap<String, Entry>;

/// A commit, by its place in the history.
pub(crate) type Place = usize;

struct Commit {
    parents: Vec<Place>,
    tree: Tree,
}

/// A main branch, and branches that came of it.
pub(crate) struct History {
    commits: Vec<Commit>,
    pub(crate) main: Place,
    /// At most three; a later one may contain an earlier one.
    pub(crate) heads: Vec<Place>,
}

impl History {
    pub(crate) fn generate(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = Self { commits: vec![], main: 0, heads: vec![] };
        let size = if random.u8(..20) == 0 { 300 } else { random.usize(1..40) };
        let mut tree = Tree::new();
        for _ in 0..size {
            add(&mut tree, &mut random);
        }
        history.commits.push(Commit { parents: vec![], tree });
        for _ in 0..random.usize(..3) {
            history.main = history.edited(history.main, &mut random);
        }
        for _ in 0..random.usize(1..=3) {
            let from = match history.heads.last() {
                Some(head) if random.u8(..4) == 0 => *head,
                _ => random.usize(..=history.main),
            };
            let mut head = from;
            for _ in 0..random.usize(1..=3) {
                head = history.edited(head, &mut random);
            }
            history.heads.push(head);
        }
        // A long way since they parted, now and then.
        let commits = if random.u8(..30) == 0 { 100 } else { random.usize(..4) };
        for _ in 0..commits {
            history.main = history.edited(history.main, &mut random);
        }
        if random.u8(..4) == 0 {
            history.cross(&mut random);
        }
        history
    }

    fn commit(&mut self, parents: Vec<Place>, tree: Tree) -> Place {
        self.commits.push(Commit { parents, tree });
        self.commits.len() - 1
    }

    fn edited(&mut self, from: Place, random: &mut fastrand::Rng) -> Place {
        let mut tree = self.commits[from].tree.clone();
        for _ in 0..random.usize(1..=2) {
            edit(&mut tree, random);
        }
        self.commit(vec![from], tree)
    }

    /// Main and a branch each merge the other as it was, or only the branch does; then both go on.
    fn cross(&mut self, random: &mut fastrand::Rng) {
        let at = random.usize(..self.heads.len());
        let (main, head) = (self.main, self.heads[at]);
        let tree = self.mixed(head, main, random);
        self.heads[at] = self.commit(vec![head, main], tree);
        if random.bool() {
            let tree = self.mixed(main, head, random);
            self.main = self.commit(vec![main, head], tree);
        }
        if random.u8(..3) > 0 {
            self.heads[at] = self.edited(self.heads[at], random);
        }
        self.main = self.edited(self.main, random);
    }

    /// A tree as a person may have made it of two.
    fn mixed(&self, ours: Place, theirs: Place, random: &mut fastrand::Rng) -> Tree {
        let mut tree = self.commits[ours].tree.clone();
        for (path, entry) in &self.commits[theirs].tree {
            if random.u8(..3) == 0 {
                put(&mut tree, path.clone(), entry.clone());
            }
        }
        tree
    }

    /// What `git fast-import` makes the repository of; commit n is the branch `c<n>`.
    pub(crate) fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        for (place, Commit { parents, tree }) in self.commits.iter().enumerate() {
            let mut head = format!("commit refs/heads/c{place}\nmark :{}\n", place + 1);
            let _ = writeln!(head, "author a <a@b> {0} +0000\ncommitter a <a@b> {0} +0000", 1_000_000 + place * 60);
            let message = format!("commit {place}");
            let _ = writeln!(head, "data {}\n{message}", message.len());
            for (number, parent) in parents.iter().enumerate() {
                let _ = writeln!(head, "{} :{}", if number == 0 { "from" } else { "merge" }, parent + 1);
            }
            script.extend(head.into_bytes());
            script.extend(b"deleteall\n");
            for (path, Entry { mode, content }) in tree {
                let path = quoted(path);
                if *mode == Mode::Submodule {
                    script.extend(format!("M {} {} {path}\n", mode.octal(), String::from_utf8_lossy(content)).bytes());
                } else {
                    script.extend(format!("M {} inline {path}\ndata {}\n", mode.octal(), content.len()).bytes());
                    script.extend(content);
                    script.push(b'\n');
                }
            }
            script.push(b'\n');
        }
        script
    }
}

fn quoted(path: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{path}\"")
}

/// Puts an entry where it may take the place of a file, or of a directory.
fn put(tree: &mut Tree, path: String, entry: Entry) {
    let below = format!("{path}/");
    tree.retain(|other, _| !other.starts_with(&below) && !path.starts_with(&format!("{other}/")));
    tree.insert(path, entry);
}

fn any_path(tree: &Tree, random: &mut fastrand::Rng) -> Option<String> {
    let paths = tree.keys().filter(|path| !path.ends_with(".gitattributes")).collect::<Vec<_>>();
    (!paths.is_empty()).then(|| paths[random.usize(..paths.len())].clone())
}

fn new_path(random: &mut fastrand::Rng) -> String {
    let directory = DIRECTORIES[random.usize(..DIRECTORIES.len())];
    let name = NAMES[random.usize(..NAMES.len())];
    if random.bool() { format!("{directory}{name}") } else { format!("{directory}{name}{}", random.u8(..40)) }
}

fn add(tree: &mut Tree, random: &mut fastrand::Rng) {
    let entry = match random.u8(..12) {
        0 => Entry { mode: Mode::Link, content: new_path(random).into_bytes() },
        1 => submodule(random),
        2 => Entry { mode: Mode::File, content: vec![] },
        3 => Entry { mode: Mode::File, content: binary(random) },
        4 => Entry { mode: Mode::Program, content: text(random) },
        _ => Entry { mode: Mode::File, content: text(random) },
    };
    put(tree, new_path(random), entry);
}

fn submodule(random: &mut fastrand::Rng) -> Entry {
    Entry { mode: Mode::Submodule, content: format!("{:040x}", random.u32(1..9)).into_bytes() }
}

fn binary(random: &mut fastrand::Rng) -> Vec<u8> {
    let size = random.usize(1..200);
    std::iter::repeat_with(|| random.u8(..)).take(size).chain([0, 1, 2]).collect()
}

/// Lines that are mostly told apart, so that renames are found.
fn text(random: &mut fastrand::Rng) -> Vec<u8> {
    let kind = random.u8(..6);
    let end = if random.u8(..6) == 0 { "\r\n" } else { "\n" };
    (0..random.usize(1..40))
        .fold(String::new(), |text, line| text + &format!("line {line} of {kind}{end}"))
        .into_bytes()
}

fn edit(tree: &mut Tree, random: &mut fastrand::Rng) {
    let Some(path) = any_path(tree, random) else { return add(tree, random) };
    let entry = tree[&path].clone();
    match random.u8(..24) {
        0..=8 => {
            let content = if entry.mode.has_text() { edited_text(entry.content, random) } else { text(random) };
            let mode = if entry.mode.has_text() { entry.mode } else { Mode::File };
            put(tree, path, Entry { mode, content });
        }
        9 | 10 => {
            tree.remove(&path);
            let content =
                if random.bool() { edited_text(entry.content.clone(), random) } else { entry.content.clone() };
            let content = if entry.mode.has_text() { content } else { entry.content };
            put(tree, new_path(random), Entry { content, ..entry });
        }
        11 | 12 => rename_directory(tree, &path, random),
        13 | 14 => {
            tree.remove(&path);
        }
        15 if entry.mode == Mode::File => put(tree, path, Entry { mode: Mode::Program, ..entry }),
        15 if entry.mode == Mode::Program => put(tree, path, Entry { mode: Mode::File, ..entry }),
        16 => put(tree, path, Entry { mode: Mode::Link, content: new_path(random).into_bytes() }),
        17 => put(tree, path, submodule(random)),
        18 => put(tree, path, Entry { mode: Mode::File, content: binary(random) }),
        19 => put(tree, path, Entry { mode: Mode::File, content: vec![] }),
        20 => put(tree, format!("{path}/{}", NAMES[random.usize(..NAMES.len())]), entry),
        21 | 22 => attribute(tree, random),
        _ => add(tree, random),
    }
}

fn edited_text(content: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    let Ok(text) = String::from_utf8(content) else { return binary(random) };
    let mut lines = text.split_inclusive('\n').map(ToOwned::to_owned).collect::<Vec<_>>();
    let at = random.usize(..=lines.len());
    let new = format!("new {}\n", random.u8(..6));
    match random.u8(..8) {
        0 | 1 => lines.push(new),
        2 => lines.insert(at, new),
        3..=5 if at < lines.len() => lines[at] = new,
        6 if at < lines.len() => {
            lines.remove(at);
        }
        _ => return text.replace('\r', "").replace('\n', if random.bool() { "\r\n" } else { "\n" }).into_bytes(),
    }
    lines.concat().into_bytes()
}

fn rename_directory(tree: &mut Tree, of: &str, random: &mut fastrand::Rng) {
    let Some((directory, _)) = of.rsplit_once('/') else { return };
    let (old, new) = (format!("{directory}/"), format!("moved {}/", random.u8(..3)));
    let inside = tree.keys().filter(|path| path.starts_with(&old)).cloned().collect::<Vec<_>>();
    for path in inside {
        if let Some(entry) = tree.remove(&path) {
            put(tree, path.replacen(&old, &new, 1), entry);
        }
    }
}

fn attribute(tree: &mut Tree, random: &mut fastrand::Rng) {
    let directory = DIRECTORIES[random.usize(..DIRECTORIES.len())];
    let path = format!("{directory}.gitattributes");
    let mut content = tree.get(&path).map(|entry| entry.content.clone()).unwrap_or_default();
    content.extend(ATTRIBUTES[random.usize(..ATTRIBUTES.len())].bytes().chain([b'\n']));
    put(tree, path, Entry { mode: Mode::File, content });
}
