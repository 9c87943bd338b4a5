//! Generates the protocol's code with protox, so that no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

const FILES: &[&str] = &[
    "sprint/v1/error.proto",
    "sprint/v1/item.proto",
    "sprint/v1/worker.proto",
    "sprint/v1/change.proto",
    "sprint/v1/repo.proto",
    "sprint/v1/outpost.proto",
    "sprint/v1/event.proto",
    "sprint/v1/identity.proto",
    "sprint/v1/link.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".sprint.v1").compile_fds(descriptors)?;
    Ok(())
}
