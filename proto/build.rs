//! Generates the protocol's code with protox, so that no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::{FileDescriptorSet, ServiceDescriptorProto};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = std::fs::read_dir("proto/sprint/v1")?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    std::fs::write(out.join("services.rs"), services(&descriptors))?;
    tonic_prost_build::configure().bytes(".sprint.v1").compile_fds(descriptors)?;
    Ok(())
}

/// A macro that gives the list of all services to another, one on a line:
/// `changes changes_client ChangesClient changes_server ChangesServer;`.
fn services(descriptors: &FileDescriptorSet) -> String {
    let row = |service: &ServiceDescriptorProto| {
        let (name, module) = (service.name(), snake_case(service.name()));
        format!("{module} {module}_client {name}Client {module}_server {name}Server;\n")
    };
    let rows = descriptors.file.iter().flat_map(|file| &file.service).map(row).collect::<String>();
    format!("#[macro_export] macro_rules! each_service {{ ($made:ident) => {{ $made! {{ {rows} }} }}; }}")
}

/// A service's name as its module has it.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
