//! Rebuilds when a migration is added: they are part of the binary.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
