//! The structure of the sources: no two files import each other in a circle, and names have one meaning.

mod imports;
mod program;

use std::collections::{BTreeMap, BTreeSet};

use self::imports::{Graph, circles};
use self::program::Program;

const PROGRAMS: [&str; 13] = [
    "core",
    "proto",
    "identity",
    "failpoint",
    "gate",
    "process",
    "settings",
    "telemetry",
    "merge-sim",
    "coordinator",
    "outpost-agent",
    "sprintctl",
    "tests",
];

#[test]
fn no_two_files_of_a_program_import_each_other_in_a_circle() {
    for name in PROGRAMS {
        let program = Program::read(name);
        let graph = Graph::of(&program);
        assert!(graph.arrows() > 0 || program.files() < 3, "{name}: no import was understood");
        assert_eq!(circles(&graph), Vec::<Vec<String>>::new(), "{name}: these files import each other");
    }
}

#[test]
fn a_circle_is_seen() {
    let arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")];
    let graph = arrows.into_iter().collect::<Graph>();
    assert_eq!(circles(&graph), [["a", "b", "c"].map(ToOwned::to_owned).to_vec()]);
}

/// The rooms of the coordinator's services; what several rooms need stands beside them.
const ROOMS: [&str; 7] = ["admission", "backlog", "fleet", "operate", "queue", "repos", "watch"];

#[test]
fn every_service_is_in_a_room() {
    let program = Program::read("coordinator");
    let rooms = program.folders_below("service");
    assert_eq!(rooms, ROOMS.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    for room in ROOMS {
        let face = format!("service::{room}");
        assert!(program.is_declarations_only(&face), "{face} is a list of what the room holds, and nothing else");
    }
}

/// Participles where a noun belongs; see docs/concepts/glossary.md.
const BANNED: [&str; 12] =
    ["Shown", "Wanted", "Found", "Ended", "Told", "Held", "Brought", "Given", "Known", "Taken", "Present", "Seen"];

#[test]
fn types_have_nouns_for_names() {
    for name in PROGRAMS {
        let offences = Program::read(name)
            .public_types()
            .into_iter()
            .filter(|(of, _)| BANNED.contains(&of.as_str()))
            .collect::<Vec<_>>();
        assert_eq!(offences, Vec::new(), "{name}: a participle is no noun");
    }
}

#[test]
fn no_public_type_has_the_name_of_another_of_its_program() {
    for name in PROGRAMS {
        let mut places = BTreeMap::<String, Vec<String>>::new();
        for (of, file) in Program::read(name).public_types() {
            places.entry(of).or_default().push(file);
        }
        places.retain(|_, files| files.len() > 1);
        for doubled in DOUBLES.iter().filter(|(program, _)| *program == name).map(|(_, doubled)| *doubled) {
            assert!(places.remove(doubled).is_some(), "{name}: {doubled} has one meaning by now; take it off the list");
        }
        assert_eq!(places, BTreeMap::new(), "{name}: one word, one meaning");
    }
}

/// Pairs that are two halves of one thing: the writer and the readers of either database, say.
const DOUBLES: [(&str, &str); 0] = [];
