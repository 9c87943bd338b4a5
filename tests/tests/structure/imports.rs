//! Which file imports which: an import leads to the file that defines what it names, even through a re-export.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{Program, Segments};

/// Exports that lead to exports are followed so far.
const FURTHEST: usize = 12;

/// The imports between the files of a program.
#[derive(Default)]
pub(crate) struct Graph(BTreeMap<String, BTreeSet<String>>);

impl<'a> FromIterator<(&'a str, &'a str)> for Graph {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(arrows: T) -> Self {
        let mut graph = Self::default();
        for (from, to) in arrows {
            graph.0.entry(from.to_owned()).or_default().insert(to.to_owned());
            graph.0.entry(to.to_owned()).or_default();
        }
        graph
    }
}

impl Graph {
    pub(crate) fn of(program: &Program) -> Self {
        let mut graph = Self::default();
        for (module, source) in &program.modules {
            let mut arrows = BTreeSet::new();
            for path in source.used.iter().chain(&source.paths) {
                let found = resolve(program, module, path, 0).filter(|found| found != module);
                arrows.extend(found.and_then(|found| program.modules.get(&found)).map(|source| source.file.clone()));
            }
            arrows.remove(&source.file);
            graph.0.entry(source.file.clone()).or_default().extend(arrows);
        }
        graph
    }

    pub(crate) fn arrows(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

/// The module whose file defines what `path`, written in `module`, names.
fn resolve(program: &Program, module: &Segments, path: &[String], depth: usize) -> Option<Segments> {
    if depth > FURTHEST {
        return None;
    }
    let whole = absolute(program, module, path)?;
    let known = (0..=whole.len()).rev().find(|length| program.modules.contains_key(&whole[..*length]))?;
    let (found, rest) = (whole[..known].to_vec(), &whole[known..]);
    let (Some(name), Some(source)) = (rest.first(), program.modules.get(&found)) else { return Some(found) };
    if source.defines.contains(name) {
        return Some(found);
    }
    match source.imports.get(name) {
        Some(further) => resolve(program, &found, &[further.as_slice(), &rest[1..]].concat(), depth + 1),
        None => Some(found),
    }
}

/// A path from the root of the program; none for what comes from elsewhere.
fn absolute(program: &Program, module: &Segments, path: &[String]) -> Option<Segments> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => absolute(program, module, rest).or_else(|| Some([module.as_slice(), rest].concat())),
        "super" => {
            let parent = module.split_last().map_or(&[][..], |(_, parent)| parent).to_vec();
            match rest.first().map(String::as_str) {
                Some("super") => absolute(program, &parent, rest),
                Some(_) | None => Some([parent.as_slice(), rest].concat()),
            }
        }
        name => {
            let child = [module.as_slice(), &[name.to_owned()]].concat();
            if program.modules.contains_key(&child) {
                return Some([module.as_slice(), path].concat());
            }
            let imported = program.modules.get(module)?.imports.get(name)?;
            // Its own name, imported: a crate.
            if imported.first() == Some(first) {
                return None;
            }
            absolute(program, module, &[imported.as_slice(), rest].concat())
        }
    }
}

/// The files that import each other in a circle, each circle in order of their names.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            for next in graph.0.get(at).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let all = graph.0.keys().map(|file| (file, reached(file))).collect::<BTreeMap<_, _>>();
    let mut found = BTreeSet::new();
    for (file, seen) in all.iter().filter(|(file, seen)| seen.contains(*file)) {
        let with = seen.iter().filter(|other| all.get(**other).is_some_and(|back| back.contains(*file)));
        found.insert(with.map(|other| (*other).clone()).collect::<Vec<_>>());
    }
    found.into_iter().collect()
}
