//! The changes of a replay: what each does, and what must become of it.

use super::project::{self, FUNCTIONS};

/// What must become of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lands,
    /// Its own gate fails.
    Fails,
    /// It or the change with this number lands, whichever is first: together they fail the gate.
    Clashes(usize),
    /// The same, where git cannot merge them.
    Conflicts(usize),
}

/// A change, made by an item's command line.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) title: String,
    pub(super) run: String,
    /// The change that it builds on.
    pub(super) needs: Option<usize>,
    pub(super) fate: Fate,
}

/// One of each kind, of clashes two: a short replay has them as well.
const FIRST: [u8; 8] = [0, 6, 9, 15, 50, 0, 15, 40];

/// The changes of a replay that begins at `start`.
pub(super) fn generate(changes: usize, seed: u64, start: &str) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut functions = (0..project::shared_modules(changes))
        .flat_map(|module| (0..FUNCTIONS).map(move |function| (module, function)))
        .collect::<Vec<_>>();
    random.shuffle(&mut functions);
    let (mut pairs, mut lines) = (0..project::pairs(changes), 0..project::pairs(changes));
    // A worker that begins here does not have the other's commit.
    let begin = format!("git reset -q --hard {start}");
    let mut planned: Vec<Planned> = Vec::new();
    // Two that build on the same change would conflict.
    let mut added = Vec::new();
    let mut first = FIRST.into_iter();
    while planned.len() < changes {
        let number = planned.len();
        let room = changes - number;
        match first.next().unwrap_or_else(|| random.u8(..100)) {
            0..6 if let Some((pair, true)) = pairs.next().map(|pair| (pair, room >= 2)) => {
                let [one, other] = clash(pair);
                planned.push(Planned::new(format!("Change pair {pair}"), &[&begin, &one], Fate::Clashes(number + 1)));
                planned.push(Planned::new(format!("Use pair {pair}"), &[&begin, &other], Fate::Clashes(number)));
            }
            6..9 if let Some((line, true)) = lines.next().map(|line| (line, room >= 2)) => {
                for (own, partner) in [(number, number + 1), (number + 1, number)] {
                    let edit = format!("sed -i 's|return x + 1;|return x + {};|' src/line_{line}.c", own + 2);
                    let title = format!("Change line {line} to {}", own + 2);
                    planned.push(Planned::new(title, &[&begin, &edit], Fate::Conflicts(partner)));
                }
            }
            9..15 => planned.push(Planned::new(format!("Break {number}"), &[&fault(number, &mut random)], Fate::Fails)),
            15..40 if let Some((module, function)) = functions.pop() => {
                let name = format!("shared_{module}_{function}");
                let edit = format!(
                    "sed -i 's|return x + 1; // {name}$|return x + {number}1; // {name}|' src/shared_{module}.c"
                );
                let test = test(
                    &format!("shared_{module}"),
                    &format!("edit_{number}"),
                    &format!("{name}(1) == {number}1 + 1"),
                );
                planned.push(Planned::new(format!("Edit {name}"), &[&begin, &edit, &test], Fate::Lands));
            }
            40..48 if let Some(needed) = added.pop() => {
                let more = format!(
                    "printf '%s\\n' 'int more_{number}(int x) {{ return added_{needed}(x) * 2; }}' >>src/added_{needed}.c"
                );
                let header = format!("printf '%s\\n' 'int more_{number}(int x);' >>src/added_{needed}.h");
                let test = test(
                    &format!("added_{needed}"),
                    &format!("more_{number}"),
                    &format!("more_{number}(1) == 2 * (1 + {needed})"),
                );
                let planning = Planned::new(format!("More {number}"), &[&more, &header, &test], Fate::Lands);
                planned.push(Planned { needs: Some(needed), ..planning });
            }
            _ => {
                added.push(number);
                planned.push(Planned::new(format!("Add {number}"), &[&addition(number, "x + NUMBER")], Fate::Lands));
            }
        }
    }
    planned
}

impl Planned {
    /// A change that some commands make, after each other.
    fn new(title: String, commands: &[&str], fate: Fate) -> Self {
        let run = format!("{} && git add -A && git commit -qm '{title}'", commands.join(" && "));
        Self { title, run, needs: None, fate }
    }
}

/// Two changes that are good by themselves.
fn clash(pair: usize) -> [String; 2] {
    let old = format!("pair_{pair}_old");
    let change = if pair.is_multiple_of(2) {
        // Its callers no longer compile.
        format!("sed -i 's|{old}|pair_{pair}_new|' src/pair_{pair}.c src/pair_{pair}.h tests/pair_{pair}.c")
    } else {
        // Its dependants compute a wrong result.
        format!("sed -i 's|return x + 1;|return x + 2;|' src/pair_{pair}.c")
    };
    let caller = format!(
        "printf '%s\\n' '#include \"src/pair_{pair}.h\"' 'int caller_{pair}(int x) {{ return {old}(x) * 10; }}' >src/caller_{pair}.c && printf '%s\\n' 'int caller_{pair}(int x);' >src/caller_{pair}.h"
    );
    let test = test(&format!("caller_{pair}"), &format!("caller_{pair}"), &format!("caller_{pair}(1) == 20"));
    [change, format!("{caller} && {test}")]
}

/// A change that is bad by itself: it does not compile, says something wrong, or dies.
fn fault(number: usize, random: &mut fastrand::Rng) -> String {
    match random.u8(..3) {
        0 => addition(number, "no_such_thing(x)"),
        1 => addition(number, "x - NUMBER - 1"),
        _ => addition(number, "x / (x - x)"),
    }
}

/// A module of its own, with a test.
fn addition(number: usize, body: &str) -> String {
    let (name, body) = (format!("added_{number}"), body.replace("NUMBER", &number.to_string()));
    let source =
        format!("printf '%s\\n' '#include \"src/{name}.h\"' 'int {name}(int x) {{ return {body}; }}' >src/{name}.c");
    let header = format!("printf '%s\\n' '#pragma once' 'int {name}(int x);' >src/{name}.h");
    format!("{source} && {header} && {}", test(&name, &name, &format!("{name}(1) == 1 + {number}")))
}

/// Writes a test of a module.
fn test(module: &str, name: &str, check: &str) -> String {
    format!(
        "printf '%s\\n' '#include \"check.h\"' '#include \"src/{module}.h\"' 'TEST(check_{name}) {{ CHECK({check}); }}' >tests/check_{name}.c"
    )
}
