//! The documentation is true as far as a program can tell: links lead somewhere, commands parse, cited pages exist,
//! decisions have one form.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use sprint_tests::binary;

/// Files that are named like pages and are made where workers run.
const MADE_FOR_WORKERS: [&str; 2] = ["context/prompt.md", "context/feedback.md"];

/// Pages that repositories have, and templates of prompts: named by what they are called there.
const OF_REPOSITORIES: [&str; 16] = [
    "AGENTS.md",
    "CLAUDE.md",
    "CONSTITUTION.md",
    "ROLE.md",
    "constitution.md",
    "context.md",
    "data-model.md",
    "developer.md",
    "end.md",
    "plan.md",
    "quickstart.md",
    "research.md",
    "resolver.md",
    "spec.md",
    "task.md",
    "tasks.md",
];

/// What the agent starts itself, and no person types.
const OF_THE_AGENT: [&str; 2] = ["exec", "within"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of the repository, those that are new and not ignored included.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    let is_file = |name: &&str| root().join(name).symlink_metadata().is_ok_and(|file| file.is_file());
    let files = listed.lines().filter(is_file).map(ToOwned::to_owned).collect::<Vec<_>>();
    assert!(files.len() > 100, "the repository has more files than {files:?}");
    files
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "md")
}

/// What people read, without the sample projects.
fn pages() -> Vec<String> {
    files().into_iter().filter(|name| is_page(name) && !name.starts_with("deploy/demo/")).collect()
}

/// The lines of a page, each with the language of the fenced block that it is in, if it is in one.
fn lines(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut block = None;
    text.lines().filter_map(move |line| {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim()) };
            return None;
        }
        Some((block, line))
    })
}

/// A line's text outside of `code`, and the code.
fn code_apart(line: &str) -> (String, Vec<&str>) {
    let parts = line.split('`').collect::<Vec<_>>();
    (parts.iter().step_by(2).copied().collect(), parts.iter().skip(1).step_by(2).copied().collect())
}

/// The anchors of a page's headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = lines(text).filter(|(block, line)| block.is_none() && line.starts_with('#')).map(|(_, line)| line);
    let kept = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(kept).collect()
}

/// A path from the root, for one that is relative to a page.
fn resolved(page: &str, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(page).parent().expect("a page is a file").join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{page} links out of the repository: {target}"),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = vec![];
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        for (_, line) in lines(&text).filter(|(block, _)| block.is_none()) {
            let (prose, _) = code_apart(line);
            for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.starts_with("https://") {
                    continue;
                }
                seen += 1;
                let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
                let path = if target.is_empty() { PathBuf::from(&page) } else { resolved(&page, target) };
                let is_there = root().join(&path).exists();
                let leads =
                    is_there && (anchor.is_empty() || anchors(&read(&path.display().to_string())).contains(anchor));
                if !leads {
                    broken.push(format!("{page}: {link}"));
                }
            }
        }
    }
    assert!(seen > 30, "only {seen} links were found");
    assert_eq!(broken, Vec::<String>::new());
}

/// The simple commands of a shell line, as words.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (vec![], vec![], String::new());
    let (mut quote, mut before) = (None, ' ');
    let end_word = |words: &mut Vec<String>, word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    for letter in line.chars() {
        match (quote, letter) {
            (Some(mark), _) if mark == letter => quote = None,
            (Some(_), _) => word.push(letter),
            (None, '\'' | '"') => quote = Some(letter),
            (None, '#') if before.is_whitespace() => break,
            (None, ';' | '|' | '&' | '(' | ')' | '<' | '>') => {
                end_word(&mut words, &mut word);
                commands.push(std::mem::take(&mut words));
            }
            (None, _) if letter.is_whitespace() => end_word(&mut words, &mut word),
            (None, _) => word.push(letter),
        }
        before = letter;
    }
    end_word(&mut words, &mut word);
    commands.push(words);
    commands
}

/// The commands that a page shows, in blocks for a shell and as `code` that begins with a program.
fn shown(text: &str) -> Vec<Vec<String>> {
    let mut shown = vec![];
    for (block, line) in lines(text) {
        match block {
            Some("" | "sh") => shown.extend(commands(line)),
            Some(_) => {}
            None => shown.extend(code_apart(line).1.into_iter().flat_map(commands)),
        }
    }
    let is_setting = |word: &String| word.contains('=') && !word.starts_with('-');
    for command in &mut shown {
        let settings = command.iter().take_while(|word| is_setting(word)).count();
        command.drain(..settings);
    }
    shown.retain(|command| !command.is_empty());
    shown
}

