//! The project as it is when a replay begins: many small modules in C, and a gate that compiles and runs all tests.

use std::fmt::Write as _;

/// Functions of a shared module; changes edit them side by side.
pub(super) const FUNCTIONS: usize = 8;

/// The number of modules of each kind in a replay with this number of changes.
pub(super) const fn shared_modules(changes: usize) -> usize {
    changes / 16 + 1
}

pub(super) const fn pairs(changes: usize) -> usize {
    changes / 20 + 1
}

/// All is one translation unit: what is compiled counts here, and not how fast.
const GATE: &str = r#"set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for file in src/*.c tests/*.c main.c; do printf '#include "%s"\n' "$file"; done >"$out/all.c"
cc -std=gnu11 -O0 -Wall -Werror -I. -o "$out/all" "$out/all.c"
"$out/all"
"#;

const CHECK: &str = r#"#pragma once
#include <stdio.h>
static int checks, failures;
#define CHECK(what) \
    do { \
        checks++; \
        if (!(what)) { \
            failures++; \
            printf("not ok: %s:%d: %s\n", __FILE__, __LINE__, #what); \
        } \
    } while (0)
#define TEST(name) __attribute__((constructor)) static void name(void)
"#;

const MAIN: &str = r#"#include "check.h"
int main(void) {
    printf("%d checks, %d failures\n", checks, failures);
    return failures > 0 || checks == 0;
}
"#;

const CONFIG: &str = r#"[[gate]]
name = "build"
run = "sh gate.sh"
"#;

/// The files, by their paths.
pub(super) fn files(changes: usize) -> Vec<(String, String)> {
    let own = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = vec![own("sprint.toml", CONFIG), own("gate.sh", GATE), own("check.h", CHECK), own("main.c", MAIN)];
    for module in 0..shared_modules(changes) {
        let name = format!("shared_{module}");
        let functions = (0..FUNCTIONS).map(|function| format!("{name}_{function}"));
        files.extend(module_of(&name, &functions.collect::<Vec<_>>()));
    }
    for pair in 0..pairs(changes) {
        files.extend(module_of(&format!("pair_{pair}"), &[format!("pair_{pair}_old")]));
        files.extend(module_of(&format!("line_{pair}"), &[format!("line_{pair}")]));
    }
    files
}

/// A module: its functions, each of which adds something; its header; and a test of each.
fn module_of(name: &str, functions: &[String]) -> [(String, String); 3] {
    let (mut source, mut header) = (format!("#include \"src/{name}.h\"\n"), "#pragma once\n".to_owned());
    let mut test = format!("#include \"check.h\"\n#include \"src/{name}.h\"\nTEST(test_{name}) {{\n");
    for function in functions {
        // Apart far enough that edits of neighbours do not conflict.
        let _ = writeln!(source, "\n/* Adds. */\nint {function}(int x) {{\n    return x + 1; // {function}\n}}");
        let _ = writeln!(header, "int {function}(int x);");
        let _ = writeln!(test, "    CHECK({function}(0) > 0);");
    }
    test += "}\n";
    [(format!("src/{name}.c"), source), (format!("src/{name}.h"), header), (format!("tests/{name}.c"), test)]
}