/// What a program says about a command, and the `sprintctl` of a worker with it; an error when it knows no such command.
fn help(program: &str, path: &[String]) -> Result<String, String> {
    let ask = |command: &mut Command| command.args(path).arg("--help").output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = ask(&mut Command::new(binary(program)));
    let of_worker = ask(Command::new(binary("outpost-agent")).arg0("sprintctl"));
    let of_worker = Some(of_worker).filter(|output| program == "sprintctl" && output.status.success());
    match (output.status.success(), of_worker) {
        (true, of_worker) => {
            Ok(text(&output.stdout) + &of_worker.map(|output| text(&output.stdout)).unwrap_or_default())
        }
        (false, Some(of_worker)) => Ok(text(&of_worker.stdout)),
        (false, None) => Err(text(&output.stderr)),
    }
}

#[test]
fn every_command_in_the_docs_parses() {
    let mut wrong = vec![];
    let mut helps = BTreeMap::new();
    for page in pages() {
        for command in shown(&read(&page)) {
            let [program, words @ ..] = &command[..] else { continue };
            let is_ours = ["sprintctl", "coordinator", "outpost-agent"].contains(&program.as_str());
            if !is_ours || words.first().is_some_and(|word| OF_THE_AGENT.contains(&word.as_str())) {
                continue;
            }
            // Optional parts are in brackets; words in capitals, numbers and paths are values.
            let words = words.iter().map(|word| word.trim_matches(['[', ']']).to_owned()).collect::<Vec<_>>();
            let is_plain = |word: &&String| {
                word.starts_with(|first: char| first.is_ascii_lowercase())
                    && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
            };
            let path = words.iter().take_while(is_plain).cloned().collect::<Vec<_>>();
            let help = helps.entry((program.clone(), path.clone())).or_insert_with(|| help(program, &path));
            match help {
                Err(error) => wrong.push(format!("{page}: {}: {error}", command.join(" "))),
                Ok(help) => {
                    let known = help
                        .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '=' | '[' | ']'))
                        .collect::<BTreeSet<_>>();
                    let flags = words.iter().filter(|word| word.starts_with('-') && word.len() > 1);
                    let names = flags.filter_map(|flag| flag.split('=').next());
                    let unknown = names.filter(|flag| !known.contains(flag)).collect::<Vec<_>>();
                    if !unknown.is_empty() {
                        wrong.push(format!("{page}: {}: no such flag: {unknown:?}", command.join(" ")));
                    }
                }
            }
        }
    }
    assert!(helps.len() > 30, "only {} commands were found", helps.len());
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_make_target_in_the_docs_exists() {
    let makefile = read("Makefile");
    let targets = makefile.lines().filter_map(|line| line.split_once(':')).map(|(target, _)| target);
    let targets = targets.collect::<BTreeSet<_>>();
    let mut wrong = vec![];
    for page in pages() {
        for command in shown(&read(&page)).into_iter().filter(|command| command[0] == "make") {
            let named = command.iter().skip(1).filter(|word| !word.contains('=') && !word.starts_with('-'));
            let unknown = named.filter(|word| !targets.contains(word.as_str()));
            wrong.extend(unknown.map(|target| format!("{page}: make {target}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The comments of a source, line by line; of a page all of it.
fn comments<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
    let mark = match name.rsplit('.').next() {
        Some("md") => return text.lines().collect(),
        Some("rs" | "proto") => "//",
        Some("sql") => "--",
        _ => "#",
    };
    text.lines().filter_map(|line| line.split_once(mark)).map(|(_, comment)| comment).collect()
}

#[test]
fn every_page_that_a_source_or_a_page_cites_exists() {
    let is_source = |name: &String| {
        let endings = [".rs", ".proto", ".md", ".sh", ".toml", ".sql", ".yml", ".yaml", "Makefile"];
        let is_text = endings.iter().any(|ending| name.ends_with(ending)) || name.starts_with(".ci/");
        is_text && !name.starts_with("deploy/demo/")
    };
    let mut missing = vec![];
    for name in files().into_iter().filter(is_source) {
        let text = read(&name);
        for comment in comments(&name, &text) {
            let words = comment.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_./:".contains(letter));
            let local = words.filter(|word| !word.contains("://")).filter_map(|word| word.split(':').next());
            for cited in local.map(|word| word.trim_end_matches('.')).filter(|word| word.len() > 3) {
                let name_alone = cited.rsplit('/').next().unwrap_or_default();
                let is_elsewhere = MADE_FOR_WORKERS.contains(&cited) || OF_REPOSITORIES.contains(&name_alone);
                let is_cited = is_page(cited) && !is_elsewhere;
                let is_there = |path: PathBuf| root().join(path).is_file();
                if is_cited && !is_there(cited.into()) && !is_there(resolved(&name, cited)) {
                    missing.push(format!("{name}: {cited}"));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_source_that_a_page_names_exists() {
    let files = files();
    let mut missing = vec![];
    for page in pages() {
        let text = read(&page);
        for code in lines(&text).filter(|(block, _)| block.is_none()).flat_map(|(_, line)| code_apart(line).1) {
            let is_source = [".rs", ".proto", ".sh", ".toml"].iter().any(|ending| code.ends_with(ending));
            // `sprint.toml` is in the repositories of people, and NAME.rs stands for any.
            let is_named = is_source && !code.contains(' ') && !code.starts_with('.') && code != "sprint.toml";
            let is_any =
                code.rsplit('/').next().is_some_and(|name| name.starts_with(|first: char| first.is_uppercase()));
            let is_there = || files.iter().any(|file| file == code || file.ends_with(&format!("/{code}")));
            if is_named && !(is_any && code != "Cargo.toml") && !is_there() {
                missing.push(format!("{page}: {code}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_code_of_the_client_is_in_the_reference() {
    let page = read("docs/reference/errors.md");
    let sources = files().into_iter().filter(|name| {
        name.starts_with("sprintctl/src/")
            && std::path::Path::new(name).extension().is_some_and(|extension| extension == "rs")
    });
    let code = |rest: &str| rest.split('"').next().map(|code| format!("client.{code}"));
    let codes = sources.flat_map(|name| read(&name).split("\"client.").skip(1).filter_map(code).collect::<Vec<_>>());
    let codes = codes.collect::<BTreeSet<_>>();
    assert!(codes.len() > 10, "the client has more codes than {codes:?}");
    let missing = codes.into_iter().filter(|code| !page.contains(&format!("| `{code}` |"))).collect::<Vec<_>>();
    assert_eq!(missing, Vec::<String>::new(), "docs/reference/errors.md lacks them");
}

#[test]
fn every_test_of_what_was_tried_exists() {
    let page = read("docs/internals/tried.md");
    let tests = page.lines().flat_map(|line| code_apart(line).1).filter_map(|code| code.rsplit_once(": "));
    let names: BTreeSet<&str> = tests.map(|(_, name)| name).collect();
    assert!(names.len() > 8, "{names:?}");
    let sources = files().into_iter().filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "rs"));
    let sources: String = sources.map(|name| read(&name)).collect();
    let missing = names.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect::<Vec<_>>();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_page_is_in_the_index() {
    let index = read("docs/README.md");
    let pages = pages().into_iter().filter_map(|page| page.strip_prefix("docs/").map(ToOwned::to_owned));
    let missing = pages.filter(|page| page != "README.md" && !index.contains(&format!("]({page})")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn decisions_have_one_form_and_are_numbered_without_a_gap() {
    let decisions = pages().into_iter().filter(|page| page.starts_with("docs/decisions/")).collect::<Vec<_>>();
    assert!(decisions.len() >= 10, "{decisions:?}");
    for (index, page) in decisions.iter().enumerate() {
        let number = format!("{:04}", index + 1);
        assert!(page.starts_with(&format!("docs/decisions/{number}-")), "{page} is not number {number}");
        let text = read(page);
        assert!(text.starts_with(&format!("# {number}: ")), "{page} begins with \"# {number}: TITLE\"");
        let sections = text.lines().filter_map(|line| line.strip_prefix("## ")).collect::<Vec<_>>();
        assert_eq!(sections, ["Status", "Context", "Decision", "Consequences"], "{page}");
        let status = text.split("## Status\n").nth(1).unwrap_or_default();
        let known = ["Proposed.", "Accepted.", "Superseded by ["];
        assert!(known.iter().any(|word| status.starts_with(word)), "{page} has a status: {known:?}");
    }
}

#[test]
fn what_the_manifest_and_the_workflow_promise_is_there() {
    let manifest = read("Cargo.toml");
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.and_then(|rest| rest.strip_suffix('"')).unwrap_or_else(|| panic!("Cargo.toml has {key}")).to_owned()
    };
    for licence in value("license").split(" OR ") {
        let file = format!("LICENSE-{}", licence.split('-').next().unwrap_or_default().to_uppercase());
        assert!(read(&file).len() > 1000, "{file} holds the text of {licence}");
    }
    let toolchain = read("rust-toolchain.toml");
    assert!(toolchain.contains(&format!("channel = \"{}.", value("rust-version"))), "the toolchain is the manifest's");
    assert!(read(".github/workflows/ci.yml").contains("run: .ci/run\n"), "the workflow runs what people run");
    let expected = [".ci/run", ".ci/test", ".config/nextest.toml", ".editorconfig", "deny.toml"];
    let guides = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    for file in expected.iter().chain(&guides) {
        assert!(root().join(file).is_file(), "{file} is there");
    }
}

#[test]
fn the_reference_of_the_settings_is_what_the_programs_print() {
    let page = read("docs/reference/config.md");
    for program in ["coordinator", "outpost-agent"] {
        let output = Command::new(binary(program)).args(["config", "--reference"]).output().expect("it runs");
        let table = String::from_utf8(output.stdout).expect("is text");
        assert!(output.status.success() && table.lines().count() > 15, "{program}: {table}");
        let hint = format!("docs/reference/config.md holds what `{program} config --reference` prints:\n{table}");
        assert!(page.contains(&format!("\n{table}")), "{hint}");
    }
}
